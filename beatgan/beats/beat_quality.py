"""How noisy the signal round a beat is, and whether the beat can be scored at all.

A beat looks noisy where it resembles neither the patient's template nor any of the latest beats,
and where the signal round it has more high-frequency noise and baseline wander than its range
explains. An ectopic beat may be unlike all others, but it adds no high-frequency noise between
beats; nor do the beats before it. So running levels of noise, in log odds, which forget slowly,
stay low.

Knows the patient's template and the few latest beats; knows no score, model or detector.
"""

from typing import Protocol

import numpy as np

from beatgan.beats.window import CORE, core, product
from beatgan.jit import compiled
from beatgan.types import Doubles, Floats, Quality

RECENT_BEATS = 8  # latest beats that a beat is compared with, besides the template
BLOCK = 64  # samples (0.18 s): short enough that one of them lies between the QRS complexes
REPEATS = 0.08  # a beat this near to another is no noise: noise does not repeat itself
TINY = 1e-9  # keeps logarithms finite

# Log odds that a beat is made by noise: `NoiseCoefficients` of the model file. Noise of electrodes
# need not have high frequencies, so there are weights without them too. But by those ventricular
# fibrillation looks like noise. So they can make a beat poor, which is scored; only high-frequency
# noise can make it unusable.
COEFFICIENTS = np.dtype(
    [
        ("with_hf_noise", "f8", (5,)),  # weights in the order of `NoiseWeights`, the offset last
        ("without_hf_noise", "f8", (5,)),
        ("poor_entered", "f8"),
        ("poor_left", "f8"),
        ("unusable_entered", "f8"),
        ("unusable_left", "f8"),
    ]
)
LOWEST, HIGHEST = -2.0, 6.0  # log odds of one beat are clipped to this
FORGET = 0.1  # weight of the newest beat in the running level

QUALITIES = (Quality.GOOD, Quality.POOR, Quality.UNUSABLE)
GOOD, POOR, UNUSABLE = range(3)  # their indices

STATE = np.dtype(
    [
        ("noise", "f8"),  # running log odds of noise, of high frequency or not ...
        ("hf_noise", "f8"),  # ... and of high frequency
        ("quality", "i8"),  # of the latest beat, as far as noise goes: an index into QUALITIES
        ("count", "i8"),  # beats stored so far
        ("core", "f4", (RECENT_BEATS, CORE)),  # the latest cores, each around its own mean
        ("energy", "f8", (RECENT_BEATS,)),
    ]
)


class Coefficients(Protocol):
    """A record of dtype COEFFICIENTS."""

    with_hf_noise: Doubles
    without_hf_noise: Doubles
    poor_entered: float
    poor_left: float
    unusable_entered: float
    unusable_left: float


class State(Protocol):
    """A record of dtype STATE."""

    noise: float
    hf_noise: float
    quality: int
    count: int
    core: Floats
    energy: Doubles


@compiled
def _noise_measures(signal: Doubles) -> tuple[float, float]:
    """High-frequency noise and baseline wander of ``signal``, in its units.

    Noise: root mean square of the second differences in the block where it is least, so that no QRS
    counts. Wander: standard deviation of the blocks' means.
    """
    blocks = signal.size // BLOCK
    least, total, squares = np.inf, 0.0, 0.0
    for start in range(0, blocks * BLOCK, BLOCK):
        bent, level = 0.0, signal[start] + signal[start + 1]
        for i in range(start + 2, start + BLOCK):
            level += signal[i]
            bent += (signal[i] - 2 * signal[i - 1] + signal[i - 2]) ** 2
        least = min(least, bent)
        total += level / BLOCK
        squares += (level / BLOCK) ** 2
    spread = squares / blocks - (total / blocks) ** 2
    return np.sqrt(least / (BLOCK - 2)), np.sqrt(max(0.0, spread))


@compiled
def _relative_distance(a: Doubles, b: Doubles, energy: float) -> float:
    """The energy of the difference of two cores, relative to ``energy``."""
    even, odd = 0.0, 0.0  # two sums, so that one need not wait for the other
    for i in range(0, CORE, 2):
        even += (a[i] - b[i]) ** 2
        odd += (a[i + 1] - b[i + 1]) ** 2
    return (even + odd) / energy


@compiled
def template_distance(s: State, window: Doubles, template: Doubles, before: int) -> float:
    """How far ``window`` is from the nearest of the template and the latest beats; store it.

    The search ends at the first beat that is repeated.
    """
    template_core, own_core = np.empty(CORE), np.empty(CORE)
    energy = core(template, before, template_core) + TINY
    own_energy = core(window, before, own_core) + TINY
    nearest = _relative_distance(own_core, template_core, max(own_energy, energy))
    for k in range(min(s.count, RECENT_BEATS)):
        if nearest < REPEATS:
            break
        nearest = min(
            nearest, _relative_distance(own_core, s.core[k], max(own_energy, s.energy[k]))
        )
    place = s.count % RECENT_BEATS
    for i in range(CORE):
        s.core[place, i] = own_core[i]
    s.energy[place] = own_energy
    s.count += 1
    return nearest


@compiled
def _range(x: Doubles) -> float:
    """Peak to peak."""
    low: float = x[0]
    high = low
    for value in x:
        if value < low:
            low = value
        elif value > high:
            high = value
    return high - low


@compiled
def _weighted(parts: tuple[float, ...], weights: Doubles) -> float:
    """The weighted sum of ``parts``, and the last weight as it is."""
    total = float(weights[4])
    for i in range(4):
        total += weights[i] * parts[i]
    return total


@compiled
def features(
    signal: Doubles, template: Doubles, distance: float
) -> tuple[float, float, float, float]:
    """What `NoiseWeights` weighs, in its order; ``distance`` is that from all other beats.

    Natural logarithms of ratios.
    """
    hf_noise, baseline_wander = _noise_measures(signal)
    scale = np.sqrt(product(template, template) / template.size) + TINY
    return (
        np.log(distance),
        np.log(hf_noise / scale + TINY),
        np.log(baseline_wander / scale + TINY),
        np.log((_range(signal) + TINY) / (_range(template) + TINY)),
    )


@compiled
def _log_odds(
    noise: Coefficients, signal: Doubles, template: Doubles, distance: float
) -> tuple[float, float]:
    """Log odds of noise by one beat, without and with the high-frequency noise as a feature."""
    if distance < REPEATS:
        return LOWEST, LOWEST
    parts = features(signal, template, distance)
    return (
        min(max(_weighted(parts, noise.without_hf_noise), LOWEST), HIGHEST),
        min(max(_weighted(parts, noise.with_hf_noise), LOWEST), HIGHEST),
    )


@compiled
def begin(s: State) -> None:
    """A signal without noise, as far as is known."""
    s.noise = LOWEST
    s.hf_noise = LOWEST
    s.count = 0
    s.quality = GOOD


@compiled
def push(
    s: State, noise: Coefficients, signal: Doubles, window: Doubles, template: Doubles, before: int
) -> int:
    """The quality of the next beat, all three arrays filtered and in millivolt.

    ``noise`` is a record of type COEFFICIENTS.
    ``window`` is the aligned beat and ``template`` the patient's own, equally long; ``signal`` is
    the signal round it, without NaN: some half a second more. A quality is left later than it is
    entered.
    """
    plain, fuzzy = _log_odds(
        noise, signal, template, template_distance(s, window, template, before)
    )
    s.noise += FORGET * (max(plain, fuzzy) - s.noise)
    s.hf_noise += FORGET * (fuzzy - s.hf_noise)
    if s.hf_noise >= (noise.unusable_left if s.quality == UNUSABLE else noise.unusable_entered):
        s.quality = UNUSABLE
    elif s.noise >= (noise.poor_entered if s.quality == GOOD else noise.poor_left):
        s.quality = POOR
    else:
        s.quality = GOOD
    quality: int = s.quality
    return quality
