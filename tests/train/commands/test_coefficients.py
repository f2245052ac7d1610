"""`beatgan-train coefficients`: which groups are fitted, what is said, what is written."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beatgan.alarms.ventricular_classifier import Features
from beatgan.coefficients import GROUPS
from beatgan.errors import RecordError
from beatgan.model.artifact import build
from beatgan.model.calibration import Calibration
from beatgan.model.torch_modules.conversion import networks_of
from beatgan.model.torch_modules.networks import Student
from beatgan.spec import PreprocessSpec
from beatgan_train.commands import coefficients as command
from beatgan_train.training.coefficients import (
    atrial_fibrillation,
    coefficients_of,
    noise,
    ventricular_run,
    vf,
)
from beatgan_train.training.coefficients.regression import FOLDS, Fit
from beatgan_train.training.coefficients.ventricular_run import NO_RUN, RUN, Rows
from beatgan_train.training.model_file import read, write

PRESENT = coefficients_of("full")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    location = {"error": 0.0, "distance": 0.0}
    ones = dict.fromkeys(location, 1.0)
    calibration = Calibration(location, ones, ones, ones, 1.0)
    file = tmp_path / "model.pt"
    networks = networks_of(Student())
    write(build("student", PreprocessSpec(), networks, calibration, PRESENT, {}), file)
    return file


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fits that find what there is, but for that of runs."""

    def found(name: str) -> Any:
        return lambda *_: Fit(name, getattr(PRESENT, name), getattr(PRESENT, name), ())

    for name, module in (
        ("noise", noise),
        ("vf", vf),
        ("atrial_fibrillation", atrial_fibrillation),
    ):
        monkeypatch.setattr(module, "refit", found(name))


def folder(tmp_path: Path, *databases: str) -> Path:
    data = tmp_path / "data"
    for name in ("", *databases):
        (data / name).mkdir()
    return data


def rows(*_: object) -> list[Rows]:
    """Of ten recordings, half of them runs."""
    rng, count = np.random.default_rng(0), len(Features._fields)
    made = []
    for k in range(10):
        kind = RUN if k % 2 else NO_RUN
        features = rng.normal(2.0 * kind, 1.0, (20, count))
        late = np.zeros(20, np.bool_)
        kinds, end = np.full(20, kind), np.arange(20.0)
        made.append(Rows(("svdb", "mitdb")[k // 2 % 2], f"r{k}", 60.0, features, kinds, end, late))
    return made


@pytest.mark.usefixtures("quick")
def test_a_group_without_its_databases_stays_as_it_is_and_that_is_said(
    tmp_path: Path, model: Path
) -> None:
    said: list[str] = []
    data, out = folder(tmp_path, "mitdb", "svdb", "nstdb"), tmp_path / "c.json"
    found = command.run(data, out, model, said.append)
    assert found == PRESENT
    assert json.loads(out.read_text()) == PRESENT.to_dict()
    text = "\n".join(said)
    stays = "stays as it is, {} has no {}"
    assert "ventricular_run: " + stays.format(data, "cinc2015 and no cinc2017") in text
    assert "atrial_fibrillation: " + stays.format(data, "cinc2017") in text


@pytest.mark.usefixtures("quick")
def test_without_a_model_nothing_is_said_of_what_needs_one(tmp_path: Path) -> None:
    said: list[str] = []
    assert command.run(folder(tmp_path), tmp_path / "c.json", None, said.append) == PRESENT
    assert [text.split()[0] for text in said] == ["noise", "vf"]


def test_a_missing_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"record \w+: there is no \w+\.hea in .*data"):
        command.run(folder(tmp_path), tmp_path / "c.json", None, lambda _: None)


@pytest.mark.usefixtures("quick")
def test_fold_models_have_not_seen_their_records(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ventricular_run, "all_rows", rows)
    data = folder(tmp_path, *{*ventricular_run.DATABASES, *atrial_fibrillation.DATABASES})
    folds, said = tmp_path / "folds", list[str]()
    found = command.run(data, tmp_path / "c.json", model, said.append, folds)
    assert found.ventricular_run == ventricular_run.fit(rows()) != PRESENT.ventricular_run
    assert {name: getattr(found, name) for name in GROUPS if name != "ventricular_run"} == {
        name: getattr(PRESENT, name) for name in GROUPS if name != "ventricular_run"
    }
    assert said[0].startswith("ventricular_run ")
    of_record = json.loads((folds / "folds.json").read_text())
    assert of_record.keys() == {f"r{k}" for k in range(10)}
    assert set(of_record.values()) == {f"fold-{k}.pt" for k in range(FOLDS)}
    for name in set(of_record.values()):
        others = [each for each in rows() if of_record[each.record] != name]
        made = read(folds / name).coefficients
        assert made.ventricular_run == ventricular_run.fit(others)
        assert made.vf == PRESENT.vf
