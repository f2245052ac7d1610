import numpy as np
import pytest

from beatgan.beats.window import (
    RELATIVE_FLOOR,
    best_lag,
    by_patient,
    distance,
    patient_scale,
    to_unit_range,
)
from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles, Floats


@pytest.fixture
def beat() -> Doubles:
    t = np.arange(320) - 140
    return np.exp(-0.5 * (t / 5) ** 2) - 0.3 * np.exp(-0.5 * ((t - 12) / 6) ** 2)


@pytest.mark.parametrize("shift", [-6, -1, 0, 3, 6])
def test_best_lag_finds_the_shift(beat: Doubles, shift: int) -> None:
    signal = np.zeros(332)
    signal[6 + shift : 326 + shift] = 2.5 * beat
    signal += 0.4  # neither gain nor level matters
    assert best_lag(signal, beat, 140, 6) == shift


def test_distance_is_relative_and_blind_to_level(beat: Doubles) -> None:
    assert distance(beat + 0.2, beat, 140) == pytest.approx(np.log(RELATIVE_FLOOR))
    assert distance(-beat, beat, 140) == pytest.approx(np.log(4 + RELATIVE_FLOOR))
    assert distance(3 * -beat, 3 * beat, 140) == pytest.approx(distance(-beat, beat, 140))


def unit_range(window: Doubles) -> Floats:
    out = np.empty(window.size, np.float32)
    to_unit_range(window, out)
    return out


def scale(reference: Doubles) -> float:
    scored = PreprocessSpec().scored
    return patient_scale(reference, scored.start, scored.stop)


def test_unit_range_and_patient_scale(beat: Doubles) -> None:
    unit = unit_range(7 * beat + 2)
    assert (unit.min(), unit.max()) == (-1, 1)
    assert scale(3 * beat) == pytest.approx(3 * scale(beat))
    assert scale(beat) == pytest.approx(np.sqrt(np.mean(beat[50:270] ** 2)))
    assert np.isfinite(unit_range(np.zeros(320))).all()
    assert scale(np.zeros(320)) > 0


def test_in_units_of_the_patient_a_beat_keeps_its_size(beat: Doubles) -> None:
    out = np.empty(320, np.float32)
    by_patient(3 * beat, scale(beat), out)
    assert np.allclose(out * scale(beat), 3 * beat)
