"""The distillation's bookkeeping: which teachers, whose beats, which student scores whom."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from beatgan.errors import UsageError
from beatgan.model.artifact import Artifact, build
from beatgan.model.artifact import load as load_artifact
from beatgan.model.calibration import Calibration
from beatgan.model.torch_modules.conversion import module_of, network_of, networks_of
from beatgan.model.torch_modules.networks import Generator, Student
from beatgan.spec import PreprocessSpec
from beatgan_train.commands.student import FoldResult, common_source, pseudo_anomaly_auc, unseen
from beatgan_train.data.beat_set import load
from beatgan_train.data.mitdb import DS1
from beatgan_train.data.source import Source, spec_of
from beatgan_train.data.training_set import LoadedBeats, amplitude, make_training_set
from beatgan_train.training.calibrate import components
from beatgan_train.training.coefficients import coefficients_of
from beatgan_train.training.distillation import Ensemble
from beatgan_train.training.loop import Checkpoint
from beatgan_train.training.model_file import provenance, write

COEFFICIENTS = coefficients_of("full")

CALIBRATION = Calibration({"error": 0.0}, {"error": 1.0}, {"error": 1.0}, {"error": 1e3}, 1.0)
SOURCE = Source("interpatient", 2, "full", ("101", "106"), ("106",), 100)


def teacher(source: Source = SOURCE, **changes: Any) -> Artifact:
    spec = changes.pop("spec", PreprocessSpec())
    made = provenance(source, {"seed": changes.pop("seed", 0)})
    made = {name: value for name, value in made.items() if name not in changes}
    torch.manual_seed(0)
    return build(
        "teacher",
        spec,
        networks_of(Generator(width=1, bottleneck=2)),
        CALIBRATION,
        COEFFICIENTS,
        made,
    )


def test_teachers_of_the_same_data_belong_together() -> None:
    assert common_source([teacher(), teacher(seed=1)]) == SOURCE


@pytest.mark.parametrize(
    "other",
    [replace(SOURCE, fold=3), replace(SOURCE, mode="beat"), replace(SOURCE, records=("101",))],
)
def test_teachers_of_different_data_do_not(other: Source) -> None:
    with pytest.raises(UsageError, match="trained on different data"):
        common_source([teacher(), teacher(other)])


def test_a_teacher_must_say_what_it_was_made_of() -> None:
    with pytest.raises(UsageError, match="does not say its fold"):
        common_source([teacher(fold=None)])


def test_a_teacher_of_other_preprocessing_is_refused() -> None:
    with pytest.raises(UsageError, match="other preprocessing"):
        common_source([teacher(spec=PreprocessSpec(template_beats=7))])


def test_provenance_is_told_in_full() -> None:
    made = provenance(SOURCE, {"rate": 0.1}, best={"epoch": 1.0})
    assert asdict(SOURCE).items() <= made.items()
    assert made["options"] == {"rate": 0.1}
    assert made["best"] == {"epoch": 1.0}
    assert all(made["packages"].values())


def test_a_model_is_written_whole_into_a_new_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "model.pt"
    artifact = teacher()
    write(artifact, path)
    with path.open("rb") as file:
        assert load_artifact(file, str(path)).digest == artifact.digest
    assert [entry.name for entry in path.parent.iterdir()] == ["model.pt"]


@pytest.fixture(scope="module")
def results(toy_data: Path) -> list[FoldResult]:
    """Two untrained students and the beats of their folds."""
    beats = load(toy_data, DS1, spec_of("full"), COEFFICIENTS)
    made = []
    for fold in (0, 1):
        torch.manual_seed(fold)
        training_set = make_training_set(LoadedBeats(beats), "full", "interpatient", fold)
        student = Student(amplitude=amplitude(spec_of("full"))).eval()
        network, source = network_of(student), training_set.source
        made.append(FoldResult(network, Checkpoint({}), source, training_set.held_out))
    return made


def test_material_keeps_patients_apart_and_anomalies_out(toy_data: Path) -> None:
    beats = load(toy_data, DS1, spec_of("full"), COEFFICIENTS)
    seen: list[str] = []
    for fold in range(5):
        training_set = make_training_set(LoadedBeats(beats), "full", "interpatient", fold)
        inside = {training_set.train.records[i] for i in np.unique(training_set.train.record)}
        outside = {
            training_set.held_out.records[i] for i in np.unique(training_set.held_out.record)
        }
        assert not inside & outside
        assert outside == {*training_set.source.held_out}
        assert inside | outside == {*training_set.source.records} == {*DS1}
        assert {*training_set.train.label, *training_set.held_out.label} == {"N"}
        seen += outside
    assert sorted(seen) == sorted(DS1)


def test_each_beat_is_judged_by_the_student_that_has_not_seen_it(
    results: list[FoldResult],
) -> None:
    pooled = unseen(results)
    first = len(results[0].held_out)
    assert len(pooled["error"]) == first + len(results[1].held_out)
    for result, part in zip(results, (slice(first), slice(first, None)), strict=True):
        own = components(result.student, result.held_out, spec_of("full"))
        assert all(np.array_equal(pooled[name][part], own[name], equal_nan=True) for name in own)


def test_refusal_is_measured_for_student_and_teachers(results: list[FoldResult]) -> None:
    student = results[0]
    module = module_of(student.student)
    assert isinstance(module, Student)
    table = pseudo_anomaly_auc(student, Ensemble({"t": module}), seed=0)
    assert all(row["student"] == row["teachers"] for row in table.values())
    assert table["flipped"]["student"] > 0.4
