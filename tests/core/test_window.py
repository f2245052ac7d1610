import numpy as np
import pytest

from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles
from beatgan.window import RELATIVE_FLOOR, best_lag, distance, patient_scale, to_unit_range


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


def test_unit_range_and_patient_scale(beat: Doubles) -> None:
    unit = to_unit_range(7 * beat + 2)
    assert (unit.min(), unit.max()) == (-1, 1)
    spec = PreprocessSpec()
    assert patient_scale(3 * beat, spec) == pytest.approx(3 * patient_scale(beat, spec))
    assert np.isfinite(to_unit_range(np.zeros(320))).all()
    assert patient_scale(np.zeros(320), spec) > 0
