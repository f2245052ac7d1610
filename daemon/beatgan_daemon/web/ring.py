"""The latest minute of one stream, by the source's own count of samples; and its envelope.

Everybody who looks at the stream reads the same ring, each with a cursor of his own.
"""

from collections import deque
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from beatgan_daemon.web.units import LOST, Units

SECONDS: Final = 60.0
MOST_BYTES: Final = 2**20  # of one ring: of many leads at a high rate it is shorter
LATE: Final = 64  # such stretches that are remembered
PAIRS_A_SECOND: Final = 48.0  # at most: 12.5 mm/s are 47 CSS pixels a second


class Ring:
    """One stream's samples, of one epoch, rate and set of leads."""

    def __init__(self, epoch: int, fs: float, leads: tuple[str, ...], first: int) -> None:
        """Empty; sample ``first`` is to come next. ``fs`` in Hz."""
        self.epoch, self.fs, self.leads = epoch, fs, leads
        self.step = max(1, ceil(fs / PAIRS_A_SECOND))  # samples of a pair
        most = MOST_BYTES // (2 * len(leads))
        size = min(round(SECONDS * fs), most)
        self._size = max(self.step, size - size % self.step)  # a pair is never cut
        self._samples = np.full((len(leads), self._size), LOST, np.int16)
        self.start = self.end = first
        self.late_count = 0  # stretches that came after what follows them
        self._late: deque[tuple[int, int]] = deque(maxlen=LATE)

    def fits(self, epoch: int, fs: float, leads: tuple[str, ...]) -> bool:
        """Whether samples of these are this ring's."""
        return (epoch, fs, leads) == (self.epoch, self.fs, self.leads)

    def write(self, first: int, units: Units) -> None:
        """Samples (n, leads) from ``first`` on. What is missing before them is lost, until it
        comes after all; what is there already stays."""
        units = units[-self._size :] if len(units) > self._size else units
        last = first + len(units)
        if last > self.end:
            if first > self.end:
                self._fill(self.end, first)
            begin = max(first, self.end)
            self._put(begin, units[begin - first :])
            late_end, self.end = min(first + len(units), self.end), last
            self.start = max(self.start, self.end - self._size)
        else:
            late_end = last
        begin = max(first, self.start)
        if begin < late_end:
            self._mend(begin, units[begin - first : late_end - first])

    def _fill(self, begin: int, end: int) -> None:
        begin = max(begin, end - self._size)
        self._put(begin, np.full((end - begin, len(self.leads)), LOST, np.int16))

    def _put(self, begin: int, units: Units) -> None:
        places = np.arange(begin, begin + len(units)) % self._size
        self._samples[:, places] = units.T

    def _mend(self, begin: int, units: Units) -> None:
        """Samples that came late: only where there was nothing."""
        places = np.arange(begin, begin + len(units)) % self._size
        there = self._samples[:, places]
        new = (there == LOST) & (units.T != LOST)
        if new.any():
            self._samples[:, places] = np.where(new, units.T, there)
            self._late.append((begin, begin + len(units)))
            self.late_count += 1

    def late(self, since: int) -> list[tuple[int, int]]:
        """The stretches that came late, from number ``since`` on; the latest LATE at most."""
        count = min(self.late_count - since, len(self._late))
        return list(self._late)[len(self._late) - count :]

    def samples(self, lead: int, begin: int, end: int) -> Units:
        """Those of one lead from ``begin`` to ``end``, which the ring must have."""
        units: Units = self._samples[lead, np.arange(begin, end) % self._size]
        return units

    def pairs(self, lead: int, begin: int, end: int) -> NDArray[np.int16]:
        """The least and the greatest of each ``step`` samples, (n, 2); both ends are whole steps.

        Lost samples count for nothing; where there are no others the pair is lost. Not every
        so-manieth sample: that would lose the R peaks.
        """
        block = self.samples(lead, begin, end).reshape(-1, self.step)
        lost = block == LOST
        low = np.where(lost, np.int16(32_767), block).min(axis=1)
        high = np.where(lost, np.int16(LOST), block).max(axis=1)  # lost where all are
        return np.stack([np.where(high == LOST, np.int16(LOST), low), high], axis=1)
