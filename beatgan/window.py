"""One beat's window: aligned with the patient's reference, measured against it, normalised.

Pure arithmetic on arrays of ``before + after`` ticks; knows no stream and keeps no state.
"""

import numpy as np

from beatgan.compiled import compiled
from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles, Floats

CORE_BEFORE, CORE_AFTER = 50, 60  # ticks round the apex that carry the QRS: what is compared
RELATIVE_FLOOR = 1e-4  # of the reference's variance: the distance of a perfect match
SCALE_FLOOR_MV = 0.01  # no patient's beat is taken to be smaller than this


@compiled
def mean(x: Doubles, start: int, stop: int) -> float:
    """The mean of ``x[start:stop]``, summed in order."""
    total = 0.0
    for i in range(start, stop):
        total += x[i]
    return total / (stop - start)


@compiled
def best_lag(signal: Doubles, reference: Doubles, before: int, reach: int) -> int:
    """The shift, within ``reach``, at which ``signal`` correlates best with ``reference``.

    ``signal`` is ``reach`` samples longer than ``reference`` at both ends. Only the core counts.
    """
    start, stop = before - CORE_BEFORE, before + CORE_AFTER
    level = mean(reference, start, stop)
    best, best_match = 0, -np.inf
    for lag in range(-reach, reach + 1):
        shift = reach + lag
        own = mean(signal, start + shift, stop + shift)
        product, energy = 0.0, 1e-12
        for i in range(start, stop):
            value = signal[i + shift] - own
            product += value * (reference[i] - level)
            energy += value * value
        match = product / np.sqrt(energy)
        if match > best_match:
            best, best_match = lag, match
    return best


@compiled
def distance(window: Doubles, reference: Doubles, before: int) -> float:
    """Log of the mean squared difference of the cores, relative to the reference's variance."""
    start, stop = before - CORE_BEFORE, before + CORE_AFTER
    own, level = mean(window, start, stop), mean(reference, start, stop)
    difference, variance = 0.0, 1e-12
    for i in range(start, stop):
        value = reference[i] - level
        difference += (window[i] - own - value) ** 2
        variance += value * value
    return float(np.log(difference / variance + RELATIVE_FLOOR))


@compiled
def _rms(x: Doubles, start: int, stop: int) -> float:
    total = 0.0
    for i in range(start, stop):
        total += x[i] * x[i]
    return float(np.sqrt(total / (stop - start)))


def patient_scale(reference: Doubles, spec: PreprocessSpec) -> float:
    """Root mean square, in millivolt, of the reference's scored ticks."""
    scored = spec.scored
    return max(SCALE_FLOOR_MV, _rms(reference, scored.start, scored.stop))


def to_unit_range(window: Doubles) -> Floats:
    """``window`` with its minimum at -1 and its maximum at 1 (BeatGAN's own normalisation)."""
    low, high = window.min(), window.max()
    unit: Floats = ((2 * window - high - low) / max(high - low, SCALE_FLOOR_MV)).astype(np.float32)
    return unit
