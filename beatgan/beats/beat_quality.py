"""How noisy the signal round a beat is, and whether the beat can be judged at all.

A beat looks noisy where it resembles neither the patient's reference nor any of the latest beats,
and where the signal round it is fuzzy and swings more than its range explains. An ectopic beat may
be unlike all others, but it does not make the signal between beats fuzzy; nor do the beats before
it. So running levels of noise, in log odds, which forget slowly, stay low.

Knows the patient's reference beat and the few latest beats; knows no score, model or detector.
"""

import numpy as np

from beatgan.beats.window import CORE, core, product
from beatgan.jit import compiled
from beatgan.types import Doubles, Quality, Record

KEPT = 8  # latest beats that a beat is compared with, besides the reference
BLOCK = 64  # samples (0.18 s): short enough that one of them lies between the QRS complexes
REPEATS = 0.08  # a beat this near to another is no noise: noise does not repeat itself
TINY = 1e-9  # keeps logarithms finite

# Log odds that a beat is made by noise: `NoiseCoefficients` of the model file. Noise of electrodes
# need not be fuzzy, so there are weights without fuzz too. But to those ventricular fibrillation
# looks like noise. So what they say makes a beat poor, which is scored; only fuzz can make it
# unusable.
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
LOWEST, HIGHEST = -2.0, 6.0  # how much one beat can say
FORGET = 0.1  # weight of the newest beat in the running level

GRADES = (Quality.GOOD, Quality.POOR, Quality.UNUSABLE)
GOOD, POOR, UNUSABLE = range(3)  # their indices

STATE = np.dtype(
    [
        ("noise", "f8"),  # running log odds of noise, fuzzy or not ...
        ("fuzz", "f8"),  # ... and of fuzzy noise
        ("grade", "i8"),  # of the latest beat, as far as noise goes: an index into GRADES
        ("count", "i8"),  # beats kept so far
        ("core", "f4", (KEPT, CORE)),  # the latest cores, each around its own mean
        ("energy", "f8", (KEPT,)),
    ]
)


@compiled
def _texture(signal: Doubles) -> tuple[float, float]:
    """Fuzz and swing of ``signal``, in its units.

    Fuzz: root mean square of the second differences in the block where it is least, so that no QRS
    counts. Swing: standard deviation of the blocks' means.
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
def _apart(a: Doubles, b: Doubles, energy: float) -> float:
    """The energy of the difference of two cores, relative to ``energy``."""
    even, odd = 0.0, 0.0  # two sums, so that one need not wait for the other
    for i in range(0, CORE, 2):
        even += (a[i] - b[i]) ** 2
        odd += (a[i + 1] - b[i + 1]) ** 2
    return (even + odd) / energy


@compiled
def template_distance(s: Record, window: Doubles, reference: Doubles, before: int) -> float:
    """How far ``window`` is from the nearest of the reference and the latest beats; keep it.

    The search ends at the first beat that is repeated.
    """
    shape, own = np.empty(CORE), np.empty(CORE)
    energy = core(reference, before, shape) + TINY
    mine = core(window, before, own) + TINY
    nearest = _apart(own, shape, max(mine, energy))
    for k in range(min(s.count, KEPT)):
        if nearest < REPEATS:
            break
        nearest = min(nearest, _apart(own, s.core[k], max(mine, s.energy[k])))
    place = s.count % KEPT
    for i in range(CORE):
        s.core[place, i] = own[i]
    s.energy[place] = mine
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
    signal: Doubles, reference: Doubles, distance: float
) -> tuple[float, float, float, float]:
    """What `NoiseWeights` weighs, in its order; ``distance`` is that from all other beats.

    Natural logarithms of ratios.
    """
    fuzz, swing = _texture(signal)
    scale = np.sqrt(product(reference, reference) / reference.size) + TINY
    return (
        np.log(distance),
        np.log(fuzz / scale + TINY),
        np.log(swing / scale + TINY),
        np.log((_range(signal) + TINY) / (_range(reference) + TINY)),
    )


@compiled
def _odds(noise: Record, signal: Doubles, reference: Doubles, apart: float) -> tuple[float, float]:
    """What one beat, ``apart`` from all others, says: log odds of noise without and with fuzz."""
    if apart < REPEATS:
        return LOWEST, LOWEST
    parts = features(signal, reference, apart)
    return (
        min(max(_weighted(parts, noise.without_hf_noise), LOWEST), HIGHEST),
        min(max(_weighted(parts, noise.with_hf_noise), LOWEST), HIGHEST),
    )


@compiled
def begin(s: Record) -> None:
    """A signal without noise, as far as is known."""
    s.noise = LOWEST
    s.fuzz = LOWEST
    s.count = 0
    s.grade = GOOD


@compiled
def push(
    s: Record, noise: Record, signal: Doubles, window: Doubles, reference: Doubles, before: int
) -> int:
    """The grade of the next beat, all three arrays filtered and in millivolt.

    ``noise`` is a record of type COEFFICIENTS.
    ``window`` is the aligned beat and ``reference`` the patient's own, equally long; ``signal`` is
    the signal round it, without NaN: some half a second more. A grade is left later than it is
    entered.
    """
    plain, fuzzy = _odds(noise, signal, reference, template_distance(s, window, reference, before))
    s.noise += FORGET * (max(plain, fuzzy) - s.noise)
    s.fuzz += FORGET * (fuzzy - s.fuzz)
    if s.fuzz >= (noise.unusable_left if s.grade == UNUSABLE else noise.unusable_entered):
        s.grade = UNUSABLE
    elif s.noise >= (noise.poor_entered if s.grade == GOOD else noise.poor_left):
        s.grade = POOR
    else:
        s.grade = GOOD
    grade: int = s.grade
    return grade
