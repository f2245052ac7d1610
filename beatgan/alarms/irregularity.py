"""How irregular a rhythm is, as atrial fibrillation makes it, over the latest beats of one patient.

Knows intervals between beats, their classes and the patient's template; knows no episode. The
features are those of the field: sample entropy of RR intervals (Lake & Moorman 2011), the scatter
of their differences (Sarkar 2008), and the missing P wave.
"""

from math import isnan
from typing import Any, NamedTuple, Protocol

import numpy as np
from msgspec import Struct, field

from beatgan.alarms.memory import (
    UNKNOWN,
    BeatNumbers,
    Latest,
    Layout,
    append,
    beat_numbers,
    latest,
)
from beatgan.coefficients import AtrialFibrillationCoefficients
from beatgan.errors import ArtifactError
from beatgan.jit import compiled
from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles, Floats, Records, Score

BEATS = 32  # the latest, of which features are made
EVERY = 8  # beats of good signal from one row of features to the next
LEAST_BEATS = 12  # known intervals, ...
LEAST_DIFFERENCES = 8  # ... and differences of one from the next, that a row needs
FORGET_S = 30.0  # after so long without a beat the rhythm is not known any more
ECTOPIC = 0.5  # probability of V or F from which a beat's intervals do not count
ALIKE = 0.06  # of the median interval: two intervals so near are the same to the sample entropy
TINY = 0.005  # of the median interval: differences smaller than that are all the same
LARGE = 0.02  # s²: a larger product of two differences counts for no more
# The template's P wave and QRS, in samples before the R peak, and after it.
P_WAVE = (90, 35)
QRS = (20, 25)
EDGE = 5  # samples at either end of the P wave's stretch, between which the baseline runs


class Features(NamedTuple):
    """What atrial fibrillation is known by, in the order of `AtrialFibrillationCoefficients`.

    ``sample_entropy``: of the intervals, one long, in natural units. ``scatter``: log of the
    lower quartile of the intervals' differences, over their median: a rhythm with single ectopic
    beats is regular between them. ``trend``: how far differences of one sign follow one another
    (1 always, -1 never): breathing makes them so. ``recurrence``: log of how far a pair of
    intervals is from the pair most like it, over the median: ectopic beats repeat themselves.
    ``rr``: log of the median interval in s. ``normal_share``: the mean probability of class N.
    ``p_wave``: log of the template's range where a P wave is, over that of its QRS.
    """

    sample_entropy: float
    scatter: float
    trend: float
    recurrence: float
    rr: float
    normal_share: float
    p_wave: float


PlainFeatures = tuple[float, float, float, float, float, float, float]  # `Features` compiled


class State(Struct):
    """What is remembered of the latest beats, `BEATS` of which count; NaN where unknown."""

    samples: list[int] = field(default_factory=list)  # R peaks
    rr_ms: list[float] = field(default_factory=list)
    normal: list[float] = field(default_factory=list)  # probability of class N
    broken: bool = True  # whether the interval after the latest beat does not count
    due_in: int = EVERY  # beats of good signal until a row of features is due


MEMORY = np.dtype(
    [
        ("samples", latest("i8", BEATS)),
        ("rr_ms", latest("f8", BEATS)),
        ("normal", latest("f8", BEATS)),
        ("broken", "?"),
        ("due_in", "i8"),
    ],
    align=True,
)


class Memory(Protocol):
    """A record of dtype MEMORY: `State` in numbers."""

    samples: Latest
    rr_ms: Latest
    normal: Latest
    broken: bool
    due_in: int


def nothing() -> Any:
    """An array of one record that remembers nothing."""
    memory = np.zeros(1, MEMORY)
    memory[0] = Layout(MEMORY, State).values(State())
    return memory


@compiled
def forget(m: Memory) -> None:
    """After so long without a beat that the rhythm is not known any more."""
    m.samples.count = m.rr_ms.count = m.normal.count = 0
    m.broken, m.due_in = True, EVERY


@compiled
def take_beat(m: Memory, b: BeatNumbers) -> bool:
    """Whether a row of features is due.

    Intervals next to a ventricular beat or to poor signal are left out.
    """
    append(m.samples, b.sample)
    if np.isnan(b.normal) or not b.good:
        m.broken = True
        append(m.rr_ms, UNKNOWN)
        append(m.normal, UNKNOWN)
        return False
    was_broken, m.broken = m.broken, b.ventricular + b.fusion > ECTOPIC
    append(m.rr_ms, UNKNOWN if was_broken or m.broken else b.rr_ms)
    append(m.normal, b.normal)
    m.due_in -= 1
    if m.due_in > 0:
        return False
    m.due_in = EVERY
    return m.samples.count == BEATS


class Irregularity:
    """Log odds of atrial fibrillation by a patient's latest beats, given one after another.

    Remembers nothing itself. ``r_peak``: where a window has its R peak; ``weights``: see `weighed`.
    Raises ArtifactError where the spec's windows are too short for it.
    """

    __slots__ = ("r_peak", "weights")

    def __init__(self, spec: PreprocessSpec, coefficients: AtrialFibrillationCoefficients) -> None:
        if spec.before < P_WAVE[0] or spec.after < QRS[1]:
            raise ArtifactError(
                f"spec: atrial fibrillation is recognised by {P_WAVE[0]} samples before the R peak "
                f"and {QRS[1]} after it, a window has {spec.before} and {spec.after}"
            )
        self.r_peak = spec.before
        weights = [getattr(coefficients, name) for name in Features._fields]
        self.weights: Doubles = np.array([*weights, coefficients.offset])

    def log_odds(self, found: Features) -> float:
        """Above 0 where the rhythm looks like atrial fibrillation."""
        return weighed(found, self.weights)

    def push(self, memories: Records[Memory], score: Score) -> Features | None:
        """Take a beat into an array of one record; the features, if a row is due and possible."""
        if not _take(memories, BeatNumbers(*beat_numbers(score))):
            return None
        found = Features(*_measure(memories, score.beat.template, self.r_peak))
        return None if isnan(found.sample_entropy) else found


@compiled
def _take(memories: Records[Memory], b: BeatNumbers) -> bool:
    return take_beat(memories[0], b)


@compiled
def _measure(memories: Records[Memory], template: Floats, r_peak: int) -> PlainFeatures:
    return measure(memories[0], template, r_peak)


@compiled
def weighed(found: PlainFeatures, weights: Doubles) -> float:
    """The log odds of `Features`, whose weights come first; the last one stands for itself."""
    total = 0.0
    for i in range(len(found)):
        total += weights[i] * found[i]
    log_odds: float = weights[-1] + total
    return log_odds


@compiled
def measure(m: Memory, template: Floats, r_peak: int) -> PlainFeatures:
    """The `Features`, all but the last two NaN where too few intervals are known."""
    entropy, scatter, trend, recurrence, middle = _irregularity(m.rr_ms.values / 1000)
    p_wave = _p_wave(template, r_peak)
    normal = float(np.nanmean(m.normal.values))
    return entropy, scatter, trend, recurrence, middle, normal, p_wave


@compiled
def _irregularity(rr: Doubles) -> tuple[float, float, float, float, float]:
    """Sample entropy, scatter, trend, recurrence and rate of intervals, see `Features`."""
    unknown = (np.nan, np.nan, np.nan, np.nan, np.nan)
    known = rr[~np.isnan(rr)]
    if known.size < LEAST_BEATS:
        return unknown
    middle = np.median(known)
    first, second, steps = np.empty(rr.size), np.empty(rr.size), np.empty(rr.size)
    pairs, along, across = 0, 0.0, 1e-4
    for i in range(1, rr.size):
        step = rr[i] - rr[i - 1]
        if np.isnan(step):
            continue
        first[pairs], second[pairs], steps[pairs] = rr[i - 1], rr[i], abs(step) / middle
        pairs += 1
        if i > 1 and not np.isnan(rr[i - 2]):
            product = (rr[i - 1] - rr[i - 2]) * step
            weight = min(abs(product), LARGE)
            along += weight if product > 0 else -weight
            across += weight
    if pairs < LEAST_DIFFERENCES:
        return unknown
    quartile = np.sort(steps[:pairs])[int(0.25 * (pairs - 1) + 0.5)]
    entropy, nearest = _recurrence(first[:pairs], second[:pairs], ALIKE * middle)
    scatter, recurrence = np.log(quartile + TINY), np.log(nearest / middle + TINY)
    return entropy, scatter, along / across, recurrence, np.log(middle)


@compiled
def _recurrence(first: Doubles, second: Doubles, alike: float) -> tuple[float, float]:
    """Sample entropy of pairs of intervals, and the median distance of each to the nearest."""
    one, both = 1, 1
    nearest = np.full(first.size, np.inf)
    for i in range(first.size):
        for j in range(i + 1, first.size):
            a, b = abs(first[i] - first[j]), abs(second[i] - second[j])
            if a <= alike:
                one += 1
                both += b <= alike
            distance = a * a + b * b
            nearest[i] = min(nearest[i], distance)
            nearest[j] = min(nearest[j], distance)
    return np.log(one / both), np.sqrt(np.median(nearest))


@compiled
def _p_wave(template: Floats, r_peak: int) -> float:
    """See `Features`."""
    start, stop = r_peak - P_WAVE[0], r_peak - P_WAVE[1]
    before, after = template[start : start + EDGE].mean(), template[stop - EDGE : stop].mean()
    low, high = np.inf, -np.inf
    for i in range(start, stop):
        value = template[i] - before - (after - before) * (i - start) / (stop - start)
        low, high = min(low, value), max(high, value)
    qrs = template[r_peak - QRS[0] : r_peak + QRS[1]]
    return float(np.log((high - low) / (qrs.max() - qrs.min() + 1e-6) + TINY))
