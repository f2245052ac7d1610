"""What time it was when a stream's samples were taken, by the clock of its source.

Knows what frames claim, not what is in them; no clock of its own.
"""

from typing import NamedTuple

from beatgan.pipeline.snapshot import SourceClockState
from beatgan.types import MAX_TIME_NS, MIN_TIME_NS

CLOCK_TOLERANCE_NS = 2_000_000  # less than a sample at 360 Hz
CLOCK_STEP_NS = 1_000_000_000  # more than this from one frame to the next is no drift
DRIFT_KNOWN_S = 60.0  # of samples; over less, the jitter of time stamps would pass for drift
ANCHORS = 64


def representable(t_ns: int) -> int:
    """The time nearest to ``t_ns`` that 64 bits can hold."""
    return min(max(t_ns, MIN_TIME_NS), MAX_TIME_NS)


class SourceTimes(NamedTuple):
    """Times by the anchors known at one moment, whatever the source claims later."""

    fs: float
    anchors: tuple[tuple[int, int], ...]  # samples and their UNIX times in ns

    def at(self, sample: int) -> int:
        """UNIX time of ``sample`` in ns, as far as 64 bits hold it."""
        return representable(self.reckoned(sample))

    def reckoned(self, sample: int) -> int:
        """UNIX time of ``sample`` in ns, be it beyond 64 bits."""
        anchor = self.anchors[-1]
        if sample < anchor[0]:
            latest_first = reversed(self.anchors)
            anchor = next((each for each in latest_first if each[0] <= sample), self.anchors[0])
        return anchor[1] + round((sample - anchor[0]) * 1e9 / self.fs)


class SourceClock:
    """UNIX times of a stream's samples, from the times its frames claim.

    One anchor holds as long as the frames agree with it to 2 ms, so that times do not depend on
    how a signal was cut; a source whose clock drifts or jumps sets a new one, which holds for the
    samples from there on. The latest anchors are remembered for onsets that lie back. A time is
    asked of the `times` of the moment at which something became known: what came later, before its
    message was made, does not matter.
    """

    def __init__(self, fs: float, first: int, t_ns: int) -> None:
        """The first frame says that sample ``first`` was taken at ``t_ns``."""
        self._since = self._latest = (first, t_ns)  # the clock has not jumped between the two
        self.times = SourceTimes(fs, ((first, t_ns),))

    def claim(self, first: int, t_ns: int) -> int:
        """A frame says that sample ``first`` was taken at ``t_ns``.

        By how many ns the source's clock jumped against its samples; 0 for a second or less.
        """
        self._latest = (first, t_ns)
        error = t_ns - self.times.reckoned(first)
        if abs(error) <= CLOCK_TOLERANCE_NS:
            return 0
        anchors = (*self.times.anchors, self._latest)[-ANCHORS:]
        self.times = SourceTimes(self.times.fs, anchors)
        if abs(error) <= CLOCK_STEP_NS:
            return 0
        self._since = self._latest
        return error

    def save(self) -> SourceClockState:
        """All that it remembers."""
        return SourceClockState(self.times.anchors, self._since, self._latest)

    def restore(self, clock: SourceClockState) -> None:
        """Go on with what another remembered."""
        self.times = SourceTimes(self.times.fs, clock.anchors)
        self._since, self._latest = clock.since, clock.latest

    @property
    def drift_ppm(self) -> float:
        """How much faster than its samples the source's clock runs, since it last jumped.

        0 until that is known over `DRIFT_KNOWN_S` of samples.
        """
        (since, since_ns), (latest, latest_ns) = self._since, self._latest
        seconds = (latest - since) / self.times.fs
        if seconds < DRIFT_KNOWN_S:
            return 0.0
        return 1e6 * ((latest_ns - since_ns) * 1e-9 - seconds) / seconds
