"""The heart rate that the page shows: by the median of the latest good intervals."""

from collections import deque
from statistics import median
from typing import Final, NamedTuple

INTERVALS: Final = 8
STALE_S: Final = 10.0  # without a beat: there is no rate to show


class Rate(NamedTuple):
    """Beats a minute, None where unknown; ``poor``: the latest beat's signal was not good."""

    hr: float | None
    poor: bool


class HeartRate:
    """Of one stream, as its beats come."""

    def __init__(self) -> None:
        self._intervals: deque[float] = deque(maxlen=INTERVALS)
        self._last: float | None = None
        self._poor = False

    def beat(self, rr_ms: float | None, quality: str, now: float) -> None:
        """A beat, not one that is revised. ``now`` in s, by any clock that goes on."""
        self._last, self._poor = now, quality != "good"
        if rr_ms is None:
            self._intervals.clear()
        elif quality == "good" and rr_ms > 0:
            self._intervals.append(rr_ms)

    def now(self, now: float) -> Rate:
        """The rate at ``now``."""
        if self._last is None or now - self._last > STALE_S or not self._intervals:
            return Rate(None, self._poor)
        return Rate(round(60_000 / median(self._intervals), 1), self._poor)
