"""Ranking figures against scikit-learn's, ties and infinities included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatgan.errors import UsageError
from beatgan_train.evaluation.ranking import auc, average_precision, best_f1, curve, flagged

metrics = pytest.importorskip("sklearn.metrics")

cases = st.lists(
    st.tuples(st.integers(-3, 3) | st.floats(-1e3, 1e3), st.booleans()), min_size=2, max_size=60
).filter(lambda rows: len({positive for _, positive in rows}) == 2)


@given(cases)
@settings(deadline=None)
def test_auc_and_average_precision_equal_scikit_learns(rows: list[tuple[float, bool]]) -> None:
    score = np.array([value for value, _ in rows], dtype=np.float64)
    positive = np.array([flag for _, flag in rows])
    assert auc(score, positive) == pytest.approx(metrics.roc_auc_score(positive, score))
    assert average_precision(score, positive) == pytest.approx(
        metrics.average_precision_score(positive, score)
    )


@given(cases)
@settings(deadline=None)
def test_best_f1_is_reached_at_its_threshold_and_nowhere_surpassed(
    rows: list[tuple[float, bool]],
) -> None:
    score = np.array([value for value, _ in rows], dtype=np.float64)
    positive = np.array([flag for _, flag in rows])
    best, threshold = best_f1(score, positive)
    assert best == pytest.approx(metrics.f1_score(positive, score > threshold))
    every = [metrics.f1_score(positive, score >= t) for t in np.unique(score)]
    assert best == pytest.approx(max(every))


def test_minus_infinity_is_the_lowest_score_and_never_flagged() -> None:
    score = np.array([-np.inf, 1.0, 2.0, -np.inf])
    positive = np.array([True, False, True, False])
    low = np.where(np.isinf(score), -1e9, score)
    assert auc(score, positive) == auc(low, positive)
    assert average_precision(score, positive) == average_precision(low, positive)
    best, threshold = best_f1(score, positive)
    assert best == pytest.approx(2 / 3)
    assert (score > threshold).tolist() == [False, False, True, False]


def test_best_f1_where_no_positive_was_scored() -> None:
    best, _ = best_f1(np.array([-np.inf, 1.0]), np.array([True, False]))
    assert best == 0.0
    best, threshold = best_f1(np.full(2, -np.inf), np.array([True, False]))
    assert best == 0.0
    assert np.isnan(threshold)


def test_one_class_alone_is_nan() -> None:
    score = np.array([1.0, 2.0])
    assert np.isnan(auc(score, np.array([True, True])))
    assert np.isnan(auc(score, np.array([False, False])))
    assert np.isnan(average_precision(score, np.array([False, False])))
    assert np.isnan(best_f1(score, np.array([False, False]))).all()
    assert np.isnan(flagged(score[:0], 0.0))


def test_a_curve_counts_ties_together() -> None:
    found = curve(np.array([3.0, 1.0, 3.0, 2.0]), np.array([True, False, False, True]))
    assert found.value.tolist() == [3.0, 2.0, 1.0]
    assert found.tp.tolist() == [1, 2, 2]
    assert found.fp.tolist() == [1, 1, 2]
    assert found.recall.tolist() == [0.5, 1.0, 1.0]
    assert found.fall_out.tolist() == [0.5, 0.5, 1.0]
    assert found.precision.tolist() == [0.5, 2 / 3, 0.5]


def test_flagged_is_strictly_above() -> None:
    assert flagged(np.array([1.0, 2.0, 3.0, -np.inf]), 2.0) == 0.25


def test_nan_and_lengths_that_differ_are_refused() -> None:
    with pytest.raises(UsageError, match="NaN"):
        auc(np.array([np.nan, 1.0]), np.array([True, False]))
    with pytest.raises(UsageError, match="2 scores for 1"):
        auc(np.array([0.0, 1.0]), np.array([True]))
