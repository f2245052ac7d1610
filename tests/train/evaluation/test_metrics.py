"""Figures of classes and records, and of one score beside others."""

import numpy as np
import pytest

from beatgan_train.evaluation.metrics import Scored, by_record, gains, measure


def small() -> Scored:
    return Scored(
        ("a", "b"),
        np.array([0, 0, 0, 1, 1]),
        np.array(["N", "N", "V", "N", "S"]),
        np.array([0.0, 2.0, 3.0, 4.0, 1.0]),
    )


def many(strength: float, seed: int) -> Scored:
    """Twelve patients with V beats that stand out by ``strength``."""
    rng = np.random.default_rng(seed)
    record = np.repeat(np.arange(12), 100)
    label = np.where(np.arange(1200) % 10 == 0, "V", "N")
    score = rng.standard_normal(1200) + strength * (label == "V")
    return Scored(tuple(map(str, range(100, 112))), record, label, score)


def test_figures_of_classes_and_records() -> None:
    row = measure("x", small(), 2.5)
    assert (row.normal, row.abnormal) == (3, 2)
    assert row.flagged_normal == pytest.approx(1 / 3)
    supra, ventricular = row.classes
    assert (supra.label, supra.beats, supra.flagged) == ("S", 1, 0.0)
    assert (ventricular.label, ventricular.beats, ventricular.flagged) == ("V", 1, 1.0)
    assert supra.auc == pytest.approx(1 / 3)
    assert ventricular.auc == pytest.approx(2 / 3)
    first, second = by_record(small(), 2.5)
    assert (first.record, first.auc, first.flagged_normal, first.sensitivity) == ("a", 1, 0, 1)
    assert first.flagged == {"N": 0, "S": 0, "V": 1, "F": 0, "Q": 0}
    assert (second.record, second.auc, second.flagged_normal) == ("b", 0, 1)
    assert [r.record for r in by_record(small().without("a"), 2.5)] == ["b"]


def test_a_baseline_stands_beside_each_record() -> None:
    beats = small()
    upside_down = Scored(beats.records, beats.record, beats.label, -beats.score)
    assert [r.baseline_auc for r in by_record(beats, 2.5, upside_down)] == [0, 1]


def test_without_a_threshold_nothing_is_flagged_or_not() -> None:
    row = measure("x", small())
    assert row.flagged_normal is None
    assert row.flagged_normal_interval is None
    assert {each.flagged for each in row.classes} == {None}


def test_two_records_of_one_man_are_one_patient() -> None:
    beats = Scored(("201", "100", "202"), np.array([0, 1, 2, 2]), np.full(4, "N"), np.zeros(4))
    assert beats.patients == 2
    assert beats.patient[0] == beats.patient[2] == beats.patient[3] != beats.patient[1]


def test_the_interval_holds_the_figure_and_narrows_with_its_certainty() -> None:
    vague, sure = measure("x", many(1.0, 0), 2.0), measure("x", many(6.0, 0), 2.0)
    for row in (vague, sure):
        assert row.auc_interval.low <= row.auc <= row.auc_interval.high
        assert row.ap_interval.low <= row.ap <= row.ap_interval.high
        assert row.classes[0].auc_interval == row.auc_interval  # V is all there is
    assert sure.auc_interval.high - sure.auc_interval.low < 0.01
    assert vague.auc_interval.high - vague.auc_interval.low > 0.03


def test_a_gain_is_over_the_best_of_the_others_and_paired() -> None:
    scored = {"model": many(2.0, 0), "poor": many(0.2, 1), "good": many(1.5, 2)}
    found = {(gain.label, gain.figure): gain for gain in gains(scored)}
    assert set(found) == {("all", "AUC"), ("all", "AP"), ("V", "AUC"), ("V", "AP")}
    gain = found["all", "AUC"]
    assert gain.baseline == "good"
    assert gain.difference.value == pytest.approx(gain.model.value - gain.best.value)
    assert gain.difference.interval.low > 0
    same = gains({"model": scored["model"], "itself": scored["model"]})
    assert all(g.difference.interval.low == g.difference.interval.high == 0 for g in same)
