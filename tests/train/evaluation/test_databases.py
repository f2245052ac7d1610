"""Several evaluations' results in one table."""

import json
from pathlib import Path
from typing import Any

import pytest

from beatgan.errors import UsageError
from beatgan_train.evaluation.databases import read_rows
from beatgan_train.report.tables import beside

AROUND = {"low": 0.8, "high": 0.95}
NOWHERE = {"low": None, "high": None}


def result(**changes: Any) -> dict[str, Any]:
    """As much of an evaluation's JSON as is read: V beats, no S beat, no class given."""
    ventricular = {"label": "V", "auc": 0.99, "auc_interval": AROUND, "ap": 0.7,
                   "ap_interval": AROUND, "beats": 12}  # fmt: skip
    row = {"auc": 0.9, "auc_interval": AROUND, "ap": 0.85, "ap_interval": AROUND,
           "classes": [ventricular]}  # fmt: skip
    return {"model": "student 0123", "tested_on": "svdb", "patients": 38, "rows": [row],
            "classification": None, "more": 1} | changes  # fmt: skip


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_a_column_for_each_file_and_none_where_there_is_nothing(tmp_path: Path) -> None:
    share = {"value": 0.925, "interval": AROUND}
    ectopics = [
        {"name": "VEB", "sensitivity": share, "ppv": share},
        {"name": "SVEB", "sensitivity": share, "ppv": {"value": None, "interval": NOWHERE}},
    ]
    classified = result(tested_on="cudb", classification={"ectopics": ectopics})
    files = [write(tmp_path / "a.json", result()), write(tmp_path / "b.json", classified)]
    (grid,) = beside(read_rows(files))
    assert grid.header == ("", "svdb", "cudb")
    first, second = ({name: cells[k] for name, *cells in grid.rows} for k in (0, 1))
    assert first["patients"] == "38"
    assert first["AUC"] == "0.900 [0.800, 0.950]"
    assert first["V, AP"] == "0.700 [0.800, 0.950]"
    assert first["S, AUC"] == first["VEB Se"] == first["SVEB PPV"] == "none"
    assert second["VEB PPV"] == second["SVEB Se"] == "92.5 % [80.0, 95.0]"
    assert second["SVEB PPV"] == "none"
    assert "svdb: student 0123; cudb: student 0123." in grid.note


def test_no_file_no_table() -> None:
    assert beside(read_rows([])) == []


@pytest.mark.parametrize("content", [{}, [], result(rows=[]), result(rows=[{"auc": "much"}])])
def test_what_is_no_result_is_named(tmp_path: Path, content: object) -> None:
    file = write(tmp_path / "other.json", content)
    with pytest.raises(UsageError, match=r"other\.json is no JSON of beatgan-train evaluate"):
        read_rows([file])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.json: No such file"):
        read_rows([tmp_path / "none.json"])
