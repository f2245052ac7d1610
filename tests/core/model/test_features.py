"""What networks see of a beat: by hand, row by row."""

from dataclasses import replace

import numpy as np
import pytest

from beatgan.beats.rr import MAX_LOG_RATIO
from beatgan.model import features
from beatgan.spec import PreprocessSpec
from beatgan.types import RHYTHM_INTERVALS, RHYTHM_SIZE

RNG = np.random.default_rng(0)
RHYTHM = RNG.standard_normal((3, RHYTHM_SIZE)).astype(np.float32)


def test_the_past_is_all_but_the_beats_own_interval() -> None:
    own, past = features.own_interval(RHYTHM), features.past(RHYTHM)
    assert past.shape == (3, features.PAST_SIZE)
    assert np.array_equal(own, RHYTHM[:, RHYTHM_INTERVALS - 1])
    assert np.array_equal(np.insert(past, RHYTHM_INTERVALS - 1, own, axis=1), RHYTHM)


def test_the_next_interval_is_told_against_the_long_one() -> None:
    rhythm = np.zeros((4, RHYTHM_SIZE), np.float32)
    rhythm[:, RHYTHM_INTERVALS] = np.log(0.8)
    rhythm = features.timings(rhythm, np.zeros(4))
    rows = features.with_next(rhythm, [800.0, 400.0, float("nan"), 1e6])
    assert np.array_equal(rows[:, :-1], rhythm)
    assert rows[:, -1].tolist() == pytest.approx([0, np.log(0.5), 0, MAX_LOG_RATIO], abs=1e-6)


def test_a_timing_is_the_rhythm_and_a_bounded_prematurity() -> None:
    bad = [float("nan"), float("inf"), 2.0]
    rows = features.timings(RHYTHM, bad)
    assert rows.shape == (3, features.TIMING_SIZE)
    assert np.array_equal(rows[:, :-1], RHYTHM)
    limit = features.MAX_PREMATURITY / features.PREMATURITY_UNIT
    assert rows[:, -1].tolist() == [0.0, limit, 2.0 / features.PREMATURITY_UNIT]


def test_a_shape_is_window_template_difference_and_distance() -> None:
    windows, templates = RNG.standard_normal((2, 3, 320)).astype(np.float32)
    rows = features.shapes(windows, templates, [-3.0, None, -1.0], 140)
    span = slice(140 - features.BEFORE, 140 + features.AFTER)
    pooled = windows[:, span].reshape(3, features.POINTS, features.POOLED).mean(axis=2)
    of_templates = templates[:, span].reshape(3, features.POINTS, features.POOLED).mean(axis=2)
    wanted = np.concatenate([pooled / 4, of_templates / 4, (pooled - of_templates) / 2], axis=1)
    assert rows.shape == (3, features.SHAPE_SIZE)
    assert np.abs(rows[:, :-1] - wanted).max() < 1e-6
    assert rows[:, -1].tolist() == [-3.0, features.NEUTRAL_DISTANCE, -1.0]


def test_windows_that_are_too_short_or_in_other_units_do_not_fit() -> None:
    spec = PreprocessSpec()
    assert features.fits(spec)
    assert not features.fits(replace(spec, before=features.BEFORE - 1))
    assert not features.fits(replace(spec, after=features.AFTER - 1))
    assert not features.fits(replace(spec, scale="beat"))
