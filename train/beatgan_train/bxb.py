"""Beat-by-beat comparison of a detector with a reference, after ANSI/AAMI EC57.

Works on sample indices alone; it knows neither waveforms nor scores.
"""

from dataclasses import dataclass
from math import nan
from typing import Self

import numpy as np

from beatgan.types import Doubles, Ints
from beatgan_train.annotations import Reference

WINDOW_S = 0.15  # EC57: a detection within 150 ms of a reference beat is that beat


@dataclass(frozen=True, slots=True)
class Pairs:
    """Which detection is which reference beat: indices into both, of the same length."""

    reference: Ints
    detected: Ints


@dataclass(frozen=True, slots=True)
class Detection:
    """How well beats were found. ``errors_ms`` are the matched apexes' signed errors."""

    tp: int
    fp: int
    fn: int
    errors_ms: Doubles

    @property
    def sensitivity(self) -> float:
        """The share of the reference beats that were found; nan without any."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else nan

    @property
    def ppv(self) -> float:
        """The share of the detections that are reference beats; nan without any."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else nan

    @property
    def f1(self) -> float:
        """The harmonic mean of sensitivity and positive predictive value; nan without beats."""
        total = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / total if total else nan

    @property
    def median_error_ms(self) -> float:
        """The median absolute apex error; nan without matches."""
        return float(np.median(np.abs(self.errors_ms))) if self.tp else nan

    def __add__(self, other: Self) -> Self:
        """The gross figures of two records together."""
        return type(self)(
            self.tp + other.tp,
            self.fp + other.fp,
            self.fn + other.fn,
            np.concatenate([self.errors_ms, other.errors_ms]),
        )


NOTHING = Detection(0, 0, 0, np.zeros(0))


def match(reference: Ints, detected: Ints, within: float) -> Pairs:
    """Pair each reference beat with at most one detection, nearest pairs first.

    Both are sorted sample indices; a pair may lie at most ``within`` samples apart.
    """
    near_first = np.searchsorted(detected, reference - within, side="left")
    near_last = np.searchsorted(detected, reference + within, side="right")
    count = near_last - near_first
    ref = np.repeat(np.arange(len(reference)), count)
    det = np.arange(len(ref)) - np.repeat(np.cumsum(count) - count - near_first, count)
    order = np.lexsort((det, ref, np.abs(reference[ref] - detected[det])))
    free_ref = np.ones(len(reference), dtype=np.bool_)
    free_det = np.ones(len(detected), dtype=np.bool_)
    kept: list[int] = []
    for k in order.tolist():
        if free_ref[ref[k]] and free_det[det[k]]:
            free_ref[ref[k]] = free_det[det[k]] = False
            kept.append(k)
    kept.sort()
    return Pairs(ref[kept].astype(np.int64), det[kept].astype(np.int64))


def compare(reference: Reference, detected: Ints, window_s: float = WINDOW_S) -> Detection:
    """Compare detections with the reference beats of the same record, in its samples.

    What was detected inside flutter counts neither for nor against the detector.
    """
    detected = np.sort(detected[~reference.in_flutter(detected)])
    pairs = match(reference.sample, detected, window_s * reference.fs)
    errors = detected[pairs.detected] - reference.sample[pairs.reference]
    found = len(errors)
    return Detection(
        tp=found,
        fp=len(detected) - found,
        fn=len(reference.sample) - found,
        errors_ms=errors.astype(np.float64) * (1000.0 / reference.fs),
    )
