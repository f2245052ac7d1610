"""How much one beat looks like a ventricular one: wide, slow, strange, without a P wave before it.

Knows the beat's score, its window and its patient's reference; knows no rhythm and no other beat.
"""

from math import inf
from typing import NamedTuple

import numpy as np

from beatgan.beats.window import CORE_AFTER, CORE_BEFORE, product
from beatgan.jit import compiled
from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles, Floats, Score

APEX = PreprocessSpec().before
START, STOP = APEX - CORE_BEFORE, APEX + CORE_AFTER  # of the QRS
AHEAD = (APEX - 80, APEX - 35)  # where a P wave is: 220 to 100 ms before the apex
AHEAD_FLOOR = 0.05  # of the patient's scale: less than that ahead of the QRS is nothing
AHEAD_MOST = 1.0  # of its logarithm: in a fast run the T wave before lies there, too
SHIFT = 10  # ticks by which two QRS may be aligned anew
TINY = 1e-12
SUSPICIOUS = -1.5  # of the score above the threshold: no beat below it is asked for its shape

# Log odds that the beat is ventricular: logistic regression of these features over DS1, patients
# weighted by the root of their beats; shifted, so that 0 is where runs were told best from others,
# cross-validated by patient. See benchmarks/ventricular.py.
WEIGHTS: tuple[float, float, float, float] = (1.85, 3.66, -1.24, -1.68)
OFFSET = -7.61


class Features(NamedTuple):
    """What a ventricular beat is known by. All but the first have no unit of amplitude.

    ``strangeness``: the score above the threshold. ``slowness``: log of the QRS's size over that of
    its slope, in ticks. ``ahead``: log of how much happens where the P wave is, over the same of
    the reference, AHEAD_MOST at the most. ``steepness``: log of the QRS's slope over that of the
    reference.
    """

    strangeness: float
    slowness: float
    ahead: float
    steepness: float


def log_odds(score: Score) -> float:
    """Above 0 the beat looks ventricular; -inf where it cannot be or cannot be told.

    That is where it is not scored, or not suspicious, or where the patient has no reference yet.
    """
    if score.value is None or not suspicious(score):
        return -inf
    seen = features(score, score.value)
    return OFFSET + sum(weight * each for weight, each in zip(WEIGHTS, seen, strict=True))


def suspicious(score: Score) -> bool:
    """Whether a beat is strange enough for its shape to be looked at, and can be compared."""
    value = score.value
    if value is None or value - score.threshold < SUSPICIOUS:
        return False
    return score.beat.distance is not None


def features(score: Score, value: float) -> Features:
    """The features of a beat that has a window and a reference and was given ``value``."""
    return Features(value - score.threshold, *_shape(score.beat.window, score.beat.template))


@compiled
def likeness(one: Floats, other: Floats) -> float:
    """The correlation of two windows' QRS where they match best.

    Each was aligned with the patient's normal beat, which neither need resemble.
    """
    qrs, best = _centred(one[START:STOP]), -1.0
    for lag in range(-SHIFT, SHIFT + 1):
        span = _centred(other[START + lag : STOP + lag])
        sizes = np.sqrt(product(qrs, qrs) * product(span, span)) + TINY
        best = max(best, product(qrs, span) / sizes)
    return best


@compiled
def _shape(window: Floats, reference: Floats) -> tuple[float, float, float]:
    """Slowness, ahead and steepness, see `Features`."""
    size, slope = _size_and_slope(window)
    _, usual = _size_and_slope(reference)
    ahead = np.log((_swing(window) + AHEAD_FLOOR) / (_swing(reference) + AHEAD_FLOOR))
    return 0.5 * np.log(size / slope), min(ahead, AHEAD_MOST), 0.5 * np.log(slope / usual)


@compiled
def _size_and_slope(window: Floats) -> tuple[float, float]:
    """Energy of the QRS round its mean, and of its differences from tick to tick."""
    core, slope = _centred(window[START:STOP]), 0.0
    for i in range(1, core.size):
        slope += (core[i] - core[i - 1]) ** 2
    return product(core, core) + TINY, slope + TINY


@compiled
def _centred(x: Floats) -> Doubles:
    """``x`` round its mean."""
    y, total = np.empty(x.size), 0.0
    for i in range(x.size):
        y[i] = x[i]
        total += y[i]
    return y - total / x.size


@compiled
def _swing(window: Floats) -> float:
    low = high = float(window[AHEAD[0]])
    for i in range(AHEAD[0] + 1, AHEAD[1]):
        low = min(low, float(window[i]))
        high = max(high, float(window[i]))
    return high - low
