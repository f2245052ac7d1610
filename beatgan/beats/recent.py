"""The latest few values of a quantity, the newest last, NaN where there were none yet."""

import numpy as np

from beatgan.jit import compiled
from beatgan.types import Doubles


@compiled
def append(values: Doubles, newest: float) -> None:
    """Drop the oldest of ``values`` and append ``newest``."""
    for i in range(values.size - 1):
        values[i] = values[i + 1]
    values[values.size - 1] = newest


@compiled
def known_values(values: Doubles) -> Doubles:
    """What is known of ``values``, which begin with NaN while there are too few."""
    unknown = 0
    while unknown < values.size and np.isnan(values[unknown]):
        unknown += 1
    return values[unknown:]


@compiled
def sorted_copy(values: Doubles) -> Doubles:
    """A copy in ascending order. For some tens of values insertion is as fast as it gets."""
    ordered = np.empty(values.size)
    for i in range(values.size):
        j = i
        while j > 0 and ordered[j - 1] > values[i]:
            ordered[j] = ordered[j - 1]
            j -= 1
        ordered[j] = values[i]
    return ordered


@compiled
def median(values: Doubles) -> float:
    """The median of some values; NaN if there are none."""
    if values.size == 0:
        return np.nan
    ordered, middle = sorted_copy(values), values.size // 2
    return float(0.5 * (ordered[middle] + ordered[values.size - 1 - middle]))
