"""How well a score ranks anomalous above normal: AUC, average precision, best F1.

Works on numbers alone; it knows no beats. A score may be -inf (a beat that was never scored), but
not NaN. Ties are handled as if broken at random, as scikit-learn does.
"""

from dataclasses import dataclass
from math import inf, nan

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from beatgan.errors import UsageError
from beatgan.types import Doubles, Ints

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """What each possible threshold would flag, from the highest distinct score down.

    ``value[i]`` is a distinct score; ``tp[i]`` positives and ``fp[i]`` negatives reach it.
    """

    value: Doubles
    tp: Ints
    fp: Ints

    @property
    def recall(self) -> Doubles:
        """The share of the positives flagged."""
        return np.asarray(self.tp / self.tp[-1], np.float64)

    @property
    def fall_out(self) -> Doubles:
        """The share of the negatives flagged: 1 - specificity."""
        return np.asarray(self.fp / self.fp[-1], np.float64)

    @property
    def precision(self) -> Doubles:
        """The share of the flagged that are positives."""
        return np.asarray(self.tp / (self.tp + self.fp), np.float64)


def curve(score: Doubles, positive: Mask) -> Curve:
    """Counts at every distinct score. Raises UsageError on NaN or lengths that differ."""
    _check(score, positive)
    order = np.argsort(-score, kind="stable")
    ranked, hits = score[order], positive[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], len(ranked) > 0))
    tp = np.cumsum(hits, dtype=np.int64)[last]
    return Curve(ranked[last], tp, last + 1 - tp)


def auc(score: Doubles, positive: Mask) -> float:
    """Area under the ROC curve: how often a random positive outscores a random negative.

    Mann & Whitney (1947), with midranks for ties; nan without positives or without negatives.
    """
    _check(score, positive)
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return nan
    ranks = rankdata(score)
    return (float(ranks[positive].sum()) - n * (n + 1) / 2) / (n * m)


def average_precision(score: Doubles, positive: Mask) -> float:
    """Area under the precision-recall steps, not interpolated; nan without positives."""
    if not positive.any():
        return nan
    steps = curve(score, positive)
    gained = np.diff(steps.recall, prepend=0.0)
    return float(np.sum(gained * steps.precision))


def best_f1(score: Doubles, positive: Mask) -> tuple[float, float]:
    """The highest F1 that any threshold reaches, and that threshold; (nan, nan) without positives.

    Scores *above* the threshold are flagged, so that one of -inf never is. The labels choose it:
    a figure to compare with others' work, not one to expect in use.
    """
    if not positive.any():
        return nan, nan
    steps = curve(score, positive)
    f1 = 2 * steps.tp / (steps.tp + steps.fp + steps.tp[-1])
    best = int(np.argmax(np.where(steps.value > -inf, f1, 0.0)))
    below = steps.value[best + 1] if best + 1 < len(steps.value) else -inf
    if below == -inf:
        below = np.nextafter(steps.value[best], -inf)
    return (float(f1[best]), float(below)) if steps.value[best] > -inf else (0.0, nan)


def flagged(score: Doubles, threshold: float) -> float:
    """The share of ``score`` above ``threshold``: sensitivity if these are positives, 1 -
    specificity if they are negatives; nan without any.
    """
    return float(np.mean(score > threshold)) if len(score) else nan


def _check(score: Doubles, positive: Mask) -> None:
    if len(score) != len(positive):
        raise UsageError(f"{len(score)} scores for {len(positive)} labels")
    if np.isnan(score).any():
        raise UsageError("a score is NaN: it cannot be ranked")
