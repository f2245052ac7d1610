"""Frames that wait to be decoded, each with its time of arrival.

ZeroMQ does not say how long a frame has been in its queue, so that one is emptied into this one.
Reads nothing of a frame but its topic.
"""

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from beatgan_daemon.ingest.fair_queue import FairQueue, Frame
from beatgan_daemon.sockets.ingest_socket import QUEUE_BYTES

FRAMES_PER_PULL = 256  # then frames are decoded, even if more have arrived
BYTES_PER_PULL = 2**24  # likewise, where frames are so large
FRAMES_PER_CHECK = 8  # likewise under backpressure, to find other senders
DISCARD_S = 1.0  # at most, for discarding all that waits


class FrameSource(Protocol):
    """Where frames come from."""

    connection: str | int | None  # that the frame received last came by

    def wait(self, seconds: float | None) -> bool:
        """Whether a frame is there, within so many seconds."""

    def receive(self) -> list[bytes] | None:
        """The next frame's parts, or None if none is there; never blocks."""


FrameFilter = Callable[[Frame], bool]  # may it be read?
SenderCheck = Callable[[list[bytes], float], str | None]  # its sender; None: may not send it


class FrameQueue:
    """A bounded queue between a source and whoever decodes its frames."""

    def __init__(
        self,
        source: FrameSource,
        most: int,
        clock: Callable[[], float],
        check_sender: SenderCheck | None = None,
        most_bytes: int = QUEUE_BYTES,
        known: Callable[[bytes], bool] = lambda _: True,
    ) -> None:
        """At most ``most`` frames wait here, and ``most_bytes`` with one frame more; further ones
        stay in the source.

        A frame that its sender may not send, by ``check_sender``, is dropped at once: it must not
        count as load of the stream whose name it bears. ``known``: whether a topic is a stream's.
        """
        self._source, self._most, self._clock = source, most, clock
        self._most_bytes, self._bytes = most_bytes, 0
        self._waiting = FairQueue(known)
        self._emptied = clock()  # when the source last had nothing
        self._check_sender = check_sender
        self._filter: FrameFilter | None = None
        self._backpressure_topics: Callable[[bytes], bool] | None = None
        self._checks = False  # whether there is a filter or backpressure

    def pull(self, seconds: float) -> float:
        """Take in what has arrived; if nothing waits, wait up to ``seconds``. Seconds waited."""
        if self._pull() or len(self._waiting):
            return 0.0
        began = self._clock()
        arrived = self._source.wait(seconds)
        waited = self._clock() - began
        if arrived:
            self._pull()
        return waited

    def take(self) -> Frame | None:
        """The next frame, see `FairQueue`; None if none waits."""
        frame = self._waiting.take()
        if frame is not None:
            self._bytes -= frame.size
        return frame

    def charge(self, seconds: float, now: float) -> None:
        """The frame that was taken last took so many seconds, until ``now``."""
        self._waiting.charge(seconds, now)

    def oldest_wait(self, now: float) -> float:
        """Seconds that the frame has waited that has waited longest."""
        oldest = self._waiting.oldest()
        return 0.0 if oldest is None else now - oldest[0]

    def received_until(self) -> float:
        """All frames that arrived before this time have been taken."""
        oldest = self._waiting.oldest()
        return self._emptied if oldest is None else oldest[1]

    @property
    def lines(self) -> FairQueue:
        """What waits here, to ask whose it is; to be changed here alone."""
        return self._waiting

    def __len__(self) -> int:
        """How many frames wait here."""
        return len(self._waiting)

    def empty(self) -> bool:
        """Whether nothing waits, here or in the source."""
        return not len(self._waiting) and not self._pull()

    def discard(self) -> int:
        """Discard what waits, in the source, too; how many frames."""
        frames = self.drop(lambda _: True)
        end = self._clock() + DISCARD_S
        while (now := self._clock()) < end:
            if self._source.receive() is None:
                self._emptied = now
                break
            frames += 1
        return frames

    def drop(self, lines: Callable[[bytes], bool]) -> int:
        """Drop what waits here in ``lines``; how many frames."""
        dropped = self._waiting.drop(lines)
        self._bytes = sum(frame.size for frame in self._waiting)
        return dropped

    # --- rate limits and backpressure -------------------------------------------------------------

    def load_by_topic(self, load: Callable[[list[bytes]], int]) -> Counter[bytes]:
        """The load that waits here, by topic; ``load`` gives that of a frame.

        None of those of whom none waits, but some came lately.
        """
        found = Counter(dict.fromkeys(self._waiting.active(self._clock()), 0))
        for frame in self._waiting:
            found[frame.parts[0]] += load(frame.parts)
        return found

    def set_filter(self, passes: FrameFilter | None) -> None:
        """From now on, read only what ``passes``; what waits is filtered at once."""
        self._filter = passes
        self._checks = passes is not None or self._backpressure_topics is not None
        if passes is not None:
            self._waiting.retain(passes)
            self._bytes = sum(frame.size for frame in self._waiting)

    def filters(self) -> bool:
        """Whether there is a filter."""
        return self._filter is not None

    def apply_backpressure(self, topics: Callable[[bytes], bool] | None) -> None:
        """Leave frames in the source, which makes senders wait; None: read on.

        It ends by itself with the first frame whose topic is none of ``topics``.
        """
        self._backpressure_topics = topics
        self._checks = topics is not None or self._filter is not None

    def applies_backpressure(self) -> bool:
        """Whether it leaves frames in the source."""
        return self._backpressure_topics is not None

    def _admits(self, frame: Frame) -> bool:
        """Whether a frame from the source may wait here."""
        if self._backpressure_topics is not None and not self._backpressure_topics(frame.parts[0]):
            self.apply_backpressure(None)
        return self._filter is None or self._filter(frame)

    def _room(self) -> int:
        """How many frames may be let in now."""
        busy = self._backpressure_topics is not None and len(self._waiting) >= FRAMES_PER_PULL
        many = FRAMES_PER_CHECK if busy else FRAMES_PER_PULL
        return min(many, self._most - len(self._waiting))

    def _pull(self) -> int:
        """Take in what has come, up to a limit; how many frames that is."""
        now, since = self._clock(), self._emptied
        receive, waiting = self._source.receive, self._waiting
        left = min(BYTES_PER_PULL, self._most_bytes - self._bytes)
        pulled, full = 0, len(waiting) + self._room()
        while pulled < FRAMES_PER_PULL and len(waiting) < full and left > 0:
            parts = receive()
            if parts is None:
                self._emptied = now
                break
            pulled += 1
            size = sum(map(len, parts))
            left -= size
            self._take_in(parts, now, since, size)
        return pulled

    def _take_in(self, parts: list[bytes], now: float, since: float, size: int) -> None:
        """Let a frame of ``size`` bytes from the source wait here if it may."""
        sender = None
        if self._check_sender is not None:
            sender = self._check_sender(parts, now)
            if sender is None:
                return
        frame = Frame(parts, now, since, sender, size, self._source.connection)
        if not self._checks or self._admits(frame):
            self._waiting.append(frame)
            self._bytes += size
