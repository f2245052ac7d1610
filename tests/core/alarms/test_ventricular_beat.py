from math import inf

import numpy as np
import pytest
from msgspec.structs import replace

from beatgan.alarms.ventricular_beat import likeness, log_odds, shape
from beatgan.beat_classes import CLASSES
from beatgan.spec import PreprocessSpec
from beatgan.types import Beat, Floats, Quality, Score

R_PEAK = PreprocessSpec().before
TICKS = np.arange(320) - R_PEAK


def wave(*parts: tuple[float, float, float]) -> Floats:
    """A window of Gaussians: offset, width (both in ticks) and height."""
    shape = sum(height * np.exp(-0.5 * ((TICKS - at) / width) ** 2) for at, width, height in parts)
    return np.asarray(shape, np.float32)


NORMAL = wave((-60, 8, 0.4), (0, 3, 4.0), (95, 16, 0.8))
WIDE = wave((3, 16, 4.0), (110, 20, -1.5))


def score(window: Floats, value: float | None = 5.0, **probabilities: float) -> Score:
    quality = Quality.UNUSABLE if value is None else Quality.GOOD
    beat = Beat(9, 9000, 9186, "II", 400.0, quality, window, NORMAL, 1.0, 2.0)
    shares = [probabilities.get(str(each), 0.0) for each in CLASSES] if probabilities else None
    found = None if shares is None else (shares[0], shares[1], shares[2], shares[3], shares[4])
    return Score(beat, value, 3.0, window, window, found)


def test_log_odds_are_those_of_its_class_and_a_fusion_beat_is_half_ventricular() -> None:
    assert log_odds(score(WIDE, V=0.5, N=0.5)) == pytest.approx(0)
    assert log_odds(score(WIDE, F=1.0)) == pytest.approx(0)
    odds = [log_odds(score(WIDE, V=p, N=1 - p)) for p in (0.0, 0.1, 0.6, 0.9, 1.0)]
    assert odds == sorted(odds)
    assert np.isfinite(odds).all()


def test_without_classes_the_score_stands_for_them() -> None:
    odds = [log_odds(score(WIDE, value)) for value in (3.0, 6.0, 12.0)]
    assert odds[0] < odds[1] == 0 < odds[2]


def test_an_unscored_beat_is_not_ventricular() -> None:
    assert log_odds(score(WIDE, None)) == -inf


def test_a_wide_beat_is_slow_and_less_steep_than_the_patients_own() -> None:
    slowness = [shape(score(wave((0, width, 4.0))), R_PEAK).slowness for width in (3, 5, 7, 9)]
    assert slowness == sorted(slowness)
    assert shape(score(WIDE), R_PEAK).steepness < 0
    assert shape(score(NORMAL), R_PEAK).steepness == pytest.approx(0, abs=1e-5)


def test_amplitude_alone_says_nothing_of_width() -> None:
    one, other = shape(score(WIDE), R_PEAK), shape(score(3 * WIDE), R_PEAK)
    assert one.slowness == pytest.approx(other.slowness, abs=1e-5)


def test_noise_is_what_the_template_has_not() -> None:
    noise = np.random.default_rng(1).normal(0, 0.3, NORMAL.size).astype(np.float32)
    assert shape(score(NORMAL + noise), R_PEAK).hf_noise > 1
    assert shape(score(NORMAL), R_PEAK).hf_noise == pytest.approx(0)


def test_flat_windows_are_finite() -> None:
    flat = np.zeros(320, np.float32)
    beat = replace(score(flat).beat, template=flat)
    assert np.isfinite(shape(replace(score(flat), beat=beat), R_PEAK)).all()
    assert likeness(flat, WIDE, R_PEAK) == 0


def test_likeness_is_a_correlation_of_the_qrs() -> None:
    assert likeness(WIDE, 2 * WIDE, R_PEAK) == pytest.approx(1, abs=1e-5)
    assert likeness(WIDE, -WIDE, R_PEAK) < -0.5
    assert likeness(NORMAL, WIDE, R_PEAK) < 0.8


def test_likeness_aligns_the_two() -> None:
    assert likeness(WIDE, np.roll(WIDE, 8), R_PEAK) == pytest.approx(1, abs=1e-3)
    assert likeness(NORMAL, np.roll(NORMAL, 40), R_PEAK) < 0.5
