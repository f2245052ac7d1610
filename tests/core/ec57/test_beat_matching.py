"""Beat-by-beat comparison: one to one, nearest first, flutter left out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatgan.ec57.annotations import Reference
from beatgan.ec57.beat_matching import BeatCounts, compare, match, seconds_in
from beatgan.types import Ints


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
    assert (BeatCounts() + total).errors_ms.tolist() == [10.0]


def test_beats_missed_in_a_declared_shutdown_are_missed_and_told_apart() -> None:
    beats = reference(ints(1000, 2000, 3000, 4000))
    found = compare(beats, ints(1000, 2001), shutdowns=[(1900, 3000), (2500, 3001)])
    assert (found.tp, found.fn, found.in_shutdown) == (2, 2, 1)
    both = found + compare(beats, ints(), shutdowns=[(0, 2001)])
    assert (both.fn, both.in_shutdown) == (6, 3)


def test_beats_before_the_start_are_not_counted() -> None:
    beats = reference(ints(1000, 1990, 3000))
    found = compare(beats, ints(500, 1000, 2005, 2500), start_s=2.0)
    assert (found.tp, found.fp, found.fn) == (0, 1, 1)  # 2005 is the beat at 1990
    assert len(found.errors_ms) == 0
    late = compare(beats, ints(1995), 0.01, start_s=1.99)
    assert (late.tp, late.fn, late.errors_ms.tolist()) == (1, 1, [5.0])


def test_time_in_overlapping_spans_counts_once() -> None:
    spans = [(3000, 5000), (1000, 2000), (4000, 4500), (4900, 6000)]
    assert seconds_in(spans, 1000.0, 0.0, 10.0) == pytest.approx(4.0)
    assert seconds_in(spans, 1000.0, 1.5, 5.5) == pytest.approx(3.0)
    assert seconds_in([(0, 1 << 62)], 1000.0, 2.0, 3.0) == pytest.approx(1.0)
    assert seconds_in(spans, 1000.0, 7.0, 10.0) == 0.0
    assert seconds_in([], 1000.0, 0.0, 10.0) == 0.0


def test_nothing_to_measure_is_nan() -> None:
    for figure in (
        BeatCounts().sensitivity,
        BeatCounts().ppv,
        BeatCounts().f1,
        BeatCounts().median_error_ms,
    ):
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
