"""Classes beside a reference: what counts for VEB and SVEB, and what for neither."""

import numpy as np
import pytest

from beatgan.ec57.annotations import Labels, Reference
from beatgan.ec57.class_matching import COLUMNS, MISSED, NO_BEAT, NO_CLASS, ROWS, ClassCounts
from beatgan.ec57.class_matching import compare_classes as compare

END = int(np.iinfo(np.int64).max)


def reference(beats: str, *flutter: tuple[int, int]) -> Reference:
    """A beat of each class in ``beats`` every second, at 100 Hz."""
    sample = 100 * np.arange(1, len(beats) + 1)
    return Reference(100.0, sample, np.array([*beats]), flutter)


def called(text: str) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], Labels]:
    """Detections at the same seconds: a class each, ``-`` for one without, a blank for none."""
    places = [k for k, mark in enumerate(text, 1) if mark != " "]
    return 100 * np.array(places), np.array(["" if m == "-" else m for m in text if m != " "])


def cell(counts: ClassCounts, row: str, column: str) -> int:
    return int(counts.matrix[ROWS.index(row), COLUMNS.index(column)])


def test_every_pair_of_classes_counts_as_ec57_says() -> None:
    #                            beyond the last reference beat: false detections
    counts = compare(reference("NNSSVVVFFQQVN"), *called("NSSVVVSVSVS VVS-"))
    ventricular, supraventricular = counts.of("V"), counts.of("S")
    assert (ventricular.tp, ventricular.fp, ventricular.fn) == (2, 3, 2)
    assert ventricular.sensitivity == pytest.approx(2 / 4)
    assert ventricular.ppv == pytest.approx(2 / 5)  # F and Q called V count neither way
    assert ventricular.f1 == pytest.approx(4 / 9)
    assert (supraventricular.tp, supraventricular.fp, supraventricular.fn) == (1, 4, 1)
    assert supraventricular.ppv == pytest.approx(1 / 5)  # F called S is false, Q called S is not
    assert cell(counts, "V", "S") == cell(counts, "V", MISSED) == cell(counts, "N", "V") == 1
    assert cell(counts, NO_BEAT, "V") == cell(counts, NO_BEAT, NO_CLASS) == 1
    assert counts.matrix.sum() == 13 + 3


def test_a_beat_without_a_class_is_a_miss_and_no_false_positive() -> None:
    counts = compare(reference("VN"), *called("--"))
    assert (counts.of("V").tp, counts.of("V").fp, counts.of("V").fn) == (0, 0, 1)
    assert cell(counts, "V", NO_CLASS) == cell(counts, "N", NO_CLASS) == 1


def test_flutter_is_left_out_and_order_does_not_matter() -> None:
    sample, label = called("VVN")
    counts = compare(reference("V", (150, 250)), sample[::-1], label[::-1])
    assert counts.of("V").tp == 1
    assert counts.of("V").fp == 0
    assert cell(counts, NO_BEAT, "N") == 1


def test_beats_before_the_start_are_matched_but_not_counted() -> None:
    """A pair is where the reference has it, though it may have been found earlier."""
    sample, label = called("VSVVN")
    counts = compare(reference("VVVV"), sample - 10, label, start_s=3.0)
    assert (counts.of("V").tp, counts.of("V").fn) == (2, 0)
    assert cell(counts, NO_BEAT, "N") == 1
    assert counts.matrix.sum() == 3
    assert compare(reference("VVVV"), *called("V"), start_s=3.0).of("V").fn == 2


def test_nothing_at_all() -> None:
    counts = compare(reference(""), *called("")) + ClassCounts()
    assert not counts.matrix.any()
    assert np.isnan(counts.of("S").sensitivity)
    assert np.isnan(counts.of("S").f1)
