import numpy as np
import pytest

from beatgan.beats import rr, template
from beatgan.beats.rr import REGULAR
from beatgan.beats.template import ASSUMED_DISTANCE, FORGIVEN_SHARE, MAX_USUAL
from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles

SPEC = PreprocessSpec()


def beat(width: float, height: float = 1.0) -> Doubles:
    return height * np.exp(-0.5 * ((np.arange(320) - 140) / width) ** 2)


def update_template(shape: Doubles, window: Doubles, count: int) -> None:
    """As a lead does with its ``count``-th beat."""
    weight = 1 / min(count, SPEC.template_beats)
    template.update_template(shape, window, weight, SPEC.template_bound, SPEC.before)


def unknown(count: int) -> Doubles:
    return np.full(count, np.nan)


def test_it_converges_to_the_usual_beat() -> None:
    rng = np.random.default_rng(0)
    shape = beat(5) + 0.05 * rng.normal(size=320)
    for count in range(2, 102):
        update_template(shape, beat(5) + 0.05 * rng.normal(size=320), count)
    assert np.abs(shape - beat(5)).max() < 0.05


def test_one_foreign_beat_moves_it_by_no_more_than_its_bound() -> None:
    shape = beat(5)
    update_template(shape, beat(20, 8.0), 51)
    bound = SPEC.template_bound * beat(5)[90:200].std() / SPEC.template_beats
    assert np.abs(shape - beat(5)).max() == pytest.approx(bound)


def test_the_beat_that_moves_it_stays_as_it_was() -> None:
    window = beat(20)
    update_template(beat(5), window, 2)
    assert np.array_equal(window, beat(20))


def premature(*intervals: int) -> list[float]:
    """The prematurity of each of these intervals, in samples, one after the other."""
    recent = unknown(SPEC.rr_beats)
    return [rr.prematurity(recent, interval) for interval in intervals]


def test_prematurity_is_one_sided() -> None:
    found = premature(*[300] * 11, 150, 450, 300)
    assert found[:11] == [0.0] * 11
    assert found[11] == pytest.approx(np.log(2) / REGULAR)
    assert found[12:] == [0.0, 0.0]


def test_only_the_latest_intervals_are_kept_the_newest_last() -> None:
    recent = unknown(3)
    for interval in (100, 200, 300, 400):
        rr.prematurity(recent, interval)
    assert recent.tolist() == np.log([200, 300, 400]).tolist()


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
    recent = unknown(SPEC.template_beats)
    first = template.excess_distance(recent, -4.0)
    assert first == pytest.approx(-4.0 - FORGIVEN_SHARE * ASSUMED_DISTANCE)
    assert template.excess_distance(recent, -4.0) == pytest.approx(-4.0 * (1 - FORGIVEN_SHARE))
    for _ in range(2 * SPEC.template_beats):
        template.excess_distance(recent, 0.5)
    wanted = 0.5 - FORGIVEN_SHARE * MAX_USUAL
    assert template.excess_distance(recent, 0.5) == pytest.approx(wanted)
