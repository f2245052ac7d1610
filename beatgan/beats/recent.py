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
def count_below(values: Doubles, limit: float) -> int:
    """How many of ``values`` are below ``limit``."""
    below = 0
    for value in values:
        below += value < limit
    return below


@compiled
def in_order(values: Doubles, place: int) -> float:
    """The one of ``values`` that would stand at ``place`` if they were in ascending order.

    Some are tried, of those that the ones before left possible; each is compared with all, which is
    many comparisons at once. Of some tens of values so few are tried that sorting takes longer.
    """
    low, high = -np.inf, np.inf
    for value in values:
        if value < low or value > high:
            continue
        below = up_to = 0
        for other in values:
            below += other < value
            up_to += other <= value
        if below > place:
            high = value
        elif up_to <= place:
            low = value
        else:
            return float(value)
    return np.nan


@compiled
def median(values: Doubles) -> float:
    """The median of some values; NaN if there are none."""
    if values.size == 0:
        return np.nan
    middle = values.size // 2
    upper = in_order(values, middle)
    if values.size % 2 == 1:
        return upper
    return 0.5 * (upper + in_order(values, middle - 1))
