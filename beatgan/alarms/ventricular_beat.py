"""How much one beat looks like a ventricular one: wide, slow, unusual, without a P wave before it.

Knows the beat's score, its window and its patient's reference; knows no rhythm and no other beat.
"""

from math import inf
from typing import NamedTuple

import numpy as np

from beatgan.beats.window import CORE_AFTER, CORE_BEFORE, product
from beatgan.coefficients import VentricularCoefficients
from beatgan.errors import ArtifactError
from beatgan.jit import compiled
from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles, Floats, Score

AHEAD_FROM, AHEAD_TO = 80, 35  # where a P wave is: 220 to 100 ms before the R peak
AHEAD_FLOOR = 0.05  # of the patient's scale: less than that ahead of the QRS is nothing
AHEAD_MOST = 1.0  # of its logarithm: in a fast run the T wave before lies there, too
SHIFT = 10  # samples by which two QRS may be aligned anew
TINY = 1e-12


class Features(NamedTuple):
    """What a ventricular beat is known by, in the order of `VentricularCoefficients`.

    ``score_excess``: the score above the threshold. ``slowness``: log of the QRS's size over that
    of its slope, in samples. ``p_wave_activity``: log of how much happens where the P wave is, over
    the same of the reference, AHEAD_MOST at the most. ``steepness``: log of the QRS's slope over
    that of the reference. All but the first have no unit of amplitude.
    """

    score_excess: float
    slowness: float
    p_wave_activity: float
    steepness: float


class VentricularClassifier:
    """Says of a model's beats how ventricular they look, and how alike two of them are.

    Stateless. Raises ArtifactError where the spec's windows are too short for its features.
    """

    def __init__(self, spec: PreprocessSpec, coefficients: VentricularCoefficients) -> None:
        if spec.before < AHEAD_FROM or spec.after < CORE_AFTER + SHIFT:
            raise ArtifactError(
                f"spec: ventricular beats are recognised by {AHEAD_FROM} samples before the R peak "
                f"and {CORE_AFTER + SHIFT} after it, a window has {spec.before} and {spec.after}"
            )
        self._r_peak = spec.before
        c = self._coefficients = coefficients
        self._weights = c.score_excess, c.slowness, c.p_wave_activity, c.steepness

    def log_odds(self, score: Score) -> float:
        """Above 0 the beat looks ventricular; -inf where it cannot be or cannot be known.

        That is where it is not scored, or not suspicious, or where the patient has no reference
        yet.
        """
        if score.value is None or not self.suspicious(score):
            return -inf
        found = self.features(score, score.value)
        parts = zip(self._weights, found, strict=True)
        return self._coefficients.offset + sum(weight * each for weight, each in parts)

    def suspicious(self, score: Score) -> bool:
        """Whether a beat's score is high enough for its shape to count, and can be compared."""
        value = score.value
        if value is None or value - score.threshold < self._coefficients.least_score_excess:
            return False
        return score.beat.distance is not None

    def features(self, score: Score, value: float) -> Features:
        """The features of a beat that has a window and a reference and was given ``value``."""
        beat = score.beat
        shape = _shape(beat.window, beat.template, self._r_peak)
        return Features(value - score.threshold, *shape)

    def likeness(self, one: Floats, other: Floats) -> float:
        """The correlation of two windows' QRS where they match best.

        Each was aligned with the patient's normal beat, which neither need resemble.
        """
        found: float = _likeness(one, other, self._r_peak)
        return found


@compiled
def _likeness(one: Floats, other: Floats, r_peak: int) -> float:
    start, stop = r_peak - CORE_BEFORE, r_peak + CORE_AFTER
    qrs, best = _centred(one[start:stop]), -1.0
    for lag in range(-SHIFT, SHIFT + 1):
        span = _centred(other[start + lag : stop + lag])
        sizes = np.sqrt(product(qrs, qrs) * product(span, span)) + TINY
        best = max(best, product(qrs, span) / sizes)
    return best


@compiled
def _shape(window: Floats, reference: Floats, r_peak: int) -> tuple[float, float, float]:
    """Slowness, P wave activity and steepness, see `Features`."""
    size, slope = _size_and_slope(window, r_peak)
    _, usual = _size_and_slope(reference, r_peak)
    before = _range_before(window, r_peak) + AHEAD_FLOOR
    ahead = np.log(before / (_range_before(reference, r_peak) + AHEAD_FLOOR))
    return 0.5 * np.log(size / slope), min(ahead, AHEAD_MOST), 0.5 * np.log(slope / usual)


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
def _range_before(window: Floats, r_peak: int) -> float:
    """Peak to peak where a P wave is."""
    low = high = float(window[r_peak - AHEAD_FROM])
    for i in range(r_peak - AHEAD_FROM + 1, r_peak - AHEAD_TO):
        low = min(low, float(window[i]))
        high = max(high, float(window[i]))
    return high - low
