"""The sources of a load run, in a process of their own: sends each frame when it is due.

Keeps to its schedule whatever the daemon does; knows nothing of it but the protocol.
    python -m benchmarks.performance.load.generator FOLDER ENDPOINT
"""

import gc
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import zmq

from beatgan.errors import UsageError
from beatgan.protocol.frames import Header
from beatgan.protocol.messages import VERSION
from beatgan.types import Ints
from benchmarks.performance.load import schedule
from benchmarks.performance.load.schedule import SCALE, SECOND, Samples, Schedule

GRAIN_NS = 300_000  # the least worth sleeping for: what falls due meanwhile is sent together
MORE = zmq.SNDMORE | zmq.NOBLOCK
LINGER_S = 10.0  # for a subscriber, and for queued frames to leave at the end
SPACING = 977  # samples by which the next stream's beginning lies elsewhere in a recording


class SenderReport(msgspec.Struct, frozen=True):
    """What a generator says at its end. ``late_*``: ms behind the schedule; ``refused`` frames
    found the source's queue full."""

    frames: int
    refused: int
    late_p99: float
    late_max: float
    cpu_share: float


class Ring:
    """A recording that begins anew at its end, as bytes to cut frames from."""

    def __init__(self, samples: Samples, frame: int) -> None:
        self.row = samples.shape[1] * samples.itemsize
        self.length, self.size = len(samples), frame * self.row
        self.bytes = np.concatenate([samples, samples[:frame]]).astype("<i2").tobytes()

    def cut(self, sample: int) -> bytes:
        """The frame that begins at ``sample``, counted on and on."""
        start = sample % self.length * self.row
        return self.bytes[start : start + self.size]


class Senders:
    """All streams of a plan and what each has sent."""

    def __init__(self, plan: Schedule, recordings: list[Samples], epoch: int) -> None:
        rings = [Ring(samples, plan.frame) for samples in recordings]
        self._plan, self._step = plan, plan.step_ns
        self._epoch, self._phases = epoch, plan.phases
        self._rings = [rings[s % len(rings)] for s in range(plan.streams)]
        self._topics = [b"ecg.s%d" % s for s in range(plan.streams)]
        self._encode = msgspec.msgpack.Encoder().encode

    def frame(self, stream: int, interval: int) -> tuple[bytes, bytes, bytes]:
        """The frame that ``stream`` sends in ``interval``."""
        plan = self._plan
        seq = interval - plan.starts[stream]
        first = seq * plan.frame
        t_ns = self._epoch + (interval - 1) * self._step + self._phases[stream]
        header = Header(
            VERSION, self._epoch, seq, first, t_ns, plan.fs, plan.leads, "<i2", SCALE, 0.0
        )
        payload = self._rings[stream].cut(first + SPACING * stream)
        return self._topics[stream], self._encode(header), payload


def sockets(
    plan: Schedule, endpoint: str, context: zmq.Context[zmq.Socket[bytes]]
) -> list[zmq.Socket[bytes]]:
    """Connections that have a subscriber; a full queue refuses a frame, and says so."""
    made = [context.socket(zmq.XPUB) for _ in range(plan.connections)]
    for socket in made:
        socket.setsockopt(zmq.XPUB_NODROP, 1)
        socket.sndhwm, socket.linger = plan.queue, round(1000 * LINGER_S)
        socket.connect(endpoint)
    for socket in made:
        if not socket.poll(round(1000 * LINGER_S)):
            raise UsageError(f"no subscriber at {endpoint} within {LINGER_S:g} s")
        socket.recv()
    return made


def send(plan: Schedule, sources: Senders, out: list[zmq.Socket[bytes]], begin: int) -> Ints:
    """When each frame was sent, monotonic ns, (intervals, streams); 0 where not, -1 if refused."""
    starts, stops = np.array(plan.starts), np.array(plan.stops)
    sent = np.zeros((plan.intervals, plan.streams), np.int64)
    clock, count, phases = time.monotonic_ns, len(out), plan.phases
    for interval in range(plan.intervals):
        row, now_due = sent[interval], begin + interval * plan.step_ns
        for stream in np.flatnonzero((starts <= interval) & (interval < stops)).tolist():
            early = now_due + phases[stream] - clock()
            if early > 0:
                time.sleep(max(early, GRAIN_NS) / SECOND)
            topic, header, payload = sources.frame(stream, interval)
            post = out[stream % count].send
            row[stream] = clock()
            try:
                post(topic, MORE)  # send_multipart costs three times as much
                post(header, MORE)
                post(payload, zmq.NOBLOCK)
            except zmq.Again:
                row[stream] = -1
    return sent


def late_ms(plan: Schedule, sent: Ints, begin: int) -> Ints:
    """By how many ms each frame that was sent came after it was due."""
    interval, stream = np.nonzero(sent > 0)
    due = interval * plan.step_ns + np.array(plan.phases)[stream]
    return np.asarray((sent[interval, stream] - begin - due) / 1e6)


def run(folder: Path, endpoint: str) -> SenderReport:
    """Say when the run begins, in monotonic ns, on one line; then send everything."""
    plan = schedule.read(folder)
    with zmq.Context() as context:
        sources = Senders(plan, schedule.material(folder), time.time_ns())
        out = sockets(plan, endpoint, context)
        gc.freeze()
        gc.disable()
        begin = time.monotonic_ns() + SECOND // 5
        print(begin, flush=True)
        wall, cpu = time.monotonic(), time.process_time()
        sent = send(plan, sources, out, begin)
        share = (time.process_time() - cpu) / (time.monotonic() - wall)
        for socket in out:
            socket.close()
    np.save(folder / "sent.npy", sent)
    late = late_ms(plan, sent, begin)
    return SenderReport(
        frames=int((sent > 0).sum()),
        refused=int((sent < 0).sum()),
        late_p99=float(np.quantile(late, 0.99)),
        late_max=float(late.max()),
        cpu_share=share,
    )


if __name__ == "__main__":
    print(msgspec.json.encode(run(Path(sys.argv[1]), sys.argv[2])).decode())
