"""One beat's window: aligned with the patient's template, measured against it, normalised.

Pure arithmetic on arrays of ``before + after`` samples; knows no stream and has no state.
"""

import numpy as np

from beatgan.jit import compiled
from beatgan.types import Doubles, Floats

CORE_BEFORE, CORE_AFTER = 50, 60  # samples round the R peak that carry the QRS: what is compared
CORE = CORE_BEFORE + CORE_AFTER
TINY = 1e-12  # square millivolt: keeps a match of a flat line finite
RELATIVE_FLOOR = 1e-4  # of the template's variance: the distance of a perfect match
SCALE_FLOOR_MV = 0.01  # no patient's beat is taken to be smaller than this


@compiled
def copy(values: Doubles, out: Doubles) -> None:
    """Write ``values`` to ``out``. (A slice's assignment takes ten times as long to compile.)"""
    for i in range(out.size):
        out[i] = values[i]


@compiled
def product(a: Doubles, b: Doubles) -> float:
    """The sum of products of two arrays, in four sums, so that none need wait for another.

    Written out because a compiler may not reorder sums, and a library's order is its own affair.
    """
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    whole = a.size - a.size % 4
    for i in range(0, whole, 4):
        s0 += a[i] * b[i]
        s1 += a[i + 1] * b[i + 1]
        s2 += a[i + 2] * b[i + 2]
        s3 += a[i + 3] * b[i + 3]
    for i in range(whole, a.size):
        s0 += a[i] * b[i]
    return (s0 + s1) + (s2 + s3)


@compiled
def mean(x: Doubles) -> float:
    """The mean of ``x``, in the same manner."""
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    whole = x.size - x.size % 4
    for i in range(0, whole, 4):
        s0 += x[i]
        s1 += x[i + 1]
        s2 += x[i + 2]
        s3 += x[i + 3]
    for i in range(whole, x.size):
        s0 += x[i]
    return ((s0 + s1) + (s2 + s3)) / x.size


@compiled
def core(window: Doubles, before: int, out: Doubles) -> float:
    """Write the core of ``window``, round its own mean, to ``out``; return its energy."""
    start = before - CORE_BEFORE
    level = mean(window[start : start + CORE])
    for i in range(CORE):
        out[i] = window[start + i] - level
    return product(out, out)


@compiled
def best_lag(signal: Doubles, template: Doubles, before: int, reach: int) -> int:
    """The shift, within ``reach``, at which ``signal`` correlates best with ``template``.

    ``signal`` is ``reach`` samples longer than ``template`` at both ends. Only the core counts.
    """
    start = before - CORE_BEFORE
    template_core = np.empty(CORE)
    core(template, before, template_core)
    around = signal[start : start + CORE]
    total, squares = CORE * mean(around), product(around, around)
    best, best_match = 0, -np.inf
    for lag in range(-reach, reach + 1):
        first = start + reach + lag
        energy = max(squares - total * total / CORE, TINY)
        match = product(signal[first : first + CORE], template_core) / np.sqrt(energy)
        if match > best_match:
            best, best_match = lag, match
        old, new = signal[first], signal[min(first + CORE, signal.size - 1)]
        total += new - old
        squares += new * new - old * old
    return best


@compiled
def distance(window: Doubles, template: Doubles, before: int) -> float:
    """Log of the mean squared difference of the cores, relative to the template's variance."""
    own_core, template_core = np.empty(CORE), np.empty(CORE)
    core(window, before, own_core)
    variance = core(template, before, template_core) + TINY
    for i in range(CORE):
        own_core[i] -= template_core[i]
    return float(np.log(product(own_core, own_core) / variance + RELATIVE_FLOOR))


@compiled
def by_patient(window: Doubles, scale: float, out: Floats) -> None:
    """``window`` in units of the patient's ``scale``."""
    unit = 1 / scale
    for i in range(window.size):
        out[i] = window[i] * unit


@compiled
def patient_scale(template: Doubles, start: int, stop: int) -> float:
    """Root mean square, in millivolt, of the template's samples from ``start`` to ``stop``."""
    scored = template[start:stop]
    return max(SCALE_FLOOR_MV, float(np.sqrt(product(scored, scored) / (stop - start))))


@compiled
def to_unit_range(window: Doubles, out: Floats) -> None:
    """``window`` with its minimum at -1 and its maximum at 1 (BeatGAN's own normalisation)."""
    low, high = window.min(), window.max()
    span = max(high - low, SCALE_FLOOR_MV)
    for i in range(window.size):
        out[i] = (2 * window[i] - high - low) / span
