"""The results of several evaluations, each on another database, one beside the other.

Meant for leave-one-database-out: each file is of a model that was made without the database that it
was tested on. Reads files of `result.as_json`; computes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path

import msgspec

from beatgan.errors import UsageError
from beatgan_train.evaluation.bootstrap import Interval
from beatgan_train.evaluation.metrics import Measured
from beatgan_train.evaluation.result import Evaluation, as_json

NOTHING = Measured(nan, Interval(nan, nan))


@dataclass(frozen=True, slots=True)
class DatabaseRow:
    """One database's figures, each nan where it has no such beats or the model gives no classes.

    ``ectopics``: by "VEB" and "SVEB" the sensitivity and the PPV, gross.
    """

    database: str
    model: str
    patients: int
    auc: Measured
    ap: Measured
    v_ap: Measured
    s_auc: Measured
    ectopics: Mapping[str, tuple[Measured, Measured]]


class _Interval(msgspec.Struct):
    low: float | None
    high: float | None


class _Measured(msgspec.Struct):
    value: float | None
    interval: _Interval


class _Class(msgspec.Struct):
    label: str
    auc: float | None
    auc_interval: _Interval
    ap: float | None
    ap_interval: _Interval


class _Row(msgspec.Struct):
    auc: float | None
    auc_interval: _Interval
    ap: float | None
    ap_interval: _Interval
    classes: list[_Class]


class _Ectopics(msgspec.Struct):
    name: str
    sensitivity: _Measured
    ppv: _Measured


class _Classification(msgspec.Struct):
    ectopics: list[_Ectopics]


class _Result(msgspec.Struct):
    """What is needed of an evaluation's JSON."""

    model: str
    tested_on: str
    patients: int
    rows: list[_Row]
    classification: _Classification | None


def row_of(found: Evaluation) -> DatabaseRow:
    """The row of an evaluation that was just made."""
    return _row(msgspec.json.decode(as_json(found), type=_Result))


def read_rows(files: Sequence[Path]) -> list[DatabaseRow]:
    """The row of each of ``files``, the JSON that `evaluate` writes.

    Raises UsageError naming the file that is missing or is none.
    """
    return [_row(_read(file)) for file in files]


def _read(file: Path) -> _Result:
    try:
        found = msgspec.json.decode(file.read_bytes(), type=_Result)
        if not found.rows:
            raise ValueError("it has no rows")
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error
    except ValueError as error:  # msgspec's errors are such, too
        raise UsageError(f"{file} is no JSON of beatgan-train evaluate ({error})") from error
    return found


def _row(found: _Result) -> DatabaseRow:
    row = found.rows[0]
    classes = {each.label: each for each in row.classes}
    v, s = classes.get("V"), classes.get("S")
    ectopics = found.classification.ectopics if found.classification else []
    return DatabaseRow(
        database=found.tested_on,
        model=found.model,
        patients=found.patients,
        auc=_measured(row.auc, row.auc_interval),
        ap=_measured(row.ap, row.ap_interval),
        v_ap=_measured(v.ap, v.ap_interval) if v else NOTHING,
        s_auc=_measured(s.auc, s.auc_interval) if s else NOTHING,
        ectopics={
            each.name: (
                _measured(each.sensitivity.value, each.sensitivity.interval),
                _measured(each.ppv.value, each.ppv.interval),
            )
            for each in ectopics
        },
    )


def _measured(value: float | None, around: _Interval) -> Measured:
    """The figure, nan where JSON has null."""
    return Measured(_number(value), Interval(_number(around.low), _number(around.high)))


def _number(value: float | None) -> float:
    return nan if value is None else value
