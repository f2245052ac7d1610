"""Recordings as live ECG streams: publishes frames when a real source would have sent them.

Knows nothing of the daemon but the protocol and where to reach it.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from typing import Literal, Self

import zmq

from beatgan.errors import BeatganError, UsageError
from beatgan.playback.chunks import cut, stream_name
from beatgan.protocol.buckets import bucket_topic, topic_for
from beatgan.protocol.frames import MAX_SAMPLES, encode_frame
from beatgan.protocol.names import stream_of_topic, topic_of
from beatgan.records import Recording
from beatgan.types import Chunk
from beatgan_daemon import zmq_endpoints
from beatgan_daemon.security.curve import ConfigureSocket

LISTEN_S = 0.2  # between two looks who is subscribed to what
STALLED_S = 30.0  # a subscriber that takes nothing for so long is given up


@dataclass(frozen=True, slots=True)
class Plan:
    """How recordings become streams. Raises UsageError on an impossible value.

    ``speed``: 1 is real time, 0 as fast as the subscriber takes the frames. Each frame holds
    ``chunk_ms`` of signal, or ``chunk_samples``, cyclically, where given. Each recording is sent as
    ``copies`` streams of distinct names. ``dtype`` ``<i2`` sends ``scale`` millivolt a unit.
    ``loop`` begins each recording anew at its end; ``seconds`` (of signal) ends the replay.
    """

    speed: float = 1.0
    chunk_ms: float = 200.0
    chunk_samples: tuple[int, ...] = ()
    copies: int = 1
    dtype: Literal["<f4", "<i2"] = "<f4"
    scale: float = 0.001
    loop: bool = False
    seconds: float | None = None
    wait: float = 10.0  # seconds for the first subscriber to appear

    def __post_init__(self) -> None:
        if not 0 <= self.speed < float("inf"):
            raise UsageError(f"speed must be 0 (as fast as possible) or more, got {self.speed}")
        if not self.chunk_ms > 0 or any(not 1 <= n <= MAX_SAMPLES for n in self.chunk_samples):
            raise UsageError(f"a frame must hold 1 to {MAX_SAMPLES} samples")
        if self.copies < 1:
            raise UsageError(f"copies must be 1 or more, got {self.copies}")

    def sizes(self, fs: float) -> Sequence[int]:
        """Samples of a frame at ``fs`` Hz, one after another."""
        return self.chunk_samples or (max(1, round(self.chunk_ms * fs / 1000)),)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was sent: ``behind`` is by how many seconds the latest frame missed its time."""

    streams: int
    frames: int
    samples: int
    behind: float


class ReplaySocket:
    """An XPUB socket that waits for its first subscriber and from then on loses nothing.

    A full queue makes `send` wait (a plain PUB socket would drop in silence).
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        bind: str | None = None,
        connect: str | Sequence[str] | None = None,
        configure: ConfigureSocket | None = None,
    ) -> None:
        """``connect``: one daemon or, where several share the streams, all of them.
        ``configure`` is called with the socket before it binds or connects."""
        if (bind is None) == (connect is None):
            raise UsageError("give either an endpoint to bind or one to connect to")
        self._socket = context.socket(zmq.XPUB)
        self._socket.setsockopt(zmq.XPUB_NODROP, 1)
        self._socket.setsockopt(zmq.XPUB_VERBOSER, 1)  # each subscription, also the same of another
        self._subscriptions, self._listened = Counter[bytes](), 0.0
        self._called = 1 if connect is None or isinstance(connect, str) else len(connect)
        if self._called > 1:  # one that is away must not hold up the frames for the others
            self._socket.setsockopt(zmq.IMMEDIATE, 1)
        self._socket.sndtimeo = self._socket.linger = round(1000 * STALLED_S)
        zmq_endpoints.keep_alive(self._socket)
        try:
            if configure is not None:
                configure(self._socket)
            if bind is not None:
                self.endpoint = zmq_endpoints.bind(self._socket, bind, "replay")
            elif connect is not None:
                called = [connect] if isinstance(connect, str) else [*connect]
                for each in called:
                    zmq_endpoints.connect(self._socket, each, "replay")
                self.endpoint = ", ".join(called)
        except BeatganError:
            self._socket.close(linger=0)
            raise

    def await_subscriber(self, seconds: float, streams: Iterable[str] = ("_",)) -> None:
        """Return as soon as each of ``streams`` is subscribed to, by its bucket or by all that were
        called; raises UsageError after ``seconds``."""
        end = time.monotonic() + seconds
        for stream in streams:
            while not self._is_awaited(stream):
                if not self._socket.poll(max(0, round(1000 * (end - time.monotonic())))):
                    raise UsageError(
                        f"nobody subscribed to the ECG of {stream} at {self.endpoint} "
                        f"within {seconds:g} s"
                    )
                self._listen()

    def _is_awaited(self, stream: str) -> bool:
        topic = topic_for(stream, self._subscriptions.keys())
        if topic is None or topic == bucket_topic(stream):
            return topic is not None
        counts = (n for prefix, n in self._subscriptions.items() if topic.startswith(prefix))
        return sum(counts) >= self._called

    def _listen(self) -> None:
        self._listened = time.monotonic()
        while self._socket.poll(0):
            word = self._socket.recv()
            prefix = word[1:]
            self._subscriptions[prefix] += 1 if word[:1] == b"\x01" else -1
            if self._subscriptions[prefix] <= 0:
                del self._subscriptions[prefix]

    def send(self, parts: Sequence[bytes]) -> None:
        """Queue one frame, waiting for room; raises BeatganError if none comes in time.

        It goes out under the topic with its bucket where somebody has subscribed to that.
        """
        if time.monotonic() - self._listened > LISTEN_S:
            self._listen()
        topic = topic_for(stream_of_topic(parts[0]) or "", self._subscriptions.keys()) or parts[0]
        try:
            self._socket.send_multipart((topic, *parts[1:]))
        except zmq.Again:
            raise BeatganError(
                f"the subscriber at {self.endpoint} took no frame for {STALLED_S:g} s"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, fault: type[BaseException] | None, *_: object) -> None:
        """Frames still queued go out while the context is terminated; not so after a fault."""
        self._socket.close(linger=None if fault is None else 0)


def replay(
    recordings: Sequence[Recording],
    plan: Plan,
    *,
    bind: str | None = None,
    connect: str | Sequence[str] | None = None,
    stop: threading.Event | None = None,
    configure: ConfigureSocket | None = None,
) -> Replayed:
    """Send all ``recordings`` at once, in step; returns when the last frame was handed over.

    ``stop`` ends it early. Raises UsageError or StartError on a bad endpoint, UsageError if nobody
    subscribes in time, RecordError if a recording cannot be streamed, BeatganError if the
    subscriber stops taking frames.
    """
    with zmq.Context() as context, ReplaySocket(context, bind, connect, configure) as socket:
        return _send(recordings, plan, socket, stop or threading.Event())


def _send(
    recordings: Sequence[Recording], plan: Plan, socket: ReplaySocket, stop: threading.Event
) -> Replayed:
    taken: set[str] = set()
    names = [[stream_name(r, taken) for _ in range(plan.copies)] for r in recordings]
    socket.await_subscriber(plan.wait, sorted(taken))
    start_ns, began = time.time_ns(), time.monotonic()
    frames = samples = 0
    behind = 0.0
    for due, which, chunk in _schedule(recordings, plan, start_ns):
        if plan.speed:
            late = time.monotonic() - began - due / plan.speed  # absolute: errors do not add up
            behind = max(behind, late)
            if stop.wait(max(0.0, -late)):
                break
        elif stop.is_set():
            break
        _, header, payload = encode_frame(chunk, plan.dtype, *_scaling(plan))
        for name in names[which]:
            socket.send([topic_of("ecg", name), header, payload])
            frames += 1
            samples += len(chunk.samples)
    return Replayed(len(taken), frames, samples, behind)


def _scaling(plan: Plan) -> tuple[float, float]:
    return (1.0, 0.0) if plan.dtype == "<f4" else (plan.scale, 0.0)


def _schedule(
    recordings: Sequence[Recording], plan: Plan, start_ns: int
) -> Iterable[tuple[float, int, Chunk]]:
    """Chunks in the order they are due: (seconds of signal at their end, recording, chunk)."""
    return merge(
        *(_due(recording, which, plan, start_ns) for which, recording in enumerate(recordings)),
        key=lambda item: item[:2],
    )


def _due(
    recording: Recording, which: int, plan: Plan, start_ns: int
) -> Iterator[tuple[float, int, Chunk]]:
    sizes = plan.sizes(recording.fs)
    for chunk in cut(recording, "_", sizes, epoch=start_ns, start_ns=start_ns, loop=plan.loop):
        due = (chunk.first + len(chunk.samples)) / chunk.fs
        if plan.seconds is not None and due > plan.seconds:
            return
        yield due, which, chunk
