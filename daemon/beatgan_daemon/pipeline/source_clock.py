"""What time it was when a stream's samples were taken, by the clock of its source.

Knows what frames claim, not what is in them; no clock of its own.
"""

from collections import deque

from beatgan_daemon.pipeline.snapshot import SourceClockState

CLOCK_TOLERANCE_NS = 2_000_000  # less than a sample at 360 Hz
CLOCK_STEP_NS = 1_000_000_000  # more than this from one frame to the next is no drift
DRIFT_KNOWN_S = 60.0  # of samples; over less, the jitter of time stamps would pass for drift
ANCHORS = 16


class SourceClock:
    """UNIX times of a stream's samples, from the times its frames claim.

    One anchor holds as long as the frames agree with it to 2 ms, so that times do not depend on
    how a signal was cut; a source whose clock drifts or jumps sets a new one, which holds for the
    samples from there on. The latest anchors are remembered for onsets that lie back.
    """

    def __init__(self, fs: float, first: int, t_ns: int) -> None:
        """The first frame says that sample ``first`` was taken at ``t_ns``."""
        self._fs = fs
        self._since = self._latest = (first, t_ns)  # the clock has not jumped between the two
        self._anchors = deque([(first, t_ns)], maxlen=ANCHORS)

    def claim(self, first: int, t_ns: int) -> int:
        """A frame says that sample ``first`` was taken at ``t_ns``.

        By how many ns the source's clock jumped against its samples; 0 for a second or less.
        """
        self._latest = (first, t_ns)
        error = t_ns - self.at(first)
        if abs(error) <= CLOCK_TOLERANCE_NS:
            return 0
        self._anchors.append(self._latest)
        if abs(error) <= CLOCK_STEP_NS:
            return 0
        self._since = self._latest
        return error

    def at(self, sample: int) -> int:
        """UNIX time of ``sample`` in ns."""
        anchor = self._anchors[-1]
        if sample < anchor[0]:
            latest_first = reversed(self._anchors)
            anchor = next((each for each in latest_first if each[0] <= sample), self._anchors[0])
        return anchor[1] + round((sample - anchor[0]) * 1e9 / self._fs)

    def save(self) -> SourceClockState:
        """All that it remembers."""
        return SourceClockState(tuple(self._anchors), self._since, self._latest)

    def restore(self, clock: SourceClockState) -> None:
        """Go on with what another remembered."""
        self._anchors = deque(clock.anchors, maxlen=ANCHORS)
        self._since, self._latest = clock.since, clock.latest

    @property
    def drift_ppm(self) -> float:
        """How much faster than its samples the source's clock runs, since it last jumped.

        0 until that is known over `DRIFT_KNOWN_S` of samples.
        """
        (since, since_ns), (latest, latest_ns) = self._since, self._latest
        seconds = (latest - since) / self._fs
        if seconds < DRIFT_KNOWN_S:
            return 0.0
        return 1e6 * ((latest_ns - since_ns) * 1e-9 - seconds) / seconds
