"""A student becomes one that knows timing and classes, on synthetic patients."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from beatgan.errors import ArtifactError, UsageError
from beatgan.model import artifact, features
from beatgan.model.calibration import LABELLED, Calibration
from beatgan.model.torch_modules.context_networks import ContextAutoencoder
from beatgan.model.torch_modules.conversion import networks_of
from beatgan.model.torch_modules.networks import Generator
from beatgan.spec import PreprocessSpec
from beatgan_train.commands import context
from beatgan_train.commands.context import make_context, open_student
from beatgan_train.commands.evaluate import refuse_leak, seen_records
from beatgan_train.commands.teacher import TrainingPaths
from beatgan_train.data.beat_set import load
from beatgan_train.data.mitdb import DS1, DS2
from beatgan_train.evaluation.beat_scores import scores_of_rows
from beatgan_train.progress import TerminalProgress
from beatgan_train.training.coefficients import coefficients_of
from beatgan_train.training.context import ContextOptions, Heads, head_components
from beatgan_train.training.model_file import read, write
from tests.train.conftest import write_patient

OPTIONS = ContextOptions(epochs=2, teachers=1, batch=192)
MADE = {
    "protocol": "interpatient", "fold": 0, "split_seed": 0, "mode": "full", "records": list(DS1),
    "held_out": ["101"], "beats": 1, "calibrated_on": 1, "database": "toys", "teachers": [],
    "options": {"flagged": 0.02, "seed": 0}, "packages": {}, "teacher": {"options": {}},
}  # fmt: skip


@pytest.fixture(scope="module")
def data(toy_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy mitdb, three patients of svdb and six hand-held recordings."""
    folder = tmp_path_factory.mktemp("databases")
    (folder / "mitdb").symlink_to(toy_data / "mitdb")
    handheld = [f"A{k}" for k in range(6)]
    for database, names in (("svdb", ["800", "801", "802"]), ("cinc2017", handheld)):
        (folder / database).mkdir()
        for seed, name in enumerate(names):
            write_patient(folder / database, name, 50 + seed)
    lines = "".join(f"{name},N\n" for name in handheld)
    (folder / "cinc2017" / "REFERENCE.csv").write_text(lines, encoding="utf-8")
    return folder


def student(path: Path) -> Path:
    """An untrained student that knows what beats look like."""
    torch.manual_seed(0)
    names = ("error", "distance", "prematurity")
    calibration = Calibration(
        dict.fromkeys(names, 0.0), dict.fromkeys(names, 1.0), dict.fromkeys(names, 1.0),
        dict.fromkeys(names, 3.0), 1.0,
    )  # fmt: skip
    networks = networks_of(ContextAutoencoder())
    spec, coefficients = PreprocessSpec(), coefficients_of("full")
    write(artifact.build("student", spec, networks, calibration, coefficients, MADE), path)
    return path


def made(data: Path, folder: Path, *left_out: str, resume: bool = False) -> artifact.Artifact:
    paths = TrainingPaths(data, folder / "out.pt", folder / "run", resume)
    terminal = TerminalProgress(Console(file=io.StringIO()))
    with pytest.MonkeyPatch.context() as patch, terminal:
        patch.setattr(context, "FOLDS", 2)  # each costs as much as the training itself
        return make_context(
            paths, student(folder / "student.pt"), left_out, OPTIONS, 0.02, terminal
        )


@pytest.fixture(scope="module")
def built(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[artifact.Artifact, Path]:
    """The whole command's model, and its folder."""
    folder = tmp_path_factory.mktemp("context")
    return made(data, folder), folder


def test_the_model_scores_classifies_and_revises_as_its_parts_say(
    built: tuple[artifact.Artifact, Path], data: Path
) -> None:
    found = read(built[1] / "out.pt")
    model = artifact.self_test(found)
    beats = load(data / "mitdb", ["100"], found.spec, found.coefficients)
    scores = scores_of_rows(model, beats, list(range(len(beats))))
    rhythm, classes = found.networks.rhythm, found.networks.classes
    assert rhythm is not None
    assert classes is not None
    parts = head_components(Heads(rhythm, classes), beats, found.spec)
    for row, score in enumerate(scores):
        if score.value is None or score.unrevised is None:
            continue
        log_odds = parts[LABELLED][[row]]
        wanted = score.unrevised.value + found.calibration.term(LABELLED, log_odds)[0]
        assert score.value == wanted
        assert score.beat_class is not None
    assert sum(score.unrevised is not None for score in scores) > 50


def test_provenance_names_every_patient_and_the_test_set_stays_unseen(
    built: tuple[artifact.Artifact, Path],
) -> None:
    seen = seen_records(built[0].provenance)
    assert {"svdb/800", "cinc2017/A0", "cinc2017/A2", *DS1} <= seen
    assert not {"cinc2017/A1", *DS2} & seen
    assert refuse_leak(built[0].provenance, "interpatient") == (0, 0)


def test_the_card_tells_of_it(built: tuple[artifact.Artifact, Path]) -> None:
    card = (built[1] / "out.md").read_text(encoding="utf-8")
    assert "mitdb: 22 (DS1), svdb: 3, cinc2017: 3" in card
    assert "BeatClassifier" in card
    assert "trained on labelled beats of every class" in card


def test_about_the_asked_share_of_unseen_normal_beats_is_flagged(
    built: tuple[artifact.Artifact, Path], data: Path
) -> None:
    found = built[0]
    model = artifact.self_test(found)
    beats = load(data / "mitdb", list(DS2), found.spec, found.coefficients)
    normal = np.flatnonzero(beats.normal).tolist()
    flagged = np.mean([score.anomalous for score in scores_of_rows(model, beats, normal)])
    assert flagged < 0.2


def test_it_goes_on_where_it_was_broken_off(
    built: tuple[artifact.Artifact, Path], data: Path
) -> None:
    assert made(data, built[1], resume=True).digest == built[0].digest


def test_a_database_can_be_left_out(data: Path, tmp_path: Path) -> None:
    found = made(data, tmp_path, "svdb")
    assert not any(name.startswith("svdb") for name in seen_records(found.provenance))


def test_what_does_not_fit_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--leave-out: 'afdb' is none of mitdb, svdb, cinc2017"):
        made(data, tmp_path, "afdb")
    paths = TrainingPaths(data, tmp_path / "out.pt", tmp_path / "run", False)
    with (
        TerminalProgress(Console(file=io.StringIO())) as terminal,
        pytest.raises(
            UsageError, match=r"--flagged: expected a share between 0 and 0\.5, got 0\.5"
        ),
    ):
        make_context(paths, student(tmp_path / "student.pt"), (), OPTIONS, 0.5, terminal)
    assert not (tmp_path / "run").exists()


def without(calibration: Calibration, name: str) -> Calibration:
    tables = calibration.to_dict()
    for part in ("location", "spread", "weight", "cap"):
        del tables[part][name]
    return Calibration.from_dict(tables)


UNFIT: list[tuple[Callable[[artifact.Artifact], artifact.Artifact], str]] = [
    (
        lambda made: replace(made, kind="teacher", networks=networks_of(Generator(width=1))),
        "is a teacher, not a student",
    ),
    (
        lambda made: replace(made, calibration=without(made.calibration, "prematurity")),
        "its calibration lacks prematurity",
    ),
    (
        lambda made: replace(made, networks=networks_of(ContextAutoencoder(hidden=80))),
        "with networks of timing and class: .* at most 95,440 parameters that learn without",
    ),
]


@pytest.mark.parametrize(("change", "complaint"), UNFIT)
def test_a_student_that_cannot_go_on_is_refused_before_any_training(
    change: Callable[[artifact.Artifact], artifact.Artifact], complaint: str, tmp_path: Path
) -> None:
    path = student(tmp_path / "other.pt")
    write(change(read(path)), path)
    with pytest.raises(ArtifactError, match=rf"other\.pt: .*{complaint}"):
        open_student(path)


def test_windows_that_show_too_little_of_a_beat_are_refused_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = student(tmp_path / "other.pt")
    monkeypatch.setattr(features, "BEFORE", PreprocessSpec().before + 1)
    with pytest.raises(ArtifactError, match=r"other\.pt: its windows are too short"):
        open_student(path)
