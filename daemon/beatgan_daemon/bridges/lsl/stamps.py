"""Samples lost between a device and its LSL outlet, found in their time stamps.

The samples are counted; the stamps only say where some are missing. Stamps are made when a packet
arrives, or are reckoned by a wrong rate, so that they jitter, come late in bursts and jump back: a
line is laid through those of the last minute, and what lies further from it than they usually do is
looked at for a second before it is believed. Knows no socket and no clock but those it is told.
"""

from collections import deque
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from beatgan.types import Floats

Stamps = NDArray[np.float64]

HALF: Final = 0.5  # of a sample: stamps that are so much later than expected have one missing
HOLD_S: Final = 1.0  # of signal behind a jump, by which it is known what it was
MAX_HOLD_S: Final = 10.0  # of signal that never settles
LEARN_S: Final = 5.0  # of a young stream: how much its stamps jitter is not known before
YOUNG_S: Final = 1.0  # what is a jump in it
LINE_S: Final = (
    60.0  # of the past, through which the line is laid, and in which jitter is looked at
)
BLOCK_S: Final = 0.1  # of consecutive stamps whose mean is one point of it
LAY_S: Final = 1.0  # from one line to the next
RATE_S: Final = 30.0  # from which on the true rate is known: to 0.01 % with 30 ms of jitter
QUIET_S: Final = 2.0  # a gap may be so much longer than the time in which nothing came


class Piece(NamedTuple):
    """Samples, (n, leads), and how many were lost before them; ``stamp``: of the first, smoothed.
    ``stepped``: the source's clock jumped there."""

    lost: int
    samples: Floats
    stamp: float
    stepped: bool = False


class GapFinder:
    """Of one stream; used by one thread. Times in seconds."""

    def __init__(self, fs: float) -> None:
        """``fs``: the rate that the source states."""
        self._fs = fs
        self._index = 0  # of the next sample that is let through, lost ones included
        self._held_samples: list[Floats] = []
        self._held_stamps: list[Stamps] = []
        self._heard_at: float | None = None  # by our clock, the last before those held
        self._quiet = 0.0  # how long nothing came before them
        self._begin()

    def _begin(self) -> None:
        """A line of a new clock."""
        self._blocks: deque[_Block] = deque()
        self._rest: Stamps = np.empty(0)  # stamps of the block to come
        self._rest_first = self._index
        self._unlaid = 0  # blocks since the line was laid
        self._origin: tuple[float, float] | None = None  # an index, and its time
        self._step, self._jitter = 1 / self._fs, 0.0
        self._young_until = self._index + LEARN_S * self._fs

    @property
    def rate(self) -> float | None:
        """True samples a second; None while it is not known."""
        known = len(self._blocks) > 1 and self._span() >= RATE_S * self._fs
        return 1 / self._step if known else None

    def _span(self) -> int:
        return self._blocks[-1].first - self._blocks[0].first

    def push(self, samples: Floats, stamps: Stamps, now: float) -> list[Piece]:
        """The next samples, (n, leads), and their stamps; what is let through by now."""
        if not len(samples):
            return self.settle(now)
        quiet = 0.0 if self._heard_at is None else now - self._heard_at
        self._heard_at = now
        let: list[Piece] = []
        if self._held_stamps:
            self._quiet = max(self._quiet, quiet)
        else:
            first = self._first_odd(stamps)
            if first:
                let = [self._let(samples[:first], stamps[:first])]
            if first == len(stamps):
                return let
            self._quiet = quiet
            samples, stamps = samples[first:], stamps[first:]
        self._held_samples.append(samples)
        self._held_stamps.append(stamps)
        return [*let, *self.settle(now)]

    def settle(self, now: float) -> list[Piece]:
        """What was held, once it is known, or nothing more comes that would show."""
        if not self._held_stamps:
            return []
        off = self._off(np.concatenate(self._held_stamps))
        tolerance, held_s = self._tolerance(), len(off) / self._fs
        if abs(off[-1]) <= tolerance:
            return [self._release(0)]
        silent = self._heard_at is not None and now - self._heard_at > HOLD_S
        latest = off[-max(1, round(HOLD_S * self._fs)) :]
        steady = np.ptp(latest) <= tolerance
        if not silent and held_s < MAX_HOLD_S and not (steady and held_s >= HOLD_S):
            return []
        late = float(np.median(latest))
        if held_s < HOLD_S and abs(late) <= YOUNG_S:
            return [self._release(0)]  # too little to tell: what follows will show it
        return [self._release(self._lost(late))]

    def _lost(self, late: float) -> int | None:
        """How many samples are missing where stamps lie so much ``late``; None: a clock stepped."""
        if late < 0 or late > self._quiet + QUIET_S:
            return None
        return round(late / self._step)

    def _release(self, lost: int | None) -> Piece:
        samples, stamps = np.concatenate(self._held_samples), np.concatenate(self._held_stamps)
        self._held_samples, self._held_stamps = [], []
        caught_up = lost == 0
        if lost is None:
            lost = round(self._quiet / self._step) if self._quiet > QUIET_S else 0
            self._index += lost
            self._begin()
            return self._let(samples, stamps)._replace(lost=lost, stepped=True)
        self._index += lost
        return self._let(samples, stamps, late=caught_up)._replace(lost=lost)

    def _off(self, stamps: Stamps) -> Stamps:
        """How much later than expected each of the next samples' ``stamps`` is."""
        if self._origin is None:
            self._origin = self._index, float(stamps[0])
        return stamps - self._expected(self._index, len(stamps))

    def _expected(self, first: int, count: int) -> Stamps:
        """The line's times of so many samples."""
        assert self._origin is not None
        index, time = self._origin
        return np.asarray(time + (first - index + np.arange(count)) * self._step)

    def _first_odd(self, stamps: Stamps) -> int:
        odd = np.abs(self._off(stamps)) > self._tolerance()
        return int(np.argmax(odd)) if odd.any() else len(stamps)

    def _tolerance(self) -> float:
        usual = HALF / self._fs + self._jitter
        return max(usual, YOUNG_S) if self._index < self._young_until else usual

    def _let(self, samples: Floats, stamps: Stamps, *, late: bool = False) -> Piece:
        """Count samples; ``late``: their stamps say nothing of the line."""
        smoothed = float(stamps[0] - self._off(stamps[:1])[0])
        if not late:
            self._learn(stamps)
        self._index += len(samples)
        return Piece(0, samples, smoothed)

    def _learn(self, stamps: Stamps) -> None:
        """Cut what follows without a gap into blocks, and lay the line anew when there are ten."""
        if self._rest_first + len(self._rest) != self._index:
            self._rest, self._rest_first = stamps[:0], self._index
        self._rest = np.concatenate([self._rest, stamps])
        size = max(1, round(BLOCK_S * self._fs))
        while len(self._rest) >= size:
            self._blocks.append(_Block(self._rest_first, self._rest[:size]))
            self._rest, self._rest_first = self._rest[size:], self._rest_first + size
            self._unlaid += 1
            if self._unlaid >= LAY_S / BLOCK_S:
                self._lay()
        while self._blocks and self._span() > LINE_S * self._fs:
            self._blocks.popleft()

    def _lay(self) -> None:
        """The line through the blocks' means, and how far stamps lie round it."""
        self._unlaid = 0
        size = len(self._blocks[0].stamps)
        index = np.array([block.first for block in self._blocks], np.float64) + (size - 1) / 2
        time = np.array([block.stamps.mean() for block in self._blocks])
        index0, time0 = index[-1], time[-1]
        if self._span() >= LEARN_S * self._fs:
            self._step = float(np.polyfit(index - index0, time - time0, 1)[0])
        mean = float(np.mean(time - time0 - (index - index0) * self._step))
        self._origin = float(index0), float(time0) + mean
        off = [block.stamps - self._expected(block.first, size) for block in self._blocks]
        self._jitter = float(np.ptp(np.concatenate(off)))


class _Block(NamedTuple):
    """Stamps of consecutive samples, the first of which has this index."""

    first: int
    stamps: Stamps
