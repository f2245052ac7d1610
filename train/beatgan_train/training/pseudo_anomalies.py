"""Beats made anomalous by hand, so that a network can learn what is anomalous without a label.

Each family alters one normal window in a way the heart, the electrodes or the front end might, and
says in which samples. Knows windows; knows no network and no diagnosis.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from beatgan.beats.window import to_unit_range
from beatgan.errors import UsageError
from beatgan.spec import PreprocessSpec
from beatgan.types import Floats, Ints

Span = tuple[int, int]  # the altered samples, [first, last)
Altered = tuple[Floats, Span]

NOTICEABLE = 0.5  # of the beat's own standard deviation: an alteration must reach it somewhere
TRIES = 8  # at drawing one that does
JOIN = 9  # samples over which an alteration fades in and out
# A beat's landmarks, in milliseconds from the apex, generously.
QRS = (-100, 110)
P_WAVE = (-250, -80)
T_WAVE = (140, 420)


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A normal window (length,), another patient's normal window, and the source of chance."""

    beat: Floats
    donor: Floats
    spec: PreprocessSpec
    rng: np.random.Generator


@dataclass(frozen=True, slots=True, eq=False)
class PseudoBeats:
    """Altered windows (n, length), the altered ``span`` (n, 2), and the ``family`` of each."""

    window: Floats
    span: Ints
    family: tuple[str, ...]


def widened(case: Case) -> Altered:
    """The QRS complex 1.5 to 2.5 times as wide, as when it begins in a ventricle."""
    factor = case.rng.uniform(1.5, 2.5)
    span = _samples(case.spec, QRS[0] * factor, QRS[1] * factor)
    samples = np.arange(case.spec.length)
    slow = np.interp(case.spec.before + (samples - case.spec.before) / factor, samples, case.beat)
    return _blend(case.beat, slow, span), span


def resized(case: Case) -> Altered:
    """The QRS complex 0.4 to 0.65, or 1.6 to 2.5, times as high."""
    factor = case.rng.uniform(0.4, 0.65) if case.rng.random() < 0.5 else case.rng.uniform(1.6, 2.5)
    return _scaled(case.beat, _samples(case.spec, *QRS), factor)


def flipped(case: Case) -> Altered:
    """The QRS complex upside down."""
    return _scaled(case.beat, _samples(case.spec, *QRS), -1.0)


def without_p(case: Case) -> Altered:
    """No P wave, as in a junctional beat."""
    return _scaled(case.beat, _samples(case.spec, *P_WAVE), 0.0)


def without_t(case: Case) -> Altered:
    """No T wave, or one upside down."""
    return _scaled(case.beat, _samples(case.spec, *T_WAVE), case.rng.choice((0.0, -1.0)))


def spliced(case: Case) -> Altered:
    """Another patient's beat from somewhere near the apex on, or up to there."""
    cut = case.spec.before + int(case.rng.integers(-20, 21))
    span = (cut, case.spec.length) if case.rng.random() < 0.5 else (0, cut)
    return _blend(case.beat, case.donor, span), span


def early(case: Case) -> Altered:
    """The beat comes 280 to 400 ms after another one: on or just behind its T wave."""
    since = _count(case.spec, case.rng.uniform(280, 400))
    span = (0, case.spec.before + _count(case.spec, QRS[0]))
    source = np.minimum(np.arange(case.spec.length) + since, case.spec.length - 1)
    return _blend(case.beat, case.beat[source], span), span


def stepped(case: Case) -> Altered:
    """The baseline jumps by 0.7 to 2 standard deviations, and the high-pass brings it back."""
    begin = int(case.rng.integers(case.spec.scored.start, case.spec.scored.stop - 40))
    decay = case.spec.rate / (2 * np.pi * case.spec.highpass_hz)  # samples
    height = case.rng.choice((-1.0, 1.0)) * case.rng.uniform(0.7, 2.0) * case.beat.std()
    altered = case.beat.copy()
    altered[begin:] += height * np.exp(-np.arange(case.spec.length - begin) / decay)
    return altered, (begin, case.spec.length)


def noisy(case: Case) -> Altered:
    """A burst of muscle noise of 150 to 400 ms, as the low-pass leaves it."""
    width = _count(case.spec, case.rng.uniform(150, 400))
    begin = int(case.rng.integers(case.spec.scored.start, case.spec.scored.stop - width))
    span = (begin, begin + width)
    kernel = np.hanning(round(case.spec.rate / case.spec.lowpass_hz))
    white = case.rng.standard_normal(case.spec.length)
    noise = np.convolve(white, kernel / np.linalg.norm(kernel), "same")
    height = case.rng.uniform(0.4, 1.0) * case.beat.std()
    return _blend(case.beat, case.beat + height * noise, span), span


def shifted(case: Case) -> Altered:
    """The whole window 20 to 40 ms early or late: further off than alignment can mend."""
    by = case.rng.choice((-1, 1)) * _count(case.spec, case.rng.uniform(20, 40))
    samples = np.clip(np.arange(case.spec.length) + by, 0, case.spec.length - 1)
    return case.beat[samples], (0, case.spec.length)


Family = Callable[[Case], Altered]
FAMILIES: dict[str, Family] = {
    family.__name__: family
    for family in (
        widened, resized, flipped, without_p, without_t, spliced, early, stepped, noisy, shifted,
    )
}  # fmt: skip


def families_without(held_out: Sequence[str]) -> tuple[str, ...]:
    """The names of all families but ``held_out``; UsageError on an unknown one or if none is left.

    A network to which the held-out families too are anomalous has learnt more than a list.
    """
    if unknown := [name for name in held_out if name not in FAMILIES]:
        raise UsageError(f"no pseudo-anomaly {unknown[0]!r}; there are {', '.join(FAMILIES)}")
    if not (left := tuple(name for name in FAMILIES if name not in held_out)):
        raise UsageError("no family of pseudo-anomalies is left to train on")
    return left


def make(
    windows: Floats,
    patients: Ints,
    spec: PreprocessSpec,
    rng: np.random.Generator,
    families: Sequence[str] = tuple(FAMILIES),
) -> PseudoBeats:
    """One pseudo-anomaly from each of the normal ``windows`` (n, length), families by chance.

    ``patients`` (n,) is whose beat each is: splices take their donor from another patient
    where there is one. A family that would not show on a beat (no P wave in a beat that has none)
    is replaced by another.
    """
    donors = _donors(patients, rng)
    made = np.empty_like(windows)
    spans = np.empty((len(windows), 2), np.int64)
    names: list[str] = []
    for row, beat in enumerate(windows):
        case = Case(beat, windows[donors[row]], spec, rng)
        made[row], spans[row], name = _one(case, families)
        names.append(name)
    return PseudoBeats(made, spans, tuple(names))


def _one(case: Case, families: Sequence[str]) -> tuple[Floats, Span, str]:
    """The first alteration drawn that shows, or the last of TRIES; scaled as the spec says."""
    for _ in range(TRIES):
        name = families[int(case.rng.integers(len(families)))]
        altered, span = FAMILIES[name](case)
        if np.abs(altered - case.beat).max() >= NOTICEABLE * case.beat.std():
            break
    if case.spec.scale == "beat":
        unit = np.empty(altered.shape, np.float32)
        to_unit_range(altered.astype(np.float64), unit)
        altered = unit
    return altered, span, name


def _donors(patients: Ints, rng: np.random.Generator) -> Ints:
    """For each row another row, of another patient after a few draws."""
    donors = rng.permutation(len(patients))
    for _ in range(TRIES):
        same = np.flatnonzero(patients[donors] == patients)
        donors[same] = rng.integers(len(patients), size=len(same))
    return donors


def _scaled(beat: Floats, span: Span, factor: float) -> Altered:
    """The beat with its deflection in ``span``, seen from the chord, times ``factor``."""
    first, last = span[0], span[1] - 1
    samples = np.arange(len(beat))
    line = np.interp(samples, [first, last], [beat[first], beat[last]])
    return _blend(beat, line + factor * (beat - line), span), span


def _blend(beat: Floats, other: np.ndarray, span: Span) -> Floats:
    """``beat`` outside of ``span`` and ``other`` inside, joined smoothly within the span."""
    first, last = span
    samples = np.arange(len(beat))
    left = (samples - first + 1) / JOIN if first > 0 else np.ones(len(beat))
    right = (last - samples) / JOIN if last < len(beat) else np.ones(len(beat))
    share = np.clip(np.minimum(left, right), 0, 1)
    joined: Floats = (beat + share * (other - beat)).astype(np.float32)
    return joined


def _count(spec: PreprocessSpec, ms: float) -> int:
    return round(ms * spec.rate / 1000)


def _samples(spec: PreprocessSpec, start_ms: float, stop_ms: float) -> Span:
    """The samples from one time relative to the apex to another, within the window."""
    first = spec.before + _count(spec, start_ms)
    return max(0, first), min(spec.length, spec.before + _count(spec, stop_ms))
