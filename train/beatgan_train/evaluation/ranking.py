"""How well a score ranks anomalous above normal: AUC, scikit-learn's average precision, best F1.

Works on numbers alone; it knows no beats. A score may be -inf (a beat that was never scored), which
scikit-learn does not take: it is given each score's rank among the distinct ones instead. Raises
UsageError on NaN, or where there are not as many labels as scores.
"""

from math import inf, nan

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_curve,
)

from beatgan.ec57.roc import auc as area_under_curve
from beatgan.errors import UsageError
from beatgan.types import Doubles, Ints

Mask = NDArray[np.bool_]


def auc(score: Doubles, positive: Mask) -> float:
    """Area under the ROC curve, a tie counting half; nan without positives or without negatives."""
    _ranked(score, positive)
    return area_under_curve(score, positive)


def average_precision(score: Doubles, positive: Mask) -> float:
    """Area under the precision-recall steps, not interpolated; nan without positives."""
    _, rank = _ranked(score, positive)
    return float(average_precision_score(positive, rank)) if positive.any() else nan


def roc(score: Doubles, positive: Mask) -> tuple[Doubles, Doubles]:
    """The ROC curve from (0, 0) on: shares of negatives and of positives that are flagged."""
    false, true, _ = roc_curve(positive, _ranked(score, positive)[1])
    return false, true


def precision_recall(score: Doubles, positive: Mask) -> tuple[Doubles, Doubles]:
    """Precision and recall where each distinct score or more is flagged, the highest first."""
    precision, recall, _ = precision_recall_curve(positive, _ranked(score, positive)[1])
    return precision[-2::-1], recall[-2::-1]  # the last is no threshold's


def best_f1(score: Doubles, positive: Mask) -> tuple[float, float]:
    """The highest F1 that any threshold reaches, and that threshold; (nan, nan) without positives.

    Scores *above* the threshold are flagged, so that one of -inf never is. The labels choose it:
    a figure to compare with others' work, not one to expect in use.
    """
    if not positive.any():
        return nan, nan
    value = _ranked(score, positive)[0][::-1]
    precision, recall = precision_recall(score, positive)
    f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
    f1[value == -inf] = 0.0
    best = int(np.argmax(f1.round(12)))  # of equal ones the highest threshold
    if value[best] == -inf:
        return 0.0, nan
    below = value[best + 1] if best + 1 < len(value) else -inf
    return float(f1[best]), float(below if below > -inf else np.nextafter(value[best], -inf))


def flagged(score: Doubles, threshold: float) -> float:
    """The share of ``score`` above ``threshold``: sensitivity if these are positives, 1 -
    specificity if they are negatives; nan without any.
    """
    return float(np.mean(score > threshold)) if len(score) else nan


def _ranked(score: Doubles, positive: Mask) -> tuple[Doubles, Ints]:
    """The distinct scores, the lowest first, and where among them each score is."""
    if len(score) != len(positive):
        raise UsageError(f"{len(score)} scores for {len(positive)} labels")
    if np.isnan(score).any():
        raise UsageError("a score is NaN: it cannot be ranked")
    distinct, rank = np.unique(score, return_inverse=True)
    return distinct, rank.astype(np.int64)
