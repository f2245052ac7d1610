"""The patient's own recent normal: a running reference beat and a running RR interval.

Both resist contamination: one ectopic beat, or a run of them, moves them little. Nothing here knows
scores, so what the model says never feeds back into what it is shown.
"""

from math import log

import numpy as np

from beatgan.compiled import compiled
from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles
from beatgan.window import CORE_AFTER, CORE_BEFORE, mean

USUAL_SHARE = 0.3  # of the usual distance that is forgiven
USUAL_DISTANCE = -3.5  # of a clean signal; assumed until one beat was compared
LEAST_USUAL, MOST_USUAL = -6.0, -1.5  # beyond, the usual is not believed: noise, or all ectopic
LONG = 0.9  # the quantile of recent RR intervals that counts as a whole one
REGULAR = 0.1  # of the logarithm of RR: what even a steady heart's intervals vary
REPEATS = 4  # beats after which a repeating rhythm repeats itself, at the most


@compiled
def _moved(shape: Doubles, window: Doubles, weight: float, bound: float, before: int) -> Doubles:
    """``shape`` moved towards ``window``, by at most ``bound`` standard deviations of its core."""
    start, stop = before - CORE_BEFORE, before + CORE_AFTER
    level = mean(shape, start, stop)
    variance = 0.0
    for i in range(start, stop):
        variance += (shape[i] - level) ** 2
    limit = bound * np.sqrt(variance / (stop - start))
    moved = np.empty_like(shape)
    for i in range(shape.size):
        moved[i] = shape[i] + weight * min(max(window[i] - shape[i], -limit), limit)
    return moved


class Reference:
    """A running mean beat whose steps are bounded tick by tick (Huber's location, made recursive).

    On DS1 it separated beats better than a running median (benchmarks/reference_beat.py), for a
    fortieth of the memory and a fraction of the time.
    """

    def __init__(self, spec: PreprocessSpec) -> None:
        self._spec = spec
        self._count = 0
        self.shape: Doubles | None = None  # millivolt, spec.length ticks; None before any beat

    def push(self, window: Doubles) -> None:
        """Take one more beat, in millivolt, into the reference."""
        self._count += 1
        if self.shape is None:
            self.shape = window.copy()
            return
        weight = 1 / min(self._count, self._spec.reference_beats)
        bound, before = self._spec.reference_bound, self._spec.before
        self.shape = _moved(self.shape, window, weight, bound, before)


class Usual:
    """How far this patient's beats usually are from the reference, so that noise is no anomaly.

    A running median, trusted in part only: where most beats are ectopic, they are the usual.
    """

    def __init__(self, spec: PreprocessSpec) -> None:
        self._recent = np.full(spec.reference_beats, np.nan)

    def push(self, distance: float) -> float:
        """``distance`` less a share of what was usual before it."""
        usual = _median(self._recent)
        _shift(self._recent, distance)
        known = USUAL_DISTANCE if np.isnan(usual) else usual
        return distance - USUAL_SHARE * min(max(known, LEAST_USUAL), MOST_USUAL)


class Intervals:
    """RR intervals in samples, and how premature the latest one is."""

    def __init__(self, spec: PreprocessSpec) -> None:
        self._recent = np.full(spec.rr_beats, np.nan)  # natural logarithms, the newest last
        self._last: int | None = None

    def push(self, apex: int, follows: bool) -> tuple[int | None, float]:
        """The interval before ``apex`` and its prematurity; None and 0 where signal was lost in it.

        Prematurity is ``max(0, log(long RR / RR)) / (REGULAR + irregularity)``, where the long RR
        is the 90 % quantile of the recent ones: 0 for on time or late. A median would take a run
        of premature beats, or two beats of three, for the rhythm. The irregularity keeps
        fibrillating atria from being one alarm a beat.
        """
        last, self._last = self._last, apex
        if last is None or not follows:
            return None, 0.0
        interval = apex - last
        prematurity = _prematurity(self._recent, log(interval))
        _shift(self._recent, log(interval))
        return interval, prematurity


@compiled
def _shift(values: Doubles, newest: float) -> None:
    """Drop the oldest of ``values`` and append ``newest``."""
    for i in range(values.size - 1):
        values[i] = values[i + 1]
    values[values.size - 1] = newest


@compiled
def _median(values: Doubles) -> float:
    """The median of what is known of ``values``; NaN if nothing is."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else np.nan


@compiled
def _irregularity(logs: Doubles) -> float:
    """How far an interval typically is from the one that repeats it: a beat, or 2, 3, 4, earlier.

    So bigeminy and its kin, which repeat themselves, are regular; atrial fibrillation is not.
    """
    least = np.inf
    for lag in range(1, min(REPEATS, logs.size // 2) + 1):
        least = min(least, float(np.median(np.abs(logs[lag:] - logs[:-lag]))))
    return least if least < np.inf else 0.0


@compiled
def _prematurity(recent: Doubles, newest: float) -> float:
    """See Intervals.push; all are logarithms of intervals."""
    logs = recent[~np.isnan(recent)]
    if logs.size == 0:
        return 0.0
    late = np.sort(logs)[round(LONG * (logs.size - 1))] - newest
    return float(max(0.0, late) / (REGULAR + _irregularity(logs)))
