"""Whether a stream's samples arrive as fast as its `fs` says.

A source that claims another rate than its own gives a wrong heart rate. What counts is how much
signal came from one arrival to another, over tens of seconds: neither large frames nor a gap, an
outage or the catch-up after it are a wrong rate. Knows no signal. No clock: times come in.
"""

from collections import deque
from collections.abc import Callable

TOLERANCE = 0.05  # of the claimed rate
WINDOW_S = 10.0  # over which a rate is measured, at least, ...
WINDOW_ARRIVALS = 10.0  # ... and so many times the longest wait for a frame in it
WINDOWS = 3  # in a row that deviate to the same side, or that do not: then it is believed
FASTEST = 4.1  # times the claimed rate; what comes faster is a replay
BEHIND_NS = 5_000_000_000  # samples so old that come fast are those of an outage


class ArrivalRate:
    """The rate at which one segment's samples arrive, relative to the one claimed."""

    def __init__(self, fs: float) -> None:
        self._fs = fs
        self._began: tuple[int, int, float] | None = None  # sample, its UNIX time, arrival
        self._latest, self._longest = 0.0, 0.0  # arrival; wait for one in this window
        self._ratios: deque[float] = deque(maxlen=WINDOWS)
        self._onsets: deque[int] = deque(maxlen=WINDOWS)  # where each window began
        self.deviates = False

    def pause(self) -> None:
        """The stream fell silent: what comes next begins a new window."""
        self._began = None

    def push(self, sample: int, t_ns: int, now: float, unix_ns: Callable[[], int] | None) -> bool:
        """All samples before ``sample``, of UNIX time ``t_ns`` by its source, are there at ``now``.

        ``unix_ns`` tells UNIX time; where it is None, nothing is found too fast.
        Whether `deviates` has changed.
        """
        if self._began is None:
            self._restart(sample, t_ns, now)
            return False
        first, first_ns, began = self._began
        self._longest = max(self._longest, now - self._latest)
        self._latest = now
        elapsed = now - began
        if elapsed < max(WINDOW_S, WINDOW_ARRIVALS * self._longest):
            return False
        seconds = (sample - first) / self._fs
        stamped = (t_ns - first_ns) / 1e9
        ratio = seconds / elapsed
        if ratio > 1 and self._catches_up(ratio, seconds, stamped, t_ns, unix_ns):
            ratio = 1.0
        self._ratios.append(ratio)
        self._onsets.append(first)
        self._restart(sample, t_ns, now)
        return self._judge()

    @property
    def ratio(self) -> float:
        """Over the latest windows; 1 where samples arrive as fast as claimed."""
        return sum(self._ratios) / len(self._ratios) if self._ratios else 1.0

    @property
    def onset(self) -> int:
        """The sample with which the latest windows began."""
        return self._onsets[0]

    def _restart(self, sample: int, t_ns: int, now: float) -> None:
        self._began, self._latest, self._longest = (sample, t_ns, now), now, 0.0

    @staticmethod
    def _catches_up(
        ratio: float,
        seconds: float,
        stamped: float,
        t_ns: int,
        unix_ns: Callable[[], int] | None,
    ) -> bool:
        """Whether samples come fast because they wait somewhere, or are replayed."""
        if unix_ns is None or ratio > FASTEST:
            return True
        return abs(stamped - seconds) <= TOLERANCE * seconds and unix_ns() - t_ns > BEHIND_NS

    def _judge(self) -> bool:
        if len(self._ratios) < WINDOWS:
            return False
        slow = all(each < 1 - TOLERANCE for each in self._ratios)
        fast = all(each > 1 + TOLERANCE for each in self._ratios)
        right = all(abs(each - 1) <= TOLERANCE for each in self._ratios)
        changes = right if self.deviates else slow or fast
        self.deviates ^= changes
        return changes
