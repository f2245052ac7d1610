"""Frames that came too early wait, for a bounded time, for those that belong before them.

Knows sample counts, and nothing of what a stream is or does. No clock: the time comes in.
"""

from bisect import insort
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from beatgan.pipeline.observer import Observer
from beatgan.types import Chunk

MAX_FRAMES = 16  # held of one stream
MAX_VALUES = 65_536  # samples times leads held of one stream: 256 KiB
MAX_VALUES_OF_ALL = 2**24  # the same of all streams together: 64 MiB


class Arrival(NamedTuple):
    """A frame, and when it, or the last of those that it waited for, came (monotonic seconds)."""

    chunk: Chunk
    at: float


class _Early:
    """What is held of one stream, in the order of its samples."""

    def __init__(self) -> None:
        self.held: list[Arrival] = []
        self.values = 0

    def add(self, chunk: Chunk, now: float) -> None:
        insort(self.held, Arrival(chunk, now), key=lambda each: each.chunk.first)
        self.values += chunk.samples.size

    def pop(self) -> Arrival:
        arrival = self.held.pop(0)
        self.values -= arrival.chunk.samples.size
        return arrival

    def full(self) -> bool:
        return len(self.held) > MAX_FRAMES or self.values > MAX_VALUES

    def oldest(self) -> float:
        return min(each.at for each in self.held)

    def covers(self, chunk: Chunk) -> bool:
        return any(
            each.chunk.first <= chunk.first and _end(chunk) <= _end(each.chunk)
            for each in self.held
        )


class ReorderBuffer:
    """The frames of all streams that wait. Every frame that is held comes out once, in order."""

    def __init__(self, max_wait: float, observer: Observer) -> None:
        """A frame waits at most ``max_wait`` seconds; with 0, none ever does."""
        self.max_wait, self._observer = max_wait, observer
        self._early: dict[str, _Early] = {}
        self._values = 0  # held of all streams
        self._due: deque[tuple[float, str]] = (
            deque()
        )  # an entry for each frame held, and stale ones

    def holds(self, stream: str) -> bool:
        """Whether frames of ``stream`` wait."""
        return stream in self._early

    def repeats(self, chunk: Chunk) -> bool:
        """Whether a frame that waits has all that ``chunk`` has."""
        early = self._early.get(chunk.stream)
        return early is not None and early.covers(chunk)

    def sort(self, chunk: Chunk, expected: int, now: float) -> list[Arrival]:
        """The frames that are in order now that ``chunk`` is here; it waits if not among them.

        ``expected`` is the stream's next sample. The first of the frames may lie beyond it: where
        there is no room, or no time left, to wait for what is missing.
        """
        if self.max_wait <= 0:
            return [Arrival(chunk, now)]
        early = self._early.get(chunk.stream)
        if early is not None and expected < _end(chunk) <= early.held[-1].chunk.first:
            self._observer.reordered()
        if chunk.first > expected:
            return self._hold(chunk, now)
        return [Arrival(chunk, now), *self._follow(chunk.stream, max(expected, _end(chunk)), now)]

    def release(self, stream: str) -> list[Arrival]:
        """All frames of ``stream`` that wait: what belongs before them will not come."""
        out: list[Arrival] = []
        while (early := self._early.get(stream)) is not None:
            out += self._skip(stream, early)
        return out

    def release_all(self) -> list[Arrival]:
        """All frames that wait."""
        self._due.clear()
        return [each for stream in tuple(self._early) for each in self.release(stream)]

    def due(self, now: float) -> Iterator[Arrival]:
        """The frames that, at ``now``, have waited long enough, and what follows them."""
        while self._due and self._due[0][0] <= now:
            _, stream = self._due.popleft()
            early = self._early.get(stream)
            while early is not None and early.held and early.oldest() + self.max_wait <= now:
                yield from self._skip(stream, early)

    def deadline(self) -> float | None:
        """When `due` next may have something; None if nothing waits."""
        return self._due[0][0] if self._due else None

    def _hold(self, chunk: Chunk, now: float) -> list[Arrival]:
        early = self._early.setdefault(chunk.stream, _Early())
        early.add(chunk, now)
        self._values += chunk.samples.size
        self._due.append((now + self.max_wait, chunk.stream))
        out: list[Arrival] = []
        while early.held and (early.full() or self._values > MAX_VALUES_OF_ALL):
            out += self._skip(chunk.stream, early)
        return out

    def _skip(self, stream: str, early: _Early) -> list[Arrival]:
        """The first frame that waits, though others are missing before it, and what follows it."""
        first = self._pop(early)
        return [first, *self._follow(stream, _end(first.chunk), first.at)]

    def _pop(self, early: _Early) -> Arrival:
        arrival = early.pop()
        self._values -= arrival.chunk.samples.size
        return arrival

    def _follow(self, stream: str, expected: int, now: float) -> list[Arrival]:
        """What waits and continues at ``expected``; it was of no use before ``now``."""
        early = self._early.get(stream)
        out: list[Arrival] = []
        while early is not None and early.held and early.held[0].chunk.first <= expected:
            chunk, at = self._pop(early)
            expected, now = max(expected, _end(chunk)), max(at, now)
            out.append(Arrival(chunk, now))
        if early is not None and not early.held:
            del self._early[stream]
        return out


def _end(chunk: Chunk) -> int:
    return chunk.first + len(chunk.samples)
