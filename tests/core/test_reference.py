import numpy as np
import pytest

from beatgan.reference import Intervals, Reference
from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles

SPEC = PreprocessSpec()


def beat(width: float, height: float = 1.0) -> Doubles:
    return height * np.exp(-0.5 * ((np.arange(320) - 140) / width) ** 2)


def test_it_converges_to_the_usual_beat() -> None:
    reference, rng = Reference(SPEC), np.random.default_rng(0)
    for _ in range(100):
        reference.push(beat(5) + 0.05 * rng.normal(size=320))
    assert reference.shape is not None
    assert np.abs(reference.shape - beat(5)).max() < 0.05


def test_one_foreign_beat_moves_it_by_no_more_than_its_bound() -> None:
    reference = Reference(SPEC)
    for _ in range(50):
        reference.push(beat(5))
    before = reference.shape
    assert before is not None
    reference.push(beat(20, 8.0))
    assert reference.shape is not None
    bound = SPEC.reference_bound * before[90:200].std() / SPEC.reference_beats
    assert np.abs(reference.shape - before).max() == pytest.approx(bound)


def test_prematurity_is_one_sided_and_unknown_after_a_gap() -> None:
    intervals = Intervals(SPEC)
    assert intervals.push(0, False) == (None, 0.0)
    for apex in range(300, 3300, 300):
        assert intervals.push(apex, True) == (300, 0.0)
    interval, prematurity = intervals.push(3150, True)
    assert interval == 150
    assert prematurity == pytest.approx(np.log(2))
    assert intervals.push(3600, True) == (450, 0.0)
    assert intervals.push(9000, False) == (None, 0.0)
    assert intervals.push(9300, True) == (300, 0.0)
