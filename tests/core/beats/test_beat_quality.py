"""Noise is declared and ectopic beats are not; the grade hangs on nothing but what was pushed."""

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from beatgan.beats import beat_quality, lead_pipeline
from beatgan.beats.beat_quality import (
    FORGET,
    GOOD,
    HIGHEST,
    LOWEST,
    POOR,
    QUALITIES,
    UNUSABLE,
)
from beatgan.model.synthetic_ecg import beat_times, synthetic_ecg
from beatgan.signal.filters import BandPass
from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles, Quality
from beatgan_train.training.coefficients import coefficients_of

SPEC = PreprocessSpec()
LIMITS = coefficients_of("full").noise
NOISE: Any = lead_pipeline.plan(SPEC, coefficients_of("full"), 360.0)[0]["noise"]
LEAD_IN = 180  # samples before the window, as the front end gives them
SECONDS = 120


@cache
def band(low: float, high: float) -> Doubles:
    """Two minutes of noise of unit power."""
    white = np.random.default_rng(0).normal(size=SECONDS * 360)
    filtered = BandPass(360, low, high).push(white)
    return np.asarray(filtered / filtered.std())


def electrodes() -> Doubles:
    """Smooth: where T waves and QRS complexes are too."""
    return band(1.0, 12.0)


def muscle() -> Doubles:
    return band(20.0, 90.0)


def ecg() -> Doubles:
    return clean().copy()


@cache
def clean() -> Doubles:
    return synthetic_ecg(SECONDS, 360.0).astype(np.float64)


def spans(signal: Doubles) -> list[Doubles]:
    """The filtered signal round each beat, at its true place."""
    band_pass = BandPass(360, SPEC.highpass_hz, SPEC.lowpass_hz)
    filtered = band_pass.push(signal)
    starts = (beat_times(SECONDS)[2:-1] * 360).astype(int) + band_pass.delay - SPEC.before
    return [filtered[a - LEAD_IN : a + SPEC.length] for a in starts]


def usual(signal: Doubles) -> Doubles:
    """The mean of some normal beats."""
    return np.asarray(np.mean([span[LEAD_IN:] for span in spans(signal)[:6]], axis=0))


def meter() -> Any:
    record = np.zeros(1, beat_quality.STATE)[0]
    beat_quality.begin(record)
    return record


def grades(signal: Doubles, reference: Doubles | None = None) -> list[Quality]:
    reference = usual(ecg()) if reference is None else reference
    s, before = meter(), SPEC.before
    spanned = spans(signal)
    return [
        QUALITIES[beat_quality.push(s, NOISE, span, span[LEAD_IN:], reference, before)]
        for span in spanned
    ]


def share(found: list[Quality], quality: Quality) -> float:
    return float(np.mean([one is quality for one in found]))


def test_a_clean_signal_with_ectopic_beats_is_good() -> None:
    assert set(grades(ecg())) == {Quality.GOOD}


@pytest.mark.parametrize("added", [electrodes, muscle])
def test_noise_as_high_as_the_beats_is_unusable(added: Callable[[], Doubles]) -> None:
    assert share(grades(ecg() + added())[15:], Quality.UNUSABLE) > 0.95


@pytest.mark.parametrize("added", [electrodes, muscle])
def test_a_little_noise_is_none(added: Callable[[], Doubles]) -> None:
    assert set(grades(ecg() + 0.02 * added())) == {Quality.GOOD}


def test_the_state_comes_with_the_noise_and_goes_with_it() -> None:
    signal, begins, ends = ecg(), 40 * 360, 80 * 360
    signal[begins:ends] += electrodes()[begins:ends]
    at = beat_times(SECONDS)[2:-1]
    found = grades(signal)
    before = [q for q, t in zip(found, at, strict=True) if t < 40]
    within = [q for q, t in zip(found, at, strict=True) if 52 < t < 80]
    after = [q for q, t in zip(found, at, strict=True) if t > 100]
    assert set(before) == set(after) == {Quality.GOOD}
    assert set(within) == {Quality.UNUSABLE}
    assert sum(a is not b for a, b in pairwise(found)) <= 6


@pytest.mark.parametrize("gain", [0.1, 10.0])
def test_gain_changes_nothing(gain: float) -> None:
    noisy = ecg() + 0.3 * electrodes()
    assert grades(gain * noisy, gain * usual(ecg())) == grades(noisy)


@pytest.mark.parametrize("reference", [0.01 * usual(ecg()), -usual(ecg()), np.zeros(SPEC.length)])
def test_beats_that_repeat_one_another_are_no_noise(reference: Doubles) -> None:
    """A reference learnt from a loose lead must not shut out the beats that come after it."""
    assert Quality.UNUSABLE not in grades(ecg(), reference)


def test_what_was_pushed_stays_as_it_was() -> None:
    span = spans(ecg())[3]
    window, reference = span[LEAD_IN:].copy(), usual(ecg())
    copies = [array.copy() for array in (span, window, reference)]
    beat_quality.push(meter(), NOISE, span, window, reference, SPEC.before)
    assert all(map(np.array_equal, (span, window, reference), copies))


def test_meters_share_nothing() -> None:
    noisy = ecg() + electrodes()
    first = grades(noisy)
    grades(ecg())
    assert grades(noisy) == first


def grade_at(level: float, fuzz: float, last: int) -> int:
    """The grade where the running levels come to ``level`` and ``fuzz``, after ``last``."""
    s, window = meter(), usual(ecg())
    for name, wanted in (("noise", level), ("hf_noise", fuzz)):  # the beat pushed says LOWEST
        s[name] = (wanted - FORGET * LOWEST) / (1 - FORGET)
    s["quality"] = last
    quality = beat_quality.push(s, NOISE, np.zeros(500), window, window, SPEC.before)
    assert (float(s["noise"]), float(s["hf_noise"])) == pytest.approx((level, fuzz))
    assert s["quality"] == quality
    return quality


@pytest.mark.parametrize("last", [GOOD, POOR, UNUSABLE])
def test_between_its_thresholds_a_state_stays_as_it_is(last: int) -> None:
    poor, unusable = (
        (LIMITS.poor_entered + LIMITS.poor_left) / 2,
        (LIMITS.unusable_entered + LIMITS.unusable_left) / 2,
    )
    assert grade_at(LIMITS.poor_left - 0.01, LIMITS.poor_left - 0.01, last) == GOOD
    assert (
        grade_at(LIMITS.unusable_entered + 0.01, LIMITS.unusable_entered + 0.01, last) == UNUSABLE
    )
    assert (grade_at(poor, LOWEST, last) == GOOD) == (last == GOOD)
    assert (grade_at(unusable, unusable, last) == UNUSABLE) == (last == UNUSABLE)


@pytest.mark.parametrize("last", [GOOD, POOR, UNUSABLE])
def test_noise_that_is_not_fuzzy_leaves_beats_scored(last: int) -> None:
    assert grade_at(HIGHEST, LOWEST, last) == POOR
