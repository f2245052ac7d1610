"""Who looks at the ECG itself during a load run, in a process of its own: counts frames of the tap.

python -m benchmarks.performance.load.tap_subscriber ENDPOINT TOPIC...
"""

import sys
import time
from collections.abc import Sequence

import msgspec
import zmq

from beatgan.protocol.names import topic_of
from beatgan_daemon.signals import stop_signals
from benchmarks.performance.load.schedule import Schedule

POLL_MS = 100  # how soon a signal to stop is seen
EVERYTHING = b"ecg."


class TapReport(msgspec.Struct, frozen=True):
    """What it says at its end."""

    frames: int
    cpu_share: float


def tapped(plan: Schedule, streams: int) -> range:
    """Which streams are looked at where so many are: the last ones.

    A topic is a prefix, and of their names none is one of another's.
    """
    return range(max(0, plan.streams - streams), plan.streams)


def topics(plan: Schedule, streams: int) -> list[str]:
    """Of these; one topic where it is all of them."""
    looked_at = tapped(plan, streams)
    if len(looked_at) == plan.streams:
        return [EVERYTHING.decode()]
    return [topic_of("ecg", f"s{stream}").decode() for stream in looked_at]


def count(socket: zmq.Socket[bytes]) -> int:
    """Frames until SIGTERM, and those that are still there then."""
    frames = 0
    with stop_signals() as stopping:
        while True:
            ending = stopping()
            if not socket.poll(POLL_MS):
                if ending:
                    return frames
                continue
            try:
                while True:
                    socket.recv_multipart(zmq.NOBLOCK)
                    frames += 1
            except zmq.Again:
                pass


def run(endpoint: str, wanted: Sequence[str]) -> TapReport:
    """Look on until SIGTERM."""
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.rcvhwm, socket.linger = 0, 0
        for topic in wanted:
            socket.subscribe(topic.encode())
        socket.connect(endpoint)
        wall, cpu = time.monotonic(), time.process_time()
        frames = count(socket)
        return TapReport(frames, (time.process_time() - cpu) / (time.monotonic() - wall))


if __name__ == "__main__":
    print(msgspec.json.encode(run(sys.argv[1], sys.argv[2:])).decode())
