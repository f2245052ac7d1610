"""Whose a recording is, and that nobody is on both sides of a division."""

from pathlib import Path

import numpy as np
import pytest

from beatgan.errors import UsageError
from beatgan.spec import PreprocessSpec
from beatgan_train.data.evaluation_set import Database, of_database
from beatgan_train.data.own_recordings import load, split
from beatgan_train.data.patients import groups_of, patient_rule, seen_among
from beatgan_train.training.coefficients import coefficients_of
from tests.train.conftest import write_patient

SPEC, COEFFICIENTS = PreprocessSpec(), coefficients_of("full")
NIGHTS = "^(p.)_"  # p1_night1 and p1_night2 are both p1's


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings of each of seven patients, all in one folder."""
    folder = tmp_path_factory.mktemp("nights")
    for seed in range(14):
        write_patient(folder, f"p{seed // 2}_night{seed % 2}", seed)
    return folder


def table(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "patients.csv"
    file.write_text(text)
    return file


def test_a_table_a_pattern_or_the_place(tmp_path: Path) -> None:
    by_table = patient_rule(table(tmp_path, "record,patient\np8/a, eve\nb.edf,eve\n"), None)
    assert by_table.of("p8/a") == by_table.of("b.edf") == "eve"
    by_pattern = patient_rule(None, NIGHTS)
    assert by_pattern.of("p1_night2") == "p1"
    by_place = patient_rule(None, None)
    assert [by_place.of(name) for name in ("p8/a", "b.edf", "202")] == ["p8", "b", "201"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("file;who\n", "line 1 must be record,patient"),
        ("", "names no recording"),
        ("record,patient\n", "names no recording"),
        ("record,patient\na,b\n\nc\n", "line 4 is not record,patient"),
        ("record,patient\na,\n", "line 2 is not"),
        ("record,patient\na,b\na,c\n", "line 3 gives a a second patient"),
    ],
)
def test_a_table_that_is_none(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        patient_rule(table(tmp_path, text), None)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [("(", "unterminated"), ("x.", "0 groups"), ("(a)(b)", "2 groups")],
)
def test_a_pattern_that_is_none(pattern: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        patient_rule(None, pattern)


def test_what_a_rule_does_not_say_is_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not say whose recording b is"):
        patient_rule(table(tmp_path, "record,patient\na,x\n"), None).of("b")
    with pytest.raises(UsageError, match="does not say whose recording b is"):
        patient_rule(None, "^a(.)").of("b")
    with pytest.raises(UsageError, match="not both"):
        patient_rule(Path("t.csv"), "(.)")
    with pytest.raises(UsageError, match="No such file"):
        patient_rule(tmp_path / "none.csv", None)


def test_seen_is_who_has_any_recording_that_was_seen(tmp_path: Path) -> None:
    names = ["p1_night1", "p1_night2", "p2_night1"]
    assert seen_among(names, ["p1_night2"], patient_rule(None, NIGHTS)) == tuple(names[:2])
    assert seen_among(names, ["mitdb/p1_night2"], patient_rule(None, None)) == ("p1_night2",)
    renamed = patient_rule(table(tmp_path, "record,patient\n101,new\nother,new\nfree,x\n"), None)
    assert seen_among(["101", "other", "free"], ["mitdb/101"], renamed) == ("101", "other")


def test_groups_are_of_all_and_of_each_once() -> None:
    groups = groups_of([*"abcdefg", "a"], 5, 0)
    assert sorted(name for group in groups for name in group) == [*"abcdefg"]
    assert len(groups) == 5
    assert len(groups_of("ab", 5, 0)) == 2


def test_baselines_are_fitted_to_other_patients(nights: Path) -> None:
    rule = patient_rule(None, NIGHTS)
    found = of_database(Database(nights, patients=rule), (), SPEC, COEFFICIENTS)
    whose = np.array([rule.of(name) for name in found.beats.records])[found.beats.record]
    assert len(found.folds) == 5
    for fold in found.folds:
        assert not {*whose[fold.fit]} & {*whose[fold.test]}
        assert found.beats.normal[fold.fit].all()
    tested = np.concatenate([fold.test for fold in found.folds])
    np.testing.assert_array_equal(np.sort(tested), found.test)


def test_training_leaves_a_fifth_of_the_patients_alone_and_divides_the_others(
    nights: Path,
) -> None:
    rule = patient_rule(None, NIGHTS)
    left: set[str] = set()
    for test_fold in range(5):
        beats = load(nights, SPEC, COEFFICIENTS, patients=rule, test_fold=test_fold)
        learnt = {rule.of(name) for name in beats.records}
        left |= {f"p{k}" for k in range(7)} - learnt
        assert 5 <= len(learnt) <= 6
        train, held_out = split(beats, 0, 0, rule)
        sides = [
            {rule.of(beats.records[i]) for i in beats.record[rows].tolist()}
            for rows in (train, held_out)
        ]
        assert not sides[0] & sides[1]
    assert left == {f"p{k}" for k in range(7)}


def test_a_fold_to_test_on_needs_five_patients(tmp_path: Path) -> None:
    write_patient(tmp_path, "only", 0)
    with pytest.raises(UsageError, match="has 1 patients; 5 are needed"):
        load(tmp_path, SPEC, COEFFICIENTS, test_fold=0)
