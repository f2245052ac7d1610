"""The trivial scores: what they see, and that PCA is PCA."""

from dataclasses import replace

import numpy as np
import pytest

from beatgan.errors import UsageError
from beatgan.types import RHYTHM_SIZE
from beatgan_train.data.beat_set import BeatSet, Missed
from beatgan_train.evaluation.baselines import (
    BASELINES,
    pca,
    principal_axes,
    rr_only,
    template_and_rr,
    template_only,
)

NONE = np.zeros(0, np.int64)


def beats(count: int, seed: int) -> BeatSet:
    rng = np.random.default_rng(seed)
    low_rank = rng.normal(size=(count, 5)) @ np.random.default_rng(9).normal(size=(5, 320))
    window = (low_rank + 0.01 * rng.normal(size=(count, 320)) + 3).astype(np.float32)
    return BeatSet(
        ("x",),
        np.zeros(count, np.int64),
        np.arange(count),
        np.full(count, "N"),
        window,
        window,
        rng.normal(-3, 2, count),
        rng.exponential(0.1, count),
        np.full(count, "good", "<U8"),
        np.full(count, np.nan),
        np.zeros((count, RHYTHM_SIZE), np.float32),
        window,
        window,
        np.full((count, 2), np.nan),
        Missed(NONE, NONE, np.zeros(0, "<U1")),
    )


TRAIN, TEST = beats(400, 0), beats(50, 1)


def test_pca_leaves_what_its_components_cannot_say() -> None:
    plain = pca(5, TRAIN, TEST)
    assert plain == pytest.approx(1e-4, rel=0.3)
    bumped = TEST.window.copy()
    bumped[:, 100] += 2.0
    assert (pca(5, TRAIN, replace(TEST, window=bumped)) > 50 * plain).all()
    assert (pca(3, TRAIN, TEST) > plain).all()


def test_pca_equals_scikit_learns() -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    fitted = decomposition.PCA(4, svd_solver="full").fit(TRAIN.window.astype(np.float64))
    back = fitted.inverse_transform(fitted.transform(TEST.window.astype(np.float64)))
    expected = ((TEST.window - back) ** 2).mean(axis=1)
    np.testing.assert_allclose(pca(4, TRAIN, TEST), expected, rtol=1e-3)


def test_axes_are_orthonormal() -> None:
    _, axes = principal_axes(TRAIN.window, 4)
    np.testing.assert_allclose(axes.T @ axes, np.eye(4), atol=1e-5)


def test_rr_and_template_are_the_front_ends() -> None:
    np.testing.assert_array_equal(rr_only(TRAIN, TEST), TEST.prematurity)
    np.testing.assert_array_equal(template_only(TRAIN, TEST), TEST.distance)


def test_template_and_rr_weigh_the_same_on_the_training_beats() -> None:
    both = template_and_rr(TRAIN, TRAIN)
    assert both.mean() == pytest.approx(0, abs=1e-9)
    for part in (TRAIN.distance, TRAIN.prematurity):
        assert np.corrcoef(both, part)[0, 1] == pytest.approx(np.sqrt(0.5), abs=0.08)


def test_every_baseline_scores_every_beat() -> None:
    for name, baseline in BASELINES.items():
        found = baseline(TRAIN, TEST)
        assert found.shape == (len(TEST),), name
        assert np.isfinite(found).all(), name


def test_too_few_beats_for_pca() -> None:
    with pytest.raises(UsageError, match="30 components"):
        pca(30, TEST.take(np.arange(30)), TEST)
