"""Noise is declared and ectopic beats are not; the grade hangs on nothing but what was pushed."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from beatgan.filters import BandPass
from beatgan.noise import HIGHEST, LOWEST, POOR, UNUSABLE, NoiseMeter, _grade
from beatgan.spec import PreprocessSpec
from beatgan.synthetic import beat_times, synthetic_ecg
from beatgan.types import Doubles, Quality

SPEC = PreprocessSpec()
LEAD_IN = 180  # samples before the window, as the front end gives them
SECONDS = 120


def band(low: float, high: float) -> Doubles:
    """Two minutes of noise of unit power."""
    white = np.random.default_rng(0).normal(size=SECONDS * 360)
    noise = BandPass(360, low, high).push(white)
    return np.asarray(noise / noise.std())


def electrodes() -> Doubles:
    """Smooth: where T waves and QRS complexes are too."""
    return band(1.0, 12.0)


def muscle() -> Doubles:
    return band(20.0, 90.0)


def ecg() -> Doubles:
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


def grades(signal: Doubles, reference: Doubles | None = None) -> list[Quality]:
    reference = usual(ecg()) if reference is None else reference
    meter = NoiseMeter(SPEC)
    return [meter.push(span, span[LEAD_IN:], reference) for span in spans(signal)]


def share(found: list[Quality], quality: Quality) -> float:
    return float(np.mean([one is quality for one in found]))


def test_a_clean_signal_with_ectopic_beats_is_good() -> None:
    assert set(grades(ecg())) == {Quality.GOOD}


@pytest.mark.parametrize("noise", [electrodes, muscle])
def test_noise_as_high_as_the_beats_is_unusable(noise: Callable[[], Doubles]) -> None:
    assert share(grades(ecg() + noise())[15:], Quality.UNUSABLE) > 0.95


@pytest.mark.parametrize("noise", [electrodes, muscle])
def test_a_little_noise_is_none(noise: Callable[[], Doubles]) -> None:
    assert set(grades(ecg() + 0.02 * noise())) == {Quality.GOOD}


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
    NoiseMeter(SPEC).push(span, window, reference)
    assert all(map(np.array_equal, (span, window, reference), copies))


def test_meters_share_nothing() -> None:
    noisy = ecg() + electrodes()
    first = grades(noisy)
    grades(ecg())
    assert grades(noisy) == first


@pytest.mark.parametrize("last", list(Quality))
def test_between_its_thresholds_a_state_stays_as_it_is(last: Quality) -> None:
    poor, unusable = sum(POOR) / 2, sum(UNUSABLE) / 2
    assert _grade(POOR[1] - 0.01, POOR[1] - 0.01, last) is Quality.GOOD
    assert _grade(UNUSABLE[0], UNUSABLE[0], last) is Quality.UNUSABLE
    assert (_grade(poor, LOWEST, last) is Quality.GOOD) == (last is Quality.GOOD)
    assert (_grade(unusable, unusable, last) is Quality.UNUSABLE) == (last is Quality.UNUSABLE)


@pytest.mark.parametrize("last", list(Quality))
def test_noise_that_is_not_fuzzy_leaves_beats_scored(last: Quality) -> None:
    assert _grade(HIGHEST, LOWEST, last) is Quality.POOR
