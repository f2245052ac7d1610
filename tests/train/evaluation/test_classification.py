"""VEB and SVEB over several records: gross, average, and over patients."""

import numpy as np
import pytest

from beatgan.ec57.class_matching import COLUMNS, MISSED, NO_BEAT, ROWS, ClassCounts
from beatgan_train.evaluation.classification import Classification, EctopicFigures, classification


def counts(**cells: int) -> ClassCounts:
    """So many beats in each cell: ``VN`` are V beats called N; o is no beat, or missed."""
    found = ClassCounts()
    for (row, column), count in ((tuple(name), count) for name, count in cells.items()):
        at = ROWS.index(NO_BEAT if row == "o" else row)
        found.matrix[at, COLUMNS.index(MISSED if column == "o" else column)] = count
    return found


def three_records() -> Classification:
    return classification(
        {"a": counts(NN=9, VV=1, Vo=1), "b": counts(NN=9, VV=3, oV=1), "c": counts(NN=5, SN=2)}
    )


def ectopics(found: Classification, name: str) -> EctopicFigures:
    return next(each for each in found.ectopics if each.name == name)


def test_gross_and_average_computed_by_hand() -> None:
    veb = ectopics(three_records(), "VEB")
    assert (veb.tp, veb.fp, veb.fn) == (4, 1, 1)
    assert veb.sensitivity.value == veb.ppv.value == veb.f1.value == pytest.approx(4 / 5)
    assert veb.average == pytest.approx(
        {"sensitivity": (1 / 2 + 1) / 2, "ppv": (1 + 3 / 4) / 2, "f1": (2 / 3 + 6 / 7) / 2}
    )
    assert veb.averaged == {"sensitivity": 2, "ppv": 2, "f1": 2}
    assert veb.sensitivity.interval.low == 0.5
    assert veb.sensitivity.interval.high == 1.0


def test_what_nobody_has_is_nan_not_nought() -> None:
    found = three_records()
    sveb = ectopics(found, "SVEB")
    assert (sveb.sensitivity.value, sveb.average["sensitivity"]) == (0, 0)
    assert np.isnan([sveb.ppv.value, sveb.ppv.interval.low, sveb.average["ppv"]]).all()
    assert sveb.averaged == {"sensitivity": 1, "ppv": 0, "f1": 1}
    first, _, last = found.records
    assert first.beats == {"VEB": 2, "SVEB": 0}
    assert first.rates["VEB"] == pytest.approx({"sensitivity": 0.5, "ppv": 1, "f1": 2 / 3})
    assert np.isnan([*last.rates["VEB"].values()]).all()


def test_records_of_one_patient_are_drawn_together() -> None:
    apart = {"100": counts(VV=1), "101": counts(Vo=1)}
    together = {"118e24": counts(VV=1), "118e_6": counts(Vo=1)}
    wide, narrow = (
        ectopics(classification(each), "VEB").sensitivity.interval for each in (apart, together)
    )
    assert (wide.low, wide.high) == (0, 1)
    assert np.isnan([narrow.low, narrow.high]).all()  # one patient: nothing to draw


def test_the_matrix_is_the_sum_of_the_records() -> None:
    found = three_records()
    table = dict(zip(found.rows, found.matrix, strict=True))
    assert table["N"][found.columns.index("N")] == 23
    assert table["V"] == (0, 0, 4, 0, 0, 0, 1)
    assert table[NO_BEAT] == (0, 0, 1, 0, 0, 0, 0)
