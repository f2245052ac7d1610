"""Beat-by-beat comparison: one to one, nearest first, flutter left out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatgan.types import Ints
from beatgan_train.annotations import Reference
from beatgan_train.bxb import NOTHING, compare, match


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


def reference(sample: Ints, fs: float = 1000.0, *flutter: tuple[int, int]) -> Reference:
    return Reference(fs, sample, np.full(len(sample), "N"), flutter)


def test_counts_and_errors() -> None:
    found = compare(reference(ints(1000, 2000, 3000)), ints(990, 2160, 2850, 5000))
    assert (found.tp, found.fp, found.fn) == (2, 2, 1)
    assert found.errors_ms.tolist() == [-10.0, -150.0]
    assert found.sensitivity == pytest.approx(2 / 3)
    assert found.ppv == pytest.approx(2 / 4)
    assert found.f1 == pytest.approx(4 / 7)
    assert found.median_error_ms == 80.0


def test_two_detections_of_one_beat_are_one_true_and_one_false() -> None:
    found = compare(reference(ints(1000)), ints(950, 1010))
    assert (found.tp, found.fp, found.fn) == (1, 1, 0)
    assert found.errors_ms.tolist() == [10.0]


def test_one_detection_between_two_beats_counts_once() -> None:
    found = compare(reference(ints(1000, 1200)), ints(1101))
    assert (found.tp, found.fp, found.fn) == (1, 0, 1)
    assert found.errors_ms.tolist() == [-99.0]


def test_window_in_samples_follows_the_rate() -> None:
    assert compare(reference(ints(100), 100.0), ints(115)).tp == 1
    assert compare(reference(ints(100), 100.0), ints(116)).tp == 0
    assert compare(reference(ints(100), 100.0), ints(106), 0.05).tp == 0


def test_detections_in_flutter_count_for_nothing() -> None:
    found = compare(reference(ints(1000), 1000.0, (2000, 3000)), ints(1000, 2000, 2999, 3000))
    assert (found.tp, found.fp, found.fn) == (1, 1, 0)


def test_gross_figures_add_up() -> None:
    total = compare(reference(ints(1000)), ints(1010)) + compare(reference(ints(1000)), ints(5))
    assert (total.tp, total.fp, total.fn) == (1, 1, 1)
    assert (NOTHING + total).errors_ms.tolist() == [10.0]


def test_nothing_to_measure_is_nan() -> None:
    for figure in (NOTHING.sensitivity, NOTHING.ppv, NOTHING.f1, NOTHING.median_error_ms):
        assert np.isnan(figure)


samples = st.lists(st.integers(0, 500), unique=True, max_size=25).map(
    lambda values: np.array(sorted(values), dtype=np.int64)
)


@given(samples, samples, st.integers(0, 60))
@settings(deadline=None)
def test_laws_of_matching(ref: Ints, det: Ints, within: int) -> None:
    pairs = match(ref, det, within)
    r, d = pairs.reference, pairs.detected
    assert len(set(r.tolist())) == len(r)
    assert len(set(d.tolist())) == len(d)
    assert (np.abs(ref[r] - det[d]) <= within).all()
    # Nothing left over could still be paired, and the other way round gives as many pairs.
    free_r, free_d = np.delete(ref, r), np.delete(det, d)
    if len(free_r) and len(free_d):
        assert np.abs(free_r[:, None] - free_d).min() > within
    assert np.all(np.diff(r) > 0)
