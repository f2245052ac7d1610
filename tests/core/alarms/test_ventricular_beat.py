from math import inf

import numpy as np
import pytest
from msgspec.structs import replace

from beatgan.alarms.ventricular_beat import AHEAD_MOST, VentricularClassifier
from beatgan.errors import ArtifactError
from beatgan.spec import PreprocessSpec
from beatgan.types import Beat, Floats, Quality, Score
from beatgan_train.training.coefficients import coefficients_of

COEFFICIENTS = coefficients_of("full").ventricular
CLASSIFIER = VentricularClassifier(PreprocessSpec(), COEFFICIENTS)
log_odds, features, likeness = CLASSIFIER.log_odds, CLASSIFIER.features, CLASSIFIER.likeness
TICKS = np.arange(320) - PreprocessSpec().before


def wave(*parts: tuple[float, float, float]) -> Floats:
    """A window of Gaussians: offset, width (both in ticks) and height."""
    shape = sum(height * np.exp(-0.5 * ((TICKS - at) / width) ** 2) for at, width, height in parts)
    return np.asarray(shape, np.float32)


NORMAL = wave((-60, 8, 0.4), (0, 3, 4.0), (95, 16, 0.8))
WIDE = wave((3, 16, 4.0), (110, 20, -1.5))


def score(window: Floats, value: float | None = 5.0, distance: float | None = 1.0) -> Score:
    quality = Quality.UNUSABLE if value is None else Quality.GOOD
    beat = Beat(9, 9000, 9186, "II", 400.0, quality, window, NORMAL, distance, 2.0)
    return Score(beat, value, 3.0, window, window)


def test_a_wide_strange_beat_looks_ventricular_and_a_narrow_one_does_not() -> None:
    early = NORMAL - wave((-60, 8, 0.4)) + wave((-75, 12, 1.0))  # its P wave in the T before it
    assert log_odds(score(WIDE)) > 2
    assert log_odds(score(-WIDE)) > 2
    assert log_odds(score(early, 4.2)) < -1  # what such beats score at the most, over DS1


def test_width_counts_beside_the_score() -> None:
    odds = [log_odds(score(wave((0, width, 4.0)), 4.0)) for width in (3, 5, 7, 9)]
    assert odds == sorted(odds)
    assert log_odds(score(WIDE, 6.0)) - log_odds(score(WIDE, 5.0)) == pytest.approx(
        COEFFICIENTS.score_excess
    )


def test_amplitude_alone_says_nothing_of_width() -> None:
    one, other = features(score(WIDE), 5.0), features(score(3 * WIDE), 5.0)
    assert one.slowness == pytest.approx(other.slowness, abs=1e-5)


def test_what_cannot_be_told_is_not_ventricular() -> None:
    assert log_odds(score(WIDE, None)) == -inf
    assert log_odds(score(WIDE, distance=None)) == -inf  # no reference yet: it is its own
    unscored = score(WIDE, None)
    empty = np.empty(0, np.float32)
    beat = replace(unscored.beat, window=empty, template=empty)
    assert log_odds(replace(unscored, beat=beat)) == -inf


def test_an_unsuspicious_beat_is_not_looked_at() -> None:
    empty = np.empty(0, np.float32)
    assert log_odds(score(empty, 1.0)) == -inf


def test_flat_windows_are_finite() -> None:
    flat = np.zeros(320, np.float32)
    beat = replace(score(flat).beat, template=flat)
    assert np.isfinite(log_odds(replace(score(flat), beat=beat)))
    assert likeness(flat, WIDE) == 0


def test_likeness_is_a_correlation_of_the_qrs() -> None:
    assert likeness(WIDE, 2 * WIDE) == pytest.approx(1, abs=1e-5)
    assert likeness(WIDE, -WIDE) < -0.5
    assert likeness(NORMAL, WIDE) < 0.8


def test_likeness_aligns_the_two() -> None:
    assert likeness(WIDE, np.roll(WIDE, 8)) == pytest.approx(1, abs=1e-3)
    assert likeness(NORMAL, np.roll(NORMAL, 40)) < 0.5


def test_what_fills_the_time_before_a_beat_counts_up_to_a_point() -> None:
    """In a fast run the T wave before a beat lies where its P wave would be."""
    busy, busier = (WIDE + wave((-58, 8, height)) for height in (3.0, 6.0))
    assert (
        features(score(busy), 5.0).p_wave_activity
        == features(score(busier), 5.0).p_wave_activity
        == AHEAD_MOST
    )


def test_another_spec_is_read_at_its_own_r_peak() -> None:
    """The same beats in windows that begin earlier, or later, look the same."""
    early = VentricularClassifier(PreprocessSpec(before=100, after=180), COEFFICIENTS)
    late = VentricularClassifier(PreprocessSpec(before=170, after=180), COEFFICIENTS)
    plain = score(WIDE)
    for classifier, moved in ((early, -40), (late, 30)):
        window, reference = shifted(WIDE, moved), shifted(NORMAL, moved)
        beat = replace(plain.beat, window=window, template=reference)
        other = replace(plain, beat=beat)
        assert classifier.log_odds(other) == pytest.approx(log_odds(plain), abs=1e-6)
        assert classifier.likeness(window, reference) == pytest.approx(
            likeness(WIDE, NORMAL), abs=1e-6
        )


def shifted(window: Floats, by: int) -> Floats:
    """The window as it is with ``by`` samples more before the R peak."""
    return np.concatenate([np.repeat(window[:1], by), window]) if by > 0 else window[-by:]


@pytest.mark.parametrize(
    "spec", [PreprocessSpec(before=79, score_before=70), PreprocessSpec(after=69, score_after=60)]
)
def test_a_window_too_short_for_the_features_is_refused(spec: PreprocessSpec) -> None:
    with pytest.raises(ArtifactError, match="a window has"):
        VentricularClassifier(spec, COEFFICIENTS)
