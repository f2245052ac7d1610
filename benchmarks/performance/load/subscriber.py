"""Who watches a load run, in a process of its own: notes when each message came.

python -m benchmarks.performance.load.subscriber FOLDER ENDPOINT
"""

import gc
import sys
import time
from array import array
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import zmq

from beatgan_daemon.signals import stop_signals

TICK_MS = 100  # how soon a signal to stop is seen
QUIET_MS = 500  # without a message after that signal: all has come


class BeatSeen(msgspec.Struct):
    """What matters here of a beat message."""

    n: int
    sample: int
    score: float | None


class OtherSeen(msgspec.Struct):
    """And of an alert or a status message."""

    stream: str
    code: str = ""
    phase: str = ""
    state: str = ""
    text: str = ""


class Seen(msgspec.Struct, frozen=True):
    """What a subscriber says at its end. ``behind_ms``: the longest that its queue had something.

    ``words``: alerts by code and phase, status messages by state. ``texts``: of each state, one.
    """

    beats: int
    words: dict[str, int]
    texts: dict[str, str]
    behind_ms: float
    cpu_share: float


class Notes:
    """Everything that came: of beats (stream, n, sample, ns, whether scored), else counts."""

    def __init__(self) -> None:
        self.rows = array("q")
        self.words: Counter[str] = Counter()
        self.texts: dict[str, str] = {}
        self._beat = msgspec.json.Decoder(BeatSeen).decode
        self._other = msgspec.json.Decoder(OtherSeen).decode

    def take(self, topic: bytes, body: bytes, now: int) -> None:
        """One message that came at ``now``; its stream's name is s and a number."""
        if topic.startswith(b"beat.s"):
            beat = self._beat(body)
            scored = beat.score is not None
            self.rows.extend((int(topic[6:]), beat.n, beat.sample, now, scored))
            return
        other = self._other(body)
        self.words[other.state or f"{other.code} {other.phase}"] += 1
        if other.state:
            self.texts.setdefault(other.state, f"{other.stream}: {other.text}")


def listen(socket: zmq.Socket[bytes], notes: Notes) -> int:
    """Note all that comes until told to stop; the longest time, in ns, without an empty queue."""
    clock, behind = time.monotonic_ns, 0
    with stop_signals() as stopping:
        while True:
            ending = stopping()
            if not socket.poll(QUIET_MS if ending else TICK_MS):
                if ending:
                    return behind
                continue
            began = clock()
            drain(socket, notes)
            behind = max(behind, clock() - began)


def drain(socket: zmq.Socket[bytes], notes: Notes) -> None:
    """Note what is there."""
    try:
        while True:
            topic = socket.recv(zmq.NOBLOCK)
            body = socket.recv(zmq.NOBLOCK)  # of the same message: all parts come at once
            notes.take(topic, body, time.monotonic_ns())
    except zmq.Again:
        return


def run(folder: Path, endpoint: str) -> Seen:
    """Watch until SIGTERM; the beats' notes go to a file."""
    notes = Notes()
    gc.disable()
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.rcvhwm, socket.linger = 0, 0  # what it cannot take at once is late, not lost
        socket.subscribe(b"")
        socket.connect(endpoint)
        wall, cpu = time.monotonic(), time.process_time()
        behind = listen(socket, notes)
        share = (time.process_time() - cpu) / (time.monotonic() - wall)
    rows = np.frombuffer(notes.rows, np.int64).reshape(-1, 5)
    np.save(folder / "beats.npy", rows)
    return Seen(len(rows), dict(notes.words), notes.texts, behind / 1e6, share)


if __name__ == "__main__":
    print(msgspec.json.encode(run(Path(sys.argv[1]), sys.argv[2])).decode())
