"""How well a score ranks positives above negatives: the area under the ROC curve."""

from math import nan

import numpy as np

from beatgan.types import Bools, Doubles


def auc(score: Doubles, positive: Bools) -> float:
    """The probability that a positive has a higher score than a negative, a tie counting half.

    Mann and Whitney's U over the number of pairs; nan without positives or without negatives. A
    score may be infinite, and is not NaN.
    """
    count = int(positive.sum())
    pairs = count * (len(positive) - count)
    if not pairs:
        return nan
    _, rank, ties = np.unique(score, return_inverse=True, return_counts=True)
    middle = np.cumsum(ties) - (ties - 1) / 2  # of the places that equal scores share
    above = float(middle[rank][positive].sum()) - count * (count + 1) / 2
    return above / pairs
