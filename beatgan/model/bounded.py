"""Bounds of what networks get and give, so that squares stay finite in float32."""

import numpy as np

from beatgan.types import Floats

BOUND = 1e4  # no normalised deflection comes near


def bounded(values: Floats) -> Floats:
    """``values`` if all are within +-BOUND, else a copy in which they are; NaN counts as BOUND."""
    if values.max(initial=0.0) < BOUND and values.min(initial=0.0) > -BOUND:  # false for NaN
        return values
    return np.clip(np.nan_to_num(values, nan=BOUND), -BOUND, BOUND)
