"""How far a figure would differ with other patients: records drawn anew, with replacement.

Beats of one patient resemble one another, so patients are drawn, not beats (Efron & Tibshirani,
An Introduction to the Bootstrap, 1993). Works on numbers alone; it knows no beats.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from beatgan.types import Doubles, Ints
from beatgan_train.evaluation.ranking import Mask

DRAWS, SEED = 1000, 0
LEVEL = 0.95
BLOCK = 50  # draws at a time: more would only take memory


@dataclass(frozen=True, slots=True)
class Interval:
    """The middle LEVEL of what the draws gave; nan where none gave a figure."""

    low: float
    high: float


def draw(patients: int, draws: int = DRAWS, seed: int = SEED) -> Ints:
    """How often each of ``patients`` is drawn in each of ``draws``: (draws, patients).

    The same numbers give the same draws, so figures of several scores can be compared draw by draw.
    Of fewer than two patients there is nothing to draw: no draw, and so no interval.
    """
    if patients < 2:
        return np.zeros((0, patients), np.int64)
    even = np.full(patients, 1 / patients)
    return np.random.default_rng(seed).multinomial(patients, even, size=draws)


def interval(values: Doubles) -> Interval:
    """The percentile interval of a figure's ``values`` (draws,), those left out that are nan."""
    known = values[~np.isnan(values)]
    if not len(known):
        return Interval(np.nan, np.nan)
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def aucs(score: Doubles, positive: Mask, patient: Ints, times: Ints) -> Doubles:
    """`ranking.auc` of each draw of ``times`` (draws, patients); nan where it lacks a class.

    ``patient`` (n,) is each beat's column of ``times``. The wins of every patient's positives over
    every patient's negatives are counted once; a draw only weighs them.
    """
    wins = np.zeros((times.shape[1], times.shape[1]))
    owner = patient[positive]
    for column in range(times.shape[1]):
        against = np.sort(score[~positive & (patient == column)])
        below = np.searchsorted(against, score[positive], "left")
        level = np.searchsorted(against, score[positive], "right") - below
        wins[:, column] = np.bincount(owner, below + level / 2, times.shape[1])
    pairs = _count(times, owner) * _count(times, patient[~positive])
    return _ratio(np.einsum("di,ij,dj->d", times, wins, times, optimize=True), pairs)


def average_precisions(score: Doubles, positive: Mask, patient: Ints, times: Ints) -> Doubles:
    """`ranking.average_precision` of each draw of ``times``; nan where it lacks a class."""
    value = np.unique(score[positive])[::-1]  # the thresholds at which a positive is gained
    tp = _reached(score, value, positive, patient, times.shape[1])
    fp = _reached(score, value, ~positive, patient, times.shape[1])
    blocks = [times[first : first + BLOCK].T for first in range(0, len(times), BLOCK)]
    found = [_averages(tp, fp, block.astype(np.float64)) for block in blocks]
    against = _count(times, patient[~positive])
    return np.where(against > 0, np.concatenate([*found, np.empty(0)]), np.nan)


def shares(chosen: Mask, patient: Ints, times: Ints) -> Doubles:
    """The share of beats that are ``chosen``, in each draw; nan where it has no beat."""
    return _ratio(_count(times, patient[chosen]), _count(times, patient))


def ratios(part: Doubles, whole: Doubles, times: Ints) -> Doubles:
    """The sum of ``part`` over that of ``whole``, both (patients,), in each draw; nan for 0 / 0."""
    return _ratio(np.asarray(times @ part, np.float64), np.asarray(times @ whole, np.float64))


def _averages(tp: Doubles, fp: Doubles, weight: Doubles) -> Doubles:
    """Average precision of the draws ``weight`` (patients, draws), from counts at each value."""
    hits = tp @ weight
    flagged = hits + fp @ weight
    gained = np.diff(hits, axis=0, prepend=0.0)
    area = np.sum(gained * hits / np.maximum(flagged, 1), axis=0)  # no hit, nothing gained
    return _ratio(area, np.sum(gained, axis=0))


def _reached(
    score: Doubles, value: Doubles, members: Mask, patient: Ints, patients: int
) -> NDArray[np.float64]:
    """How many of each patient's ``members`` reach each of ``value``: (values, patients)."""
    counts = np.empty((len(value), patients))
    for column in range(patients):
        own = np.sort(score[members & (patient == column)])
        counts[:, column] = len(own) - np.searchsorted(own, value, "left")
    return counts


def _count(times: Ints, patient: Ints) -> Doubles:
    """How many beats each draw has, their patients being ``patient``."""
    return np.asarray(times @ np.bincount(patient, minlength=times.shape[1]), np.float64)


def _ratio(part: Doubles, whole: Doubles) -> Doubles:
    """``part / whole``, nan where there is no whole."""
    shares = np.full(len(whole), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
