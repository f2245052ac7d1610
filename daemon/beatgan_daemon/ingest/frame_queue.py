"""Frames that have come and wait for their turn, each with the time at which it came.

ZeroMQ's queue does not tell how long a frame has been in it; this one does, so it is kept empty.
Does not look into a frame.
"""

from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

FRAMES_PER_PULL = 256  # then those that wait have their turn, even if more have come
FRAMES_PER_LOOK = 8  # likewise while it holds back, to see who else is there
DISCARD_S = 1.0  # for throwing away what waits, before anything else must be done


class Frame(NamedTuple):
    """A frame's parts, when it came, and a time before which it did not (monotonic seconds)."""

    parts: list[bytes]
    came: float
    since: float


class FrameSource(Protocol):
    """Where frames come from."""

    def wait(self, seconds: float | None) -> bool:
        """Whether a frame is there, within so many seconds."""

    def receive(self) -> list[bytes] | None:
        """The next frame's parts, or None if none is there; never blocks."""


Passes = Callable[[list[bytes], float], bool]  # parts and when they came: is it to be read?


class FrameQueue:
    """A bounded queue between a source and whoever decodes its frames."""

    def __init__(self, source: FrameSource, most: int, clock: Callable[[], float]) -> None:
        """At most ``most`` frames wait here; further ones stay in the source."""
        self._source, self._most, self._clock = source, most, clock
        self._waiting: deque[Frame] = deque()
        self._emptied = clock()  # when the source last had nothing
        self._passes: Passes | None = None
        self._among: Callable[[bytes], bool] | None = None
        self._checks = False  # whether any of the two is to be asked
        self._turned_away = 0

    def pull(self, seconds: float) -> float:
        """Take in what has come; if nothing waits, wait for it so long. Seconds that took."""
        if self._pull() or self._waiting:
            return 0.0
        began = self._clock()
        came = self._source.wait(seconds)
        waited = self._clock() - began
        if came:
            self._pull()
        return waited

    def take(self) -> Frame | None:
        """The frame that has waited longest; None if none waits."""
        return self._waiting.popleft() if self._waiting else None

    def behind(self, now: float) -> float:
        """Seconds that the next frame has waited."""
        return now - self._waiting[0].came if self._waiting else 0.0

    def heard(self) -> float:
        """Until when all frames that came have been taken."""
        return self._waiting[0].since if self._waiting else self._emptied

    def __len__(self) -> int:
        """How many frames wait here."""
        return len(self._waiting)

    def empty(self) -> bool:
        """Whether nothing waits, here or in the source."""
        return not self._waiting and not self._pull()

    def discard(self) -> int:
        """Throw away what waits, in the source, too; how many frames that was."""
        frames = len(self._waiting)
        self._waiting.clear()
        end = self._clock() + DISCARD_S
        while (now := self._clock()) < end:
            if self._source.receive() is None:
                self._emptied = now
                break
            frames += 1
        return frames

    # --- floods -------------------------------------------------------------------------------

    def crowd(self, load: Callable[[list[bytes]], int]) -> Counter[bytes]:
        """How much waits here, by topic, a frame counting as much as ``load`` says."""
        found: Counter[bytes] = Counter()
        for frame in self._waiting:
            found[frame.parts[0]] += load(frame.parts)
        return found

    def limit(self, passes: Passes | None) -> None:
        """From now on, read only what ``passes``; what waits is looked through at once."""
        self._passes = passes
        self._checks = passes is not None or self._among is not None
        if passes is not None:
            kept = deque(each for each in self._waiting if passes(each.parts, each.came))
            self._turned_away += len(self._waiting) - len(kept)
            self._waiting = kept

    def turned_away(self) -> int:
        """How many frames did not pass since this was last asked."""
        count, self._turned_away = self._turned_away, 0
        return count

    def hold_back(self, among: Callable[[bytes], bool] | None) -> None:
        """Leave frames in the source, which makes senders wait, while all are ``among`` those.

        It ends by itself with the first frame of another topic.
        """
        self._among = among
        self._checks = among is not None or self._passes is not None

    def holds_back(self) -> bool:
        """Whether it does."""
        return self._among is not None

    def _admits(self, parts: list[bytes], now: float) -> bool:
        """Whether a frame from the source may wait here."""
        if self._among is not None and not self._among(parts[0]):
            self.hold_back(None)
        if self._passes is None or self._passes(parts, now):
            return True
        self._turned_away += 1
        return False

    def _room(self) -> int:
        """How many frames may be pulled now."""
        busy = self._among is not None and len(self._waiting) >= FRAMES_PER_PULL
        pull = FRAMES_PER_LOOK if busy else FRAMES_PER_PULL
        return min(pull, self._most - len(self._waiting))

    def _pull(self) -> int:
        """Take in what has come, up to a limit; how many frames that is."""
        now, since = self._clock(), self._emptied
        room = self._room()
        for pulled in range(room):
            parts = self._source.receive()
            if parts is None:
                self._emptied = now
                return pulled
            if not self._checks or self._admits(parts, now):
                self._waiting.append(Frame(parts, now, since))
        return room
