"""From recordings and teachers to a student's model file, cross-validated by patient.

Under the protocols by patient a student is distilled for each fifth of the patients, without them.
The beats that a student has not seen give location, spread and threshold, all five pooled; shipped
is the student that has not seen the patients its teacher has not seen.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from beatgan.errors import ArtifactError, UsageError
from beatgan.model.artifact import Artifact, build
from beatgan.model.model import Look, log_mean
from beatgan.model.networks import Network, Networks
from beatgan.model.torch_modules.conversion import autoencoder_of, network_of
from beatgan.model.torch_modules.networks import Autoencoder
from beatgan.types import Doubles, Floats
from beatgan_train.commands.teacher import TrainingPaths
from beatgan_train.data.beat_set import BeatSet, join
from beatgan_train.data.source import Source, spec_of
from beatgan_train.data.splits import FOLDS
from beatgan_train.data.training_set import (
    TrainingSet,
    load_beats,
    make_training_set,
    refuse_other_data,
)
from beatgan_train.evaluation.ranking import auc
from beatgan_train.progress import TerminalProgress
from beatgan_train.report.model_card import write_card
from beatgan_train.report.training_plots import draw_examples, draw_history
from beatgan_train.training.calibrate import calibrate, components, normal_sq_diff
from beatgan_train.training.coefficients import coefficients_of
from beatgan_train.training.distillation import (
    Distillation,
    DistillationOptions,
    Ensemble,
    TeacherTargets,
    new_student,
)
from beatgan_train.training.distributed import on_first, rank, shared
from beatgan_train.training.loop import Checkpoint, EpochMetrics, fit
from beatgan_train.training.model_file import provenance, read, write
from beatgan_train.training.pseudo_anomalies import FAMILIES, families_without, make

Components = dict[str, Doubles]


@dataclass(frozen=True, slots=True, eq=False)
class DistillationData:
    """What a student learns from: the teachers and their targets."""

    ensemble: Ensemble
    normal: TeacherTargets
    altered: TeacherTargets | None  # where no term needs them


@dataclass(frozen=True, slots=True, eq=False)
class FoldResult:
    """A distilled student, and the normal beats that it has not seen."""

    student: Network
    checkpoint: Checkpoint
    source: Source
    held_out: BeatSet

    @property
    def best(self) -> EpochMetrics:
        """The history's line of the best epoch."""
        return self.checkpoint.history[self.checkpoint.best_epoch - 1]


def make_student(
    paths: TrainingPaths,
    teachers: Sequence[Path],
    options: DistillationOptions,
    flagged: float,
    terminal: TerminalProgress,
) -> Artifact:
    """Distil a student, write it and its card to ``paths.out``; returns it.

    Mode, protocol and fold are the teachers'. Raises ArtifactError on a file that is no teacher,
    UsageError on teachers that do not belong together or options that do not fit,
    RecordError on unreadable data.
    """
    on_first(paths.prepare)
    artifacts = [open_teacher(path) for path in teachers]
    source = common_source(artifacts)
    options, ensemble = options.of_mode(source.mode), ensemble_of(artifacts)
    loaded = load_beats(
        paths.data,
        source.mode,
        source.protocol,
        coefficients_of(source.mode),
        terminal.bars,
        paths.annotator,
        paths.patients,
        paths.test_fold,
        shared,
    )
    refuse_other_data(
        source, make_training_set(loaded, source.mode, source.protocol, source.fold).source
    )
    results: dict[int, FoldResult] = {}
    for fold in range(FOLDS) if source.protocol != "beatgan" else [source.fold]:
        terminal.say(f"fold {fold}")
        training_set = make_training_set(loaded, source.mode, source.protocol, fold)
        results[fold] = distil(
            prepare(ensemble, training_set, options), training_set, options, paths, terminal
        )
    shipped = results[source.fold]
    recorded = {**asdict(options), "flagged": flagged}
    origin = provenance(
        shipped.source,
        recorded,
        best=shipped.best,
        calibrated_on=sum(len(result.held_out) for result in results.values()),
        pseudo_anomaly_auc=pseudo_anomaly_auc(shipped, ensemble, options.seed),
        teacher=artifacts[0].provenance,
        teachers=ensemble.digests,
    )
    spec = spec_of(source.mode)
    calibration = replace(
        calibrate(unseen(results.values()), source.mode, flagged),
        normal_sq_diff=normal_sq_diff(join([g.held_out for g in results.values()]), spec),
    )
    artifact = build(
        "student",
        spec,
        Networks(shipped.student),
        calibration,
        coefficients_of(source.mode),
        origin,
    )
    if rank() == 0:
        _leave(artifact, shipped, paths)
    return artifact


def _leave(artifact: Artifact, shipped: FoldResult, paths: TrainingPaths) -> None:
    """The student's files: model, card and pictures."""
    write(artifact, paths.out)
    write_card(artifact, paths.out.with_suffix(".md"))
    draw_history(
        shipped.checkpoint.history, shipped.checkpoint.best_epoch, paths.run / "losses.png"
    )
    examples = paths.run / "examples.png"
    draw_examples(shipped.student, shipped.held_out, artifact.spec, examples)


def unseen(results: Iterable[FoldResult]) -> Components:
    """The components of all the normal beats, each scored by a student that has not seen it."""
    parts = [
        components(result.student, result.held_out, spec_of(result.source.mode))
        for result in results
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def open_teacher(path: Path) -> Artifact:
    """The teacher at ``path``; ArtifactError if it is none."""
    artifact = read(path)
    if artifact.kind != "teacher":
        raise ArtifactError(f"{path}: is a {artifact.kind}, not a teacher")
    return artifact


def ensemble_of(teachers: Iterable[Artifact]) -> Ensemble:
    """The teachers' networks; ArtifactError if one is no autoencoder of windows alone."""
    networks: dict[str, Autoencoder] = {}
    for teacher in teachers:
        if not isinstance(network := autoencoder_of(teacher.networks.beat), Autoencoder):
            raise ArtifactError(f"{teacher.digest}: a {type(network).__name__} is no teacher")
        networks[teacher.digest] = network
    return Ensemble(networks)


def common_source(teachers: Sequence[Artifact]) -> Source:
    """What all the teachers were made of; UsageError if they differ or do not say."""
    sources = []
    for teacher in teachers:
        names = Source.__slots__
        if missing := [name for name in names if name not in teacher.provenance]:
            raise UsageError(f"teacher {teacher.digest} does not say its {', '.join(missing)}")
        sources.append(Source(**{name: _hashable(teacher.provenance[name]) for name in names}))
    if len({*sources}) != 1:
        raise UsageError("the teachers were trained on different data: folds, modes or records")
    if any(teacher.spec != spec_of(sources[0].mode) for teacher in teachers):
        raise UsageError(
            "a teacher was trained with another preprocessing than today's; train anew"
        )
    return sources[0]


def pseudo_anomaly_auc(
    result: FoldResult, ensemble: Ensemble, seed: int
) -> dict[str, dict[str, float]]:
    """How well altered beats of held-out patients rank above their normal ones, by family.

    The AUC of the reconstruction error alone, of student and teachers; families that were held
    out of the distillation are among them.
    """
    spec, beats = spec_of(result.source.mode), result.held_out
    rng = np.random.default_rng([seed, len(beats)])
    altered = make(beats.window, beats.record, spec, rng)
    families = np.array(altered.family)
    table: dict[str, dict[str, float]] = {family: {} for family in FAMILIES}
    look = Look(result.student, spec)

    def of_student(windows: Floats) -> Doubles:
        return log_mean(look(windows, beats.reference).squared_error, spec.scored)

    def of_teachers(windows: Floats) -> Doubles:
        return ensemble.predict(windows, beats.reference, spec.scored).error

    for name, error in (("student", of_student), ("teachers", of_teachers)):
        normal, anomalous = error(beats.window), error(altered.window)
        for family, row in table.items():
            row[name] = round(_auc(anomalous[families == family], normal), 4)
    return table


def prepare(
    ensemble: Ensemble, training_set: TrainingSet, options: DistillationOptions
) -> DistillationData:
    """What the teachers make of one division's beats and of the same beats altered."""
    spec = spec_of(training_set.source.mode)
    beats = training_set.train
    normal = ensemble.predict(beats.window, beats.reference, spec.scored)
    families = families_without(options.held_out_families)
    if not options.compares:
        return DistillationData(ensemble, normal, None)
    rng = np.random.default_rng([options.seed, training_set.source.fold])
    altered = make(beats.window, beats.record, spec, rng, families)
    targets = ensemble.predict(altered.window, beats.reference, spec.scored)
    return DistillationData(ensemble, normal, targets)


def distil(
    distillation_data: DistillationData,
    training_set: TrainingSet,
    options: DistillationOptions,
    paths: TrainingPaths,
    terminal: TerminalProgress,
) -> FoldResult:
    """One student, of one division of the beats; ``options`` are of its mode."""
    spec, fold = spec_of(training_set.source.mode), training_set.source.fold
    normal, altered = distillation_data.normal, distillation_data.altered
    held_out = training_set.held_out.window, training_set.held_out.reference
    student, ensemble = new_student(options, spec), distillation_data.ensemble
    task = Distillation(student, options, normal, altered, held_out, spec, ensemble)
    run, batch, seed = paths.run / f"fold-{fold}", options.batch, options.seed
    recorded = {**asdict(options), "teachers": ensemble.digests}
    checkpoint = fit(task, options.epochs, batch, seed, run, recorded, paths.resume, terminal)
    student.load_state_dict(checkpoint.best)
    network = network_of(student.eval())
    return FoldResult(network, checkpoint, training_set.source, training_set.held_out)


def _auc(anomalous: Doubles, normal: Doubles) -> float:
    scores = np.concatenate([anomalous, normal])
    return auc(scores, np.arange(len(scores)) < len(anomalous))


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
