"""The patient's own recent normal: a running reference beat and a running RR interval.

Both resist contamination: one ectopic beat, or a run of them, moves them little. Nothing here knows
scores, so what the model says never feeds back into what it is shown.
"""

from collections import deque
from math import log
from statistics import median

import numpy as np

from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles
from beatgan.window import CORE_AFTER, CORE_BEFORE


class Reference:
    """A running mean beat whose steps are bounded tick by tick (Huber's location, made recursive).

    On DS1 it separated beats better than a running median (benchmarks/reference_beat.py), for a
    fortieth of the memory and a fraction of the time.
    """

    def __init__(self, spec: PreprocessSpec) -> None:
        self._memory = spec.reference_beats
        self._bound = spec.reference_bound
        self._core = slice(spec.before - CORE_BEFORE, spec.before + CORE_AFTER)
        self._count = 0
        self.shape: Doubles | None = None  # millivolt, spec.length ticks; None before any beat

    def push(self, window: Doubles) -> None:
        """Take one more beat, in millivolt, into the reference."""
        self._count += 1
        if self.shape is None:
            self.shape = window.copy()
            return
        bound = self._bound * self.shape[self._core].std()
        step = np.clip(window - self.shape, -bound, bound)
        self.shape = self.shape + step / min(self._count, self._memory)


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
