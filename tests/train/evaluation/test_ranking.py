"""Ranking figures against their definitions, ties and infinities included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from beatgan.errors import UsageError
from beatgan_train.evaluation.ranking import (
    auc,
    average_precision,
    best_f1,
    flagged,
    precision_recall,
    roc,
)

cases = st.lists(
    st.tuples(st.integers(-3, 3) | st.floats(-1e3, 1e3), st.booleans()), min_size=2, max_size=60
).filter(lambda rows: len({positive for _, positive in rows}) == 2)


@given(cases)
@settings(deadline=None)
def test_auc_counts_the_pairs_in_order_and_ties_half(rows: list[tuple[float, bool]]) -> None:
    score = np.array([value for value, _ in rows], dtype=np.float64)
    positive = np.array([flag for _, flag in rows])
    above = np.sign(score[positive][:, None] - score[~positive][None, :])
    assert auc(score, positive) == pytest.approx(float((above + 1).mean()) / 2, abs=1e-12)


@given(cases)
@settings(deadline=None)
def test_average_precision_sums_the_steps_of_the_curve(rows: list[tuple[float, bool]]) -> None:
    score = np.array([value for value, _ in rows], dtype=np.float64)
    positive = np.array([flag for _, flag in rows])
    area, before = 0.0, 0
    for value in np.unique(score)[::-1]:
        hits = int(np.count_nonzero(score[positive] >= value))
        area += (hits - before) / positive.sum() * hits / np.count_nonzero(score >= value)
        before = hits
    assert average_precision(score, positive) == pytest.approx(area, abs=1e-12)


@given(cases)
@settings(deadline=None)
def test_best_f1_is_reached_at_its_threshold_and_nowhere_surpassed(
    rows: list[tuple[float, bool]],
) -> None:
    score = np.array([value for value, _ in rows], dtype=np.float64)
    positive = np.array([flag for _, flag in rows])

    def f1(flagged: NDArray[np.bool_]) -> float:
        return float(2 * (flagged & positive).sum() / (flagged.sum() + positive.sum()))

    best, threshold = best_f1(score, positive)
    assert best == pytest.approx(f1(score > threshold))
    assert best == pytest.approx(max(f1(score >= t) for t in np.unique(score)))


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


def test_the_curves_count_ties_together() -> None:
    score, positive = np.array([3.0, 1.0, 3.0, 2.0]), np.array([True, False, False, True])
    fall_out, recall = roc(score, positive)
    assert fall_out.tolist() == [0.0, 0.5, 0.5, 1.0]
    assert recall.tolist() == [0.0, 0.5, 1.0, 1.0]
    precision, recall = precision_recall(score, positive)
    assert precision.tolist() == [0.5, 2 / 3, 0.5]
    assert recall.tolist() == [0.5, 1.0, 1.0]


def test_flagged_is_strictly_above() -> None:
    assert flagged(np.array([1.0, 2.0, 3.0, -np.inf]), 2.0) == 0.25


def test_nan_and_lengths_that_differ_are_refused() -> None:
    with pytest.raises(UsageError, match="NaN"):
        auc(np.array([np.nan, 1.0]), np.array([True, False]))
    with pytest.raises(UsageError, match="2 scores for 1"):
        auc(np.array([0.0, 1.0]), np.array([True]))
