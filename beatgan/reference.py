"""The patient's own recent normal: a running reference beat and a running RR interval.

Both resist contamination: one ectopic beat, or a run of them, moves them little. Nothing here knows
scores, so what the model says never feeds back into what it is shown.
"""

from collections import deque
from math import log
from statistics import median

import numpy as np

from beatgan.compiled import compiled
from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles
from beatgan.window import CORE_AFTER, CORE_BEFORE, mean


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


class Intervals:
    """RR intervals in samples, and how premature the latest one is."""

    def __init__(self, spec: PreprocessSpec) -> None:
        self._recent: deque[int] = deque(maxlen=spec.rr_beats)
        self._last: int | None = None

    def push(self, apex: int, follows: bool) -> tuple[int | None, float]:
        """The interval before ``apex`` and its prematurity; None and 0 where signal was lost in it.

        Prematurity is ``max(0, -log(RR / median of the recent RR))``: 0 for on time or late.
        """
        last, self._last = self._last, apex
        if last is None or not follows:
            return None, 0.0
        interval = apex - last
        usual = median(self._recent) if self._recent else interval
        self._recent.append(interval)
        return interval, max(0.0, -log(interval / usual))
