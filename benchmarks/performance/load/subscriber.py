"""Who watches a load run, in a process of its own: notes when each message came.

python -m benchmarks.performance.load.subscriber FOLDER ENDPOINT TOPIC...
"""

import gc
import sys
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import zmq

from beatgan_daemon.signals import stop_signals

POLL_MS = 100  # how soon a signal to stop is seen
ONE_BEAT, MANY_BEATS = "beat.", "batch.beat"  # topics: a beat in each message, or many
BEATS = (ONE_BEAT.encode(), MANY_BEATS.encode())
OTHER_TOPICS = ("alert.", "status.")
DRAINED_MS = 500  # without a message after that signal: all has come


class BeatFields(msgspec.Struct):
    """What matters here of a beat; its stream's name is s and a number."""

    stream: str
    n: int
    sample: int
    score: float | None
    revised: bool = False


class OtherFields(msgspec.Struct):
    """And of an alert or a status message."""

    stream: str
    code: str = ""
    phase: str = ""
    state: str = ""
    text: str = ""


class SubscriberReport(msgspec.Struct, frozen=True):
    """What a subscriber says at its end. ``behind_ms``: the longest that its queue had something.

    ``message_counts``: alerts by code and phase, status messages by state. ``status_texts``: one of
    each state.
    """

    beats: int
    message_counts: dict[str, int]
    status_texts: dict[str, str]
    behind_ms: float
    cpu_share: float


class Received:
    """Everything that came: of beats (stream, n, sample, ns, whether scored), else counts.

    A beat counts with its first message.
    """

    def __init__(self) -> None:
        self.rows = array("q")
        self.message_counts: Counter[str] = Counter()
        self.status_texts: dict[str, str] = {}
        self._beats = msgspec.json.Decoder(BeatFields).decode_lines
        self._other = msgspec.json.Decoder(OtherFields).decode

    def add(self, topic: bytes, body: bytes, now: int) -> None:
        """One message that came at ``now``."""
        if topic.startswith(BEATS):
            for beat in self._beats(body):
                if not beat.revised:
                    scored = beat.score is not None
                    self.rows.extend((int(beat.stream[1:]), beat.n, beat.sample, now, scored))
            return
        other = self._other(body)
        self.message_counts[other.state or f"{other.code} {other.phase}"] += 1
        if other.state:
            self.status_texts.setdefault(other.state, f"{other.stream}: {other.text}")


def listen(socket: zmq.Socket[bytes], notes: Received) -> int:
    """Note all that comes until SIGTERM; the longest time, in ns, without an empty queue."""
    clock, behind = time.monotonic_ns, 0
    with stop_signals() as stopping:
        while True:
            ending = stopping()
            if not socket.poll(DRAINED_MS if ending else POLL_MS):
                if ending:
                    return behind
                continue
            began = clock()
            drain(socket, notes)
            behind = max(behind, clock() - began)


def drain(socket: zmq.Socket[bytes], notes: Received) -> None:
    """Note what is there."""
    try:
        while True:
            topic = socket.recv(zmq.NOBLOCK)
            body = socket.recv(zmq.NOBLOCK)  # of the same message: all parts come at once
            notes.add(topic, body, time.monotonic_ns())
    except zmq.Again:
        return


def run(folder: Path, endpoint: str, topics: Sequence[str]) -> SubscriberReport:
    """Watch until SIGTERM; the beats' notes go to a file."""
    notes = Received()
    gc.disable()
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.rcvhwm, socket.linger = 0, 0  # what it cannot take at once is late, not lost
        for topic in topics:
            socket.subscribe(topic.encode())
        socket.connect(endpoint)
        wall, cpu = time.monotonic(), time.process_time()
        behind = listen(socket, notes)
        share = (time.process_time() - cpu) / (time.monotonic() - wall)
    rows = np.frombuffer(notes.rows, np.int64).reshape(-1, 5)
    np.save(folder / "beats.npy", rows)
    return SubscriberReport(
        len(rows), dict(notes.message_counts), notes.status_texts, behind / 1e6, share
    )


if __name__ == "__main__":
    print(msgspec.json.encode(run(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])).decode())
