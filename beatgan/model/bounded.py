"""Bounds of what networks get and give, so that squares stay finite in float32."""

import numpy as np

from beatgan.jit import compiled
from beatgan.types import Floats

BOUND = 1e4  # no normalised deflection comes near


def bounded(values: Floats) -> Floats:
    """``values`` if all are within +-BOUND, else a copy in which they are; NaN counts as BOUND."""
    if _within(values.reshape(-1)):
        return values
    return np.clip(np.nan_to_num(values, nan=BOUND), -BOUND, BOUND)


@compiled
def _within(values: Floats) -> bool:
    """Whether all are within +-BOUND, so that none is NaN."""
    outside = 0
    for value in values:
        outside += not abs(value) < BOUND
    return outside == 0
