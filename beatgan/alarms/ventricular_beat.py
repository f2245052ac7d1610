"""How much one beat looks like a ventricular one: its class, and how wide, slow and noisy it is.

Knows the beat's score, its window and its patient's template; knows no rhythm and no other beat.
"""

from math import exp, inf, log
from typing import NamedTuple

import numpy as np

from beatgan.alarms.memory import BeatNumbers
from beatgan.beat_classes import CLASSES, BeatClass
from beatgan.beats.window import CORE_AFTER, CORE_BEFORE, product
from beatgan.jit import compiled
from beatgan.types import Doubles, Floats, Score

V, F = CLASSES.index(BeatClass.VENTRICULAR), CLASSES.index(BeatClass.FUSION)
FUSION_SHARE = 0.5  # a fusion beat is half a ventricular one
SURE = 1e-4  # no class is less probable than this, nor more than all but this
POSSIBLE = -3.0  # log odds of a beat below which it is in no run, ...
POSSIBLE_SHARE = 0.99 / (1 + exp(-POSSIBLE))  # ... and a probability with which it surely is not
# Where a model knows no classes, its score stands for them: log odds of 0 at so much above the
# threshold, and a unit of log odds for so much of the score.
EVEN_EXCESS, EXCESS_UNIT = 3.0, 1.5
SHIFT = 10  # samples by which two QRS may be aligned anew
TINY = 1e-12
SMALL = 1e-4  # of the patient's scale: a rougher signal than this has noise


class Shape(NamedTuple):
    """A beat's shape beside that of its patient's template, without a unit of amplitude.

    ``slowness``: log of the QRS's size over that of its slope, in samples. ``steepness``: log of
    the QRS's slope over that of the template. ``hf_noise``: log of the window's high-frequency
    content over that of the template.
    """

    slowness: float
    steepness: float
    hf_noise: float


def log_odds(score: Score) -> float:
    """Above 0 a beat is more likely ventricular than not; -inf where it is not scored."""
    if score.value is None:
        return -inf
    if score.probabilities is None:
        return (score.value - score.threshold - EVEN_EXCESS) / EXCESS_UNIT
    p = score.probabilities[V] + FUSION_SHARE * score.probabilities[F]
    p = min(max(p, SURE), 1 - SURE)
    return log(p / (1 - p))


@compiled
def may_be_in_run(b: BeatNumbers) -> bool:
    """Whether the log odds of a scored beat may be POSSIBLE or more: of most they are not."""
    if np.isnan(b.ventricular):
        return (b.value - b.threshold - EVEN_EXCESS) / EXCESS_UNIT >= POSSIBLE
    return b.ventricular + FUSION_SHARE * b.fusion >= POSSIBLE_SHARE


def shape(score: Score, r_peak: int) -> Shape:
    """The shape of a beat that has a window and a template, with their R peak at ``r_peak``."""
    return Shape(*_shape(score.beat.window, score.beat.template, r_peak))


@compiled
def likeness(one: Floats, other: Floats, r_peak: int) -> float:
    """The correlation of two windows' QRS where they match best.

    Each was aligned with the patient's normal beat, which neither need resemble.
    """
    start, stop = r_peak - CORE_BEFORE, r_peak + CORE_AFTER
    qrs, best = _centred(one[start:stop]), -1.0
    for lag in range(-SHIFT, SHIFT + 1):
        span = _centred(other[start + lag : stop + lag])
        sizes = np.sqrt(product(qrs, qrs) * product(span, span)) + TINY
        best = max(best, product(qrs, span) / sizes)
    return best


@compiled
def _shape(window: Floats, template: Floats, r_peak: int) -> tuple[float, float, float]:
    """See `Shape`."""
    size, slope = _size_and_slope(window, r_peak)
    _, usual = _size_and_slope(template, r_peak)
    noise = np.log((_roughness(window) + SMALL) / (_roughness(template) + SMALL))
    return 0.5 * np.log(size / slope), 0.5 * np.log(slope / usual), noise


@compiled
def _size_and_slope(window: Floats, r_peak: int) -> tuple[float, float]:
    """Energy of the QRS round its mean, and of its differences from sample to sample."""
    core, slope = _centred(window[r_peak - CORE_BEFORE : r_peak + CORE_AFTER]), 0.0
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
def _roughness(x: Floats) -> float:
    """Root mean square of the second differences."""
    total = 0.0
    for i in range(2, x.size):
        total += (float(x[i]) - 2 * float(x[i - 1]) + float(x[i - 2])) ** 2
    rms: float = np.sqrt(total / (x.size - 2))
    return rms
