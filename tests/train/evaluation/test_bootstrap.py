"""Figures of drawn patients, against scikit-learn's on beats that were really repeated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatgan_train.evaluation.bootstrap import (
    Interval,
    aucs,
    average_precisions,
    draw,
    interval,
    shares,
)

metrics = pytest.importorskip("sklearn.metrics")

PATIENTS = 4
beat = st.tuples(st.integers(-2, 2) | st.floats(-9, 9), st.booleans(), st.integers(0, PATIENTS - 1))
repeats = st.lists(st.integers(0, 3), min_size=PATIENTS, max_size=PATIENTS)


@given(st.lists(beat, min_size=1, max_size=40), repeats)
@settings(deadline=None)
def test_a_draw_is_what_repeated_beats_give(
    rows: list[tuple[float, bool, int]], times: list[int]
) -> None:
    score = np.array([row[0] for row in rows], dtype=np.float64)
    positive = np.array([row[1] for row in rows])
    patient = np.array([row[2] for row in rows])
    drawn = np.array([times])
    repeated = np.repeat(np.arange(len(rows)), np.array(times)[patient])
    kinds = set(positive[repeated].tolist())
    area = aucs(score, positive, patient, drawn)[0]
    precision = average_precisions(score, positive, patient, drawn)[0]
    if kinds == {True, False}:
        assert area == pytest.approx(metrics.roc_auc_score(positive[repeated], score[repeated]))
        assert precision == pytest.approx(
            metrics.average_precision_score(positive[repeated], score[repeated])
        )
    else:
        assert np.isnan(area)
        assert np.isnan(precision)
    share = shares(positive, patient, drawn)[0]
    assert share == pytest.approx(positive[repeated].mean()) if kinds else np.isnan(share)


def test_beats_without_a_score_are_the_lowest() -> None:
    score = np.array([-np.inf, 1.0, 2.0, -np.inf])
    positive = np.array([True, False, True, False])
    whose, once = np.array([0, 0, 1, 1]), np.array([[1, 1]])
    low = np.where(np.isinf(score), -1e9, score)
    assert aucs(score, positive, whose, once) == aucs(low, positive, whose, once)
    assert average_precisions(score, positive, whose, once) == average_precisions(
        low, positive, whose, once
    )


def test_of_one_patient_there_is_no_interval() -> None:
    assert draw(1).shape == (0, 1)
    score, positive, whose = np.array([0.0, 1.0]), np.array([False, True]), np.array([0, 0])
    for figures in (aucs, average_precisions):
        ends = interval(figures(score, positive, whose, draw(1)))
        assert np.isnan([ends.low, ends.high]).all()


def test_draws_are_of_as_many_patients_and_the_same_each_time() -> None:
    drawn = draw(22)
    assert drawn.shape == (1000, 22)
    assert set(drawn.sum(axis=1).tolist()) == {22}
    assert np.array_equal(drawn, draw(22))
    assert not np.array_equal(drawn, draw(22, seed=1))


def test_an_interval_is_the_middle_of_what_is_known() -> None:
    values = np.append(np.linspace(0, 100, 1001), np.nan)
    found = interval(values)
    assert found.low == pytest.approx(2.5)
    assert found.high == pytest.approx(97.5)
    nothing = interval(np.array([np.nan]))
    assert isinstance(nothing, Interval)
    assert np.isnan([nothing.low, nothing.high]).all()


def test_patients_alike_give_a_narrow_interval_and_unlike_ones_a_wide_one() -> None:
    rng = np.random.default_rng(0)
    whose = np.repeat(np.arange(20), 50)
    positive = np.tile(np.arange(50) < 5, 20)
    noise = rng.standard_normal(len(whose))
    alike = aucs(noise + positive, positive, whose, draw(20))
    sign = np.where(whose < 10, 3.0, -3.0)  # half of the patients are ranked upside down
    unlike = aucs(noise + sign * positive, positive, whose, draw(20))
    assert np.ptp(np.quantile(unlike, [0.025, 0.975])) > 3 * np.ptp(
        np.quantile(alike, [0.025, 0.975])
    )
