"""Frames that wait to be decoded, each with its time of arrival.

ZeroMQ does not say how long a frame has been in its queue, so that one is emptied into this one.
Reads nothing of a frame but its topic.
"""

from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from beatgan_daemon.sockets.ingest_socket import QUEUE_BYTES

FRAMES_PER_PULL = 256  # then frames are decoded, even if more have arrived
BYTES_PER_PULL = 2**24  # likewise, where frames are so large
FRAMES_PER_CHECK = 8  # likewise under backpressure, to find other senders
DISCARD_S = 1.0  # at most, for discarding all that waits


class Frame(NamedTuple):
    """A frame's parts, when it arrived, and a time before which it had not (monotonic seconds).

    ``sender``: the key of who sent it, or the endpoint that was called; None without keys.
    """

    parts: list[bytes]
    arrived: float
    since: float
    sender: str | None = None
    size: int = 0  # bytes


class FrameSource(Protocol):
    """Where frames come from."""

    def wait(self, seconds: float | None) -> bool:
        """Whether a frame is there, within so many seconds."""

    def receive(self) -> list[bytes] | None:
        """The next frame's parts, or None if none is there; never blocks."""


FrameFilter = Callable[[list[bytes], float], bool]  # parts, time of arrival: may it be read?
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
    ) -> None:
        """At most ``most`` frames wait here, and ``most_bytes`` with one frame more; further ones
        stay in the source.

        A frame that its sender may not send, by ``check_sender``, is dropped at once: it must not
        count as load of the stream whose name it bears.
        """
        self._source, self._most, self._clock = source, most, clock
        self._most_bytes, self._bytes = most_bytes, 0
        self._waiting: deque[Frame] = deque()
        self._emptied = clock()  # when the source last had nothing
        self._check_sender = check_sender
        self._filter: FrameFilter | None = None
        self._backpressure_topics: Callable[[bytes], bool] | None = None
        self._checks = False  # whether there is a filter or backpressure
        self._rejected = 0

    def pull(self, seconds: float) -> float:
        """Take in what has arrived; if nothing waits, wait up to ``seconds``. Seconds waited."""
        if self._pull() or self._waiting:
            return 0.0
        began = self._clock()
        arrived = self._source.wait(seconds)
        waited = self._clock() - began
        if arrived:
            self._pull()
        return waited

    def take(self) -> Frame | None:
        """The frame that has waited longest; None if none waits."""
        if not self._waiting:
            return None
        frame = self._waiting.popleft()
        self._bytes -= frame.size
        return frame

    def oldest_wait(self, now: float) -> float:
        """Seconds that the next frame has waited."""
        return now - self._waiting[0].arrived if self._waiting else 0.0

    def received_until(self) -> float:
        """All frames that arrived before this time have been taken."""
        return self._waiting[0].since if self._waiting else self._emptied

    def __len__(self) -> int:
        """How many frames wait here."""
        return len(self._waiting)

    def empty(self) -> bool:
        """Whether nothing waits, here or in the source."""
        return not self._waiting and not self._pull()

    def discard(self) -> int:
        """Discard what waits, in the source, too; how many frames."""
        frames = len(self._waiting)
        self._waiting.clear()
        self._bytes = 0
        end = self._clock() + DISCARD_S
        while (now := self._clock()) < end:
            if self._source.receive() is None:
                self._emptied = now
                break
            frames += 1
        return frames

    # --- rate limits and backpressure -------------------------------------------------------------

    def load_by_topic(self, load: Callable[[list[bytes]], int]) -> Counter[bytes]:
        """The load that waits here, by topic; ``load`` gives that of a frame."""
        found: Counter[bytes] = Counter()
        for frame in self._waiting:
            found[frame.parts[0]] += load(frame.parts)
        return found

    def set_filter(self, passes: FrameFilter | None) -> None:
        """From now on, read only what ``passes``; what waits is filtered at once."""
        self._filter = passes
        self._checks = passes is not None or self._backpressure_topics is not None
        if passes is not None:
            admitted = deque(each for each in self._waiting if passes(each.parts, each.arrived))
            self._rejected += len(self._waiting) - len(admitted)
            self._waiting = admitted
            self._bytes = sum(frame.size for frame in admitted)

    def take_rejected(self) -> int:
        """How many frames were rejected since the last call."""
        count, self._rejected = self._rejected, 0
        return count

    def apply_backpressure(self, topics: Callable[[bytes], bool] | None) -> None:
        """Leave frames in the source, which makes senders wait; None: read on.

        It ends by itself with the first frame whose topic is none of ``topics``.
        """
        self._backpressure_topics = topics
        self._checks = topics is not None or self._filter is not None

    def applies_backpressure(self) -> bool:
        """Whether it leaves frames in the source."""
        return self._backpressure_topics is not None

    def _admits(self, parts: list[bytes], now: float) -> bool:
        """Whether a frame from the source may wait here."""
        if self._backpressure_topics is not None and not self._backpressure_topics(parts[0]):
            self.apply_backpressure(None)
        if self._filter is None or self._filter(parts, now):
            return True
        self._rejected += 1
        return False

    def _room(self) -> int:
        """How many frames may be pulled now."""
        busy = self._backpressure_topics is not None and len(self._waiting) >= FRAMES_PER_PULL
        pull = FRAMES_PER_CHECK if busy else FRAMES_PER_PULL
        return min(pull, self._most - len(self._waiting))

    def _pull(self) -> int:
        """Take in what has come, up to a limit; how many frames that is."""
        now, since = self._clock(), self._emptied
        left = min(BYTES_PER_PULL, self._most_bytes - self._bytes)
        pulled, room = 0, self._room()
        while pulled < room and left > 0:
            parts = self._source.receive()
            if parts is None:
                self._emptied = now
                break
            pulled += 1
            size = sum(map(len, parts))
            left -= size
            sender = None
            if self._check_sender is not None:
                sender = self._check_sender(parts, now)
                if sender is None:
                    continue
            if not self._checks or self._admits(parts, now):
                self._waiting.append(Frame(parts, now, since, sender, size))
                self._bytes += size
        return pulled
