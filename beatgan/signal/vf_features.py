"""Features of ventricular fibrillation (VF) in the latest seconds of one lead.

From the filtered signal, whatever beats were detected in it: fibrillation has none, and a detector
finds some all the same. Knows no beat, no other lead, no clock and no alarm.
"""

from typing import Protocol

import numpy as np

from beatgan.jit import compiled
from beatgan.types import Doubles, Floats

PART = 90  # samples (0.25 s at 360 Hz) that are processed at once, ...
VF_INTERVAL = 180  # ... and after which the log odds of VF are computed anew
THIN = 3  # samples that are averaged to one of the thinned signal
BLOCK = PART // THIN  # thinned samples of a part
BLOCKS = 12  # parts of the analysed stretch: 3 s
LENGTH = BLOCK * BLOCKS
ENOUGH = 0.6  # share of the stretch that must not be lost
FAINT_MV = 0.15  # a stretch within this is no fibrillation, but asystole

# Fibrillation has no complexes, so that neither it nor its slope is peaked, and is nearly a sine,
# so that half a period later it is upside down (the leakage of Kuo & Dillman's VF filter, Computers
# in Cardiology 1978). The weights of these features come from the model file, as (5,) in the order
# of `VfCoefficients`, the offset last.
LOWEST, HIGHEST = -3.0, 6.0  # the log odds are clipped to this

SUMS = 7  # of a part: count, |x|, x^2, x^4, |slope|, slope^2, slope^4
STATE = np.dtype(
    [
        ("signal", "f4", (LENGTH,)),  # thinned, the newest last
        ("sums", "f8", (BLOCKS, SUMS)),
        ("low", "f8", (BLOCKS,)),
        ("high", "f8", (BLOCKS,)),
    ]
)


class State(Protocol):
    """A record of dtype STATE."""

    signal: Floats
    sums: Doubles
    low: Doubles
    high: Doubles


@compiled
def begin(s: State) -> None:
    """All signal so far, if any, counts as lost."""
    s.signal[:] = np.nan
    s.sums[:] = 0.0
    s.low[:] = np.inf
    s.high[:] = -np.inf


@compiled
def push_part(s: State, signal: Doubles) -> None:
    """Process the samples of a part: thin them, and sum them up."""
    for i in range(LENGTH - BLOCK):
        s.signal[i] = s.signal[i + BLOCK]
    for b in range(BLOCKS - 1):
        s.sums[b] = s.sums[b + 1]
        s.low[b] = s.low[b + 1]
        s.high[b] = s.high[b + 1]
    for i in range(BLOCK):
        at = i * THIN
        s.signal[LENGTH - BLOCK + i] = (signal[at] + signal[at + 1] + signal[at + 2]) / THIN
    _sum_up(s, s.signal[LENGTH - BLOCK - 1 :])


@compiled
def _sum_up(s: State, x: Floats) -> None:
    """The sums of the newest part, ``x[1:]``."""
    count, level, squares, fourths = 0, 0.0, 0.0, 0.0
    slope, slope_squares, slope_fourths = 0.0, 0.0, 0.0
    low, high = np.inf, -np.inf
    for i in range(1, x.size):
        value = float(x[i])
        if np.isnan(value):
            continue
        count += 1
        level += abs(value)
        squares += value**2
        fourths += value**4
        low = min(low, value)
        high = max(high, value)
        step = value - float(x[i - 1])
        if not np.isnan(step):
            slope += abs(step)
            slope_squares += step**2
            slope_fourths += step**4
    sums = (float(count), level, squares, fourths, slope, slope_squares, slope_fourths)
    for k in range(len(sums)):
        s.sums[BLOCKS - 1, k] = sums[k]
    s.low[BLOCKS - 1] = low
    s.high[BLOCKS - 1] = high


@compiled
def _leakage(x: Floats, half: int) -> float:
    """How far ``x`` is from being upside down ``half`` a period later: 0 for a sine, up to 1."""
    left, whole = 0.0, 0.0
    for i in range(half, x.size):
        both = x[i] + x[i - half]
        if not np.isnan(both):
            left += abs(both)
            whole += abs(x[i]) + abs(x[i - half])
    return left / whole if whole > 0 else 1.0


@compiled
def features(s: State) -> tuple[float, float, float, float]:
    """Those that `VfCoefficients` weighs, up to the latest part; NaN where too much is lost.

    Of a faint stretch all are NaN but the first, which is infinite.
    """
    count, level, squares, fourths = 0.0, 0.0, 0.0, 0.0
    slope, slope_squares, slope_fourths, most = 0.0, 0.0, 0.0, 0.0
    for b in range(BLOCKS):
        block = s.sums[b]
        count += block[0]
        level += block[1]
        squares += block[2]
        fourths += block[3]
        slope += block[4]
        slope_squares += block[5]
        slope_fourths += block[6]
        most = max(most, block[5])
    if count < ENOUGH * LENGTH:
        return np.nan, np.nan, np.nan, np.nan
    if s.high.max() - s.low.min() < FAINT_MV or slope_squares <= 0.0:
        return np.inf, np.nan, np.nan, np.nan
    half = int(np.pi * level / slope + 0.5)
    return (
        np.log(count * fourths / squares**2),
        _leakage(s.signal, max(1, min(half, LENGTH // 3))),
        np.log(count * slope_fourths / slope_squares**2),
        np.log(BLOCKS * most / slope_squares),
    )


@compiled
def vf_log_odds(s: State, weights: Doubles) -> float:
    """Log odds of ventricular fibrillation; NaN where too much of the signal is lost."""
    parts = features(s)
    if np.isnan(parts[0]):
        return np.nan
    if np.isinf(parts[0]):
        return LOWEST
    total = weights[4]
    for k in range(4):
        total += weights[k] * parts[k]
    odds: float = min(max(total, LOWEST), HIGHEST)
    return odds
