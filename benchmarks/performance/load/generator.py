"""The sources of a load run, in a process of their own: sends each frame when it is due.

Keeps to its schedule whatever the daemon does; knows nothing of it but the protocol. Of several
ENDPOINTs each is a shard's.
    python -m benchmarks.performance.load.generator FOLDER ENDPOINT...
"""

import gc
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import zmq

from beatgan.errors import UsageError
from beatgan.protocol.buckets import BUCKETS, bucket_topic
from beatgan.protocol.frames import Header
from beatgan.protocol.messages import VERSION
from beatgan.protocol.names import ECG, topic_of
from beatgan.types import Ints
from benchmarks.performance.load import schedule
from benchmarks.performance.load.schedule import SCALE, SECOND, Samples, Schedule

GRAIN_NS = 300_000  # the least worth sleeping for: what falls due meanwhile is sent together
MORE = zmq.SNDMORE | zmq.NOBLOCK
LINGER_S = 10.0  # for a subscriber, and for queued frames to leave at the end
SPACING = 977  # samples by which the next stream's beginning lies elsewhere in a recording


class SenderReport(msgspec.Struct, frozen=True):
    """What a generator says at its end. ``late_*``: ms behind the schedule; ``refused`` frames
    found the source's queue full; ``epoch``: its streams'."""

    frames: int
    refused: int
    late_p99: float
    late_max: float
    cpu_share: float
    epoch: int


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
        self._plan, self._step = plan, round(plan.step_ns * plan.speed)
        self._epoch = epoch
        self._phases = [round(phase * plan.speed) for phase in plan.phases]
        self._numbers = range(plan.first, plan.first + plan.streams)
        self._rings = [rings[number % len(rings)] for number in self._numbers]
        plain = (topic_of("ecg", name) for name in plan.names)
        self._topics = [*map(bucket_topic, plan.names)] if plan.buckets else [*plain]
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
        payload = self._rings[stream].cut(first + SPACING * self._numbers[stream])
        return self._topics[stream], self._encode(header), payload


def sockets(
    plan: Schedule, endpoints: Sequence[str], context: zmq.Context[zmq.Socket[bytes]]
) -> list[zmq.Socket[bytes]]:
    """Connections whose frames all have a subscriber."""
    made = [context.socket(zmq.XPUB) for _ in range(plan.connections)]
    for socket in made:
        socket.setsockopt(zmq.XPUB_NODROP, not plan.lossy)
        socket.sndhwm, socket.linger = plan.queue, round(1000 * LINGER_S)
        for endpoint in endpoints:
            socket.connect(endpoint)
    for socket in made:
        prefixes: set[bytes] = set()
        while ECG not in prefixes and len(prefixes) < BUCKETS:
            if not socket.poll(round(1000 * LINGER_S)):
                where = ", ".join(endpoints)
                raise UsageError(f"not all ECG is subscribed to within {LINGER_S:g} s at {where}")
            prefixes.add(socket.recv()[1:])
    return made


def send(plan: Schedule, sources: Senders, out: list[zmq.Socket[bytes]], begin: int) -> Ints:
    """When each frame was sent, monotonic ns, (intervals, streams); 0 where not, -1 if refused."""
    sends = plan.sends()
    sent = np.zeros(sends.shape, np.int64)
    clock, count, phases = time.monotonic_ns, len(out), plan.phases
    for interval in range(plan.intervals):
        row, now_due = sent[interval], begin + interval * plan.step_ns
        for stream in np.flatnonzero(sends[interval]).tolist():
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


def run(folder: Path, endpoints: Sequence[str]) -> SenderReport:
    """Say when the run begins, in monotonic ns, on one line; then send everything."""
    plan, epoch = schedule.read(folder), time.time_ns()
    with zmq.Context() as context:
        sources = Senders(plan, schedule.material(folder), epoch)
        out = sockets(plan, endpoints, context)
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
        epoch=epoch,
    )


if __name__ == "__main__":
    print(msgspec.json.encode(run(Path(sys.argv[1]), sys.argv[2:])).decode())
