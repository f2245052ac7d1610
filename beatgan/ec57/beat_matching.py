"""Beat-by-beat comparison of a detector with a reference, after ANSI/AAMI EC57.

Works on sample indices alone; it knows neither waveforms nor scores, and no file.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Self

import numpy as np

from beatgan.ec57.annotations import Reference
from beatgan.types import Bools, Doubles, Ints

WINDOW_S = 0.15  # EC57: a detection within 150 ms of a reference beat is that beat
NARROW_S = 0.05  # the stricter window that shows whether R peaks are exact

Spans = Sequence[tuple[int, int]]  # [first, last) in samples


@dataclass(frozen=True, slots=True)
class Pairs:
    """Which detection is which reference beat: indices into both, of the same length."""

    reference: Ints
    detected: Ints


@dataclass(frozen=True, slots=True)
class BeatCounts:
    """How well beats were found. ``errors_ms`` are the signed errors of the matched R peaks.

    ``in_shutdown``: how many of the ``fn`` missed beats lie in declared shutdowns. As in EC57 they
    count against the sensitivity; they are also counted on their own.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0
    errors_ms: Doubles = field(default_factory=lambda: np.zeros(0))
    in_shutdown: int = 0

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
        """The median absolute R-peak error; nan without matches."""
        return float(np.median(np.abs(self.errors_ms))) if self.tp else nan

    def __add__(self, other: Self) -> Self:
        """The gross figures of two records together."""
        return type(self)(
            self.tp + other.tp,
            self.fp + other.fp,
            self.fn + other.fn,
            np.concatenate([self.errors_ms, other.errors_ms]),
            self.in_shutdown + other.in_shutdown,
        )


@dataclass(frozen=True, slots=True)
class BeatFigures:
    """One record's or several records' figures: at the window asked for, and at `NARROW_S`.

    ``seconds`` were compared, ``shutdown_s`` of them lie in declared shutdowns.
    """

    wide: BeatCounts = field(default_factory=BeatCounts)
    narrow: BeatCounts = field(default_factory=BeatCounts)
    seconds: float = 0.0
    shutdown_s: float = 0.0

    @property
    def shutdown_share(self) -> float:
        """The share of the time in declared shutdowns; nan without any time."""
        return self.shutdown_s / self.seconds if self.seconds > 0 else nan

    def __add__(self, other: Self) -> Self:
        """The gross figures of both."""
        return type(self)(
            self.wide + other.wide,
            self.narrow + other.narrow,
            self.seconds + other.seconds,
            self.shutdown_s + other.shutdown_s,
        )


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
    matched: list[int] = []
    for k in order.tolist():
        if free_ref[ref[k]] and free_det[det[k]]:
            free_ref[ref[k]] = free_det[det[k]] = False
            matched.append(k)
    matched.sort()
    return Pairs(ref[matched].astype(np.int64), det[matched].astype(np.int64))


def compare(
    reference: Reference,
    detected: Ints,
    window_s: float = WINDOW_S,
    *,
    start_s: float = 0.0,
    shutdowns: Spans = (),
) -> BeatCounts:
    """Compare detections with the reference beats of the same record, in its samples.

    What was detected inside flutter counts neither for nor against the detector. Beats before
    ``start_s`` (seconds) are matched, so that no pair is split there, but not counted.
    ``shutdowns`` are the spans in which the detector declared that it does not detect beats.
    """
    detected = np.sort(detected[~reference.in_flutter(detected)])
    pairs = match(reference.sample, detected, window_s * reference.fs)
    start = start_s * reference.fs
    counted = reference.sample[pairs.reference] >= start
    missed = _others(reference.sample, pairs.reference, start)
    errors = (detected[pairs.detected] - reference.sample[pairs.reference])[counted]
    return BeatCounts(
        tp=len(errors),
        fp=len(_others(detected, pairs.detected, start)),
        fn=len(missed),
        errors_ms=errors.astype(np.float64) * (1000.0 / reference.fs),
        in_shutdown=int(_inside(missed, shutdowns).sum()),
    )


def compare_record(
    reference: Reference,
    detected: Ints,
    seconds: float,
    window_s: float = WINDOW_S,
    *,
    start_s: float = 0.0,
    shutdowns: Spans = (),
) -> BeatFigures:
    """The figures of one record that lasts ``seconds``; both count samples at one rate."""
    wide, narrow = (
        compare(reference, detected, each, start_s=start_s, shutdowns=shutdowns)
        for each in (window_s, NARROW_S)
    )
    down = seconds_in(shutdowns, reference.fs, start_s, seconds)
    return BeatFigures(wide, narrow, max(0.0, seconds - start_s), down)


def seconds_in(spans: Spans, fs: float, start_s: float, end_s: float) -> float:
    """How many of the seconds from ``start_s`` to ``end_s`` lie in any of ``spans``."""
    total, counted_to = 0.0, start_s
    for first, last in sorted(spans):
        until = min(last / fs, end_s)
        total += max(0.0, until - max(first / fs, counted_to))
        counted_to = max(counted_to, until)
    return total


def _others(samples: Ints, paired: Ints, start: float) -> Ints:
    """Those of ``samples`` from ``start`` on that have no pair."""
    alone = np.delete(samples, paired)
    return alone[alone >= start]


def _inside(samples: Ints, spans: Spans) -> Bools:
    inside = np.zeros(len(samples), dtype=np.bool_)
    for first, last in spans:
        inside |= (first <= samples) & (samples < last)
    return inside
