import numpy as np
import pytest

from beatgan.reference import (
    MOST_USUAL,
    REGULAR,
    USUAL_DISTANCE,
    USUAL_SHARE,
    Intervals,
    Reference,
    Usual,
)
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


def premature(*intervals: int) -> list[float]:
    """The prematurity of each of these intervals, in samples, one after the other."""
    judge = Intervals(SPEC)
    apexes = np.cumsum([0, *intervals]).tolist()
    return [judge.push(apex, index > 0)[1] for index, apex in enumerate(apexes)][1:]


def test_prematurity_is_one_sided_and_unknown_after_a_gap() -> None:
    intervals = Intervals(SPEC)
    assert intervals.push(0, False) == (None, 0.0)
    for apex in range(300, 3300, 300):
        assert intervals.push(apex, True) == (300, 0.0)
    interval, prematurity = intervals.push(3150, True)
    assert interval == 150
    assert prematurity == pytest.approx(np.log(2) / REGULAR)
    assert intervals.push(3600, True) == (450, 0.0)
    assert intervals.push(9000, False) == (None, 0.0)
    assert intervals.push(9300, True)[0] == 300


def test_two_premature_beats_of_three_do_not_become_the_rhythm() -> None:
    of_a_run = np.array(premature(*[300] * 40, *[180, 180, 400] * 20))
    assert (of_a_run[-60:].reshape(20, 3)[:, :2] > 3).all()
    assert (of_a_run[-60:].reshape(20, 3)[:, 2] == 0).all()


def test_an_irregular_rhythm_is_not_one_alarm_a_beat() -> None:
    rng = np.random.default_rng(0)
    bigeminy = np.array(premature(*[200, 400] * 40))[20:]
    fibrillation = np.array(premature(*rng.uniform(200, 400, 80).astype(int).tolist()))[20:]
    assert bigeminy[bigeminy > 0].min() > 6
    assert fibrillation.max() < 4


def test_what_is_usual_is_forgiven_in_part_and_within_bounds() -> None:
    usual = Usual(SPEC)
    assert usual.push(-4.0) == pytest.approx(-4.0 - USUAL_SHARE * USUAL_DISTANCE)
    assert usual.push(-4.0) == pytest.approx(-4.0 * (1 - USUAL_SHARE))
    for _ in range(2 * SPEC.reference_beats):
        usual.push(0.5)
    assert usual.push(0.5) == pytest.approx(0.5 - USUAL_SHARE * MOST_USUAL)
