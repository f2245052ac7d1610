import numpy as np
import pytest

from beatgan.beats import template
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


def test_what_is_usual_is_forgiven_in_part_and_within_bounds() -> None:
    recent = unknown(SPEC.template_beats)
    first = template.excess_distance(recent, -4.0)
    assert first == pytest.approx(-4.0 - FORGIVEN_SHARE * ASSUMED_DISTANCE)
    assert template.excess_distance(recent, -4.0) == pytest.approx(-4.0 * (1 - FORGIVEN_SHARE))
    for _ in range(2 * SPEC.template_beats):
        template.excess_distance(recent, 0.5)
    wanted = 0.5 - FORGIVEN_SHARE * MAX_USUAL
    assert template.excess_distance(recent, 0.5) == pytest.approx(wanted)
