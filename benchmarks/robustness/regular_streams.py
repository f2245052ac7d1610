"""Regular streams beside whatever is tried on a daemon: what they send, and when their beats come.

They send the bundled recording in real time, a frame each 100 ms.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event

import numpy as np
import zmq

from beatgan.protocol.frames import encode_frame
from beatgan.records import SAMPLE, read_recording
from beatgan.types import Chunk

FS, FRAME_S = 360.0, 0.1


@dataclass
class RegularStreams:
    """Regular streams, and when each of their frames was sent."""

    ingest: str
    count: int
    over: Event = field(default_factory=Event)
    sent: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Send in real time until ``over``."""
        signal = read_recording(SAMPLE).samples[:, :1].astype(np.float32)
        size = round(FS * FRAME_S)
        frames = len(signal) // size  # then the recording begins anew
        with zmq.Context() as context, context.socket(zmq.PUB) as socket:
            socket.linger = 0
            socket.connect(self.ingest)
            time.sleep(1.0)
            began = time.monotonic()
            while not self.over.is_set():
                k = len(self.sent)
                time.sleep(max(0.0, began + k * FRAME_S - time.monotonic()))
                self.sent.append(time.monotonic())
                samples = signal[k % frames * size : (k % frames + 1) * size]
                for bed in range(self.count):
                    chunk = Chunk(f"bed-{bed}", 1, k, k * size, k * 10**8, FS, ("MLII",), samples)
                    socket.send_multipart(encode_frame(chunk))


@dataclass
class Listener:
    """When each beat was received (stream, sample, monotonic seconds), and gaps in their signal."""

    publish: str
    over: Event = field(default_factory=Event)
    received: list[tuple[str, int, float]] = field(default_factory=list)
    gaps: int = 0

    def run(self) -> None:
        """Listen until ``over``."""
        with zmq.Context() as context, context.socket(zmq.SUB) as socket:
            socket.linger = 0
            socket.subscribe(b"beat.bed-")
            socket.subscribe(b"status.bed-")
            socket.connect(self.publish)
            while not self.over.is_set():
                if socket.poll(100):
                    message = json.loads(socket.recv_multipart()[1])
                    self.gaps += message.get("state") in ("gap", "shed")
                    if message["type"] == "beat" and "revised" not in message:
                        self.received.append(
                            (message["stream"], message["sample"], time.monotonic())
                        )


def latency(
    streams: RegularStreams, listener: Listener, spans: Sequence[tuple[float, float]]
) -> dict[str, float]:
    """From the frame with the R peak sent, in one of ``spans``, to the beat received.

    How many beats, and percentiles in ms; the detector waits, too.
    """
    size = round(FS * FRAME_S)
    waits = []
    for _, sample, at in tuple(listener.received):
        sent = streams.sent[sample // size]
        if any(since <= sent < until for since, until in spans):
            waits.append(1000 * (at - sent))
    if not waits:
        return {"beats": 0}
    p1, p50, p99, most = np.percentile(waits, [1, 50, 99, 100]).round(1)
    return {"beats": len(waits), "p1": p1, "p50": p50, "p99": p99, "max": most}
