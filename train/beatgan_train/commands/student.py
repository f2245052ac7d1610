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
from beatgan.model.networks import Student
from beatgan.types import Doubles
from beatgan_train.commands.teacher import Place
from beatgan_train.data.beat_set import BeatSet, join
from beatgan_train.data.source import Source, spec_of
from beatgan_train.data.splits import FOLDS
from beatgan_train.data.training_set import (
    Material,
    amplitude,
    load_beats,
    material,
    refuse_other_data,
)
from beatgan_train.evaluation.ranking import auc
from beatgan_train.progress import Terminal
from beatgan_train.report.model_card import write_card
from beatgan_train.report.training_plots import draw_examples, draw_history
from beatgan_train.training.calibrate import calibrate, components, usual_difference
from beatgan_train.training.coefficients import coefficients_of
from beatgan_train.training.distillation import Distillation, DistilOptions, Ensemble, Lesson
from beatgan_train.training.loop import Line, Progress, fit
from beatgan_train.training.model_file import provenance, read, write
from beatgan_train.training.pseudo_anomalies import FAMILIES, families_without, make

Components = dict[str, Doubles]


@dataclass(frozen=True, slots=True, eq=False)
class Curriculum:
    """What a student learns from: the teachers and their lessons."""

    ensemble: Ensemble
    normal: Lesson
    altered: Lesson | None  # where no term needs them


@dataclass(frozen=True, slots=True, eq=False)
class Graduate:
    """A distilled student, in eval mode, and the normal beats that it has not seen."""

    student: Student
    progress: Progress
    source: Source
    held_out: BeatSet

    @property
    def best(self) -> Line:
        """The history's line of the epoch that was kept."""
        return self.progress.history[self.progress.best_epoch - 1]


def make_student(
    place: Place,
    teachers: Sequence[Path],
    options: DistilOptions,
    flagged: float,
    terminal: Terminal,
) -> Artifact:
    """Distil a student, write it and its card to ``place.out``; returns it.

    Mode, protocol and fold are the teachers'. Raises ArtifactError on a file that is no teacher,
    UsageError on teachers that do not belong together or options that do not fit, RecordError on
    unreadable data.
    """
    place.prepare()
    artifacts = [open_teacher(path) for path in teachers]
    source = common_source(artifacts)
    ensemble = Ensemble({artifact.digest: artifact.network for artifact in artifacts})
    loaded = load_beats(
        place.data,
        source.mode,
        source.protocol,
        coefficients_of(source.mode),
        terminal.bars,
        place.annotator,
    )
    refuse_other_data(source, material(loaded, source.mode, source.protocol, source.fold).source)
    graduates: dict[int, Graduate] = {}
    for fold in range(FOLDS) if source.protocol != "beatgan" else [source.fold]:
        terminal.say(f"fold {fold}")
        stuff = material(loaded, source.mode, source.protocol, fold)
        graduates[fold] = distil(prepare(ensemble, stuff, options), stuff, options, place, terminal)
    shipped = graduates[source.fold]
    told = {**asdict(options), "flagged": flagged}
    origin = provenance(
        shipped.source,
        told,
        best=shipped.best,
        calibrated_on=sum(len(graduate.held_out) for graduate in graduates.values()),
        refused=refused(shipped, ensemble, options.seed),
        teacher=artifacts[0].provenance,
        teachers=ensemble.digests,
    )
    spec = spec_of(source.mode)
    calibration = replace(
        calibrate(unseen(graduates.values()), source.mode, flagged),
        usual=usual_difference(join([g.held_out for g in graduates.values()]), spec),
    )
    artifact = build(
        "student", spec, shipped.student, calibration, coefficients_of(source.mode), origin
    )
    write(artifact, place.out)
    write_card(artifact, place.out.with_suffix(".md"))
    draw_history(shipped.progress.history, shipped.progress.best_epoch, place.run / "losses.png")
    examples = place.run / "examples.png"
    draw_examples(artifact.network, shipped.held_out.window, artifact.spec, examples)
    return artifact


def unseen(graduates: Iterable[Graduate]) -> Components:
    """The components of all the normal beats, each judged by a student that has not seen it."""
    parts = [
        components(graduate.student, graduate.held_out, spec_of(graduate.source.mode))
        for graduate in graduates
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def open_teacher(path: Path) -> Artifact:
    """The teacher at ``path``; ArtifactError if it is none."""
    artifact = read(path)
    if artifact.kind != "teacher":
        raise ArtifactError(f"{path}: is a {artifact.kind}, not a teacher")
    return artifact


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


def refused(graduate: Graduate, ensemble: Ensemble, seed: int) -> dict[str, dict[str, float]]:
    """How well each family of altered beats of held-out patients is told from their normal ones.

    The AUC of the reconstruction error alone, of student and teachers; families that were held
    out of the distillation are among them.
    """
    spec, beats = spec_of(graduate.source.mode), graduate.held_out
    rng = np.random.default_rng([seed, len(beats)])
    altered = make(beats.window, beats.record, spec, rng)
    families = np.array(altered.family)
    table: dict[str, dict[str, float]] = {family: {} for family in FAMILIES}
    for name, judge in (("student", Ensemble({"": graduate.student})), ("teachers", ensemble)):
        usual = judge.teach(beats.window, spec.scored).error
        odd = judge.teach(altered.window, spec.scored).error
        for family, row in table.items():
            row[name] = round(_auc(odd[families == family], usual), 4)
    return table


def prepare(ensemble: Ensemble, stuff: Material, options: DistilOptions) -> Curriculum:
    """What the teachers make of one division's beats and of the same beats altered."""
    spec = spec_of(stuff.source.mode)
    normal = ensemble.teach(stuff.train.window, spec.scored)
    families = families_without(options.held_out_families)
    if not options.compares:
        return Curriculum(ensemble, normal, None)
    rng = np.random.default_rng([options.seed, stuff.source.fold])
    altered = make(stuff.train.window, stuff.train.record, spec, rng, families)
    return Curriculum(ensemble, normal, ensemble.teach(altered.window, spec.scored))


def distil(
    curriculum: Curriculum,
    stuff: Material,
    options: DistilOptions,
    place: Place,
    terminal: Terminal,
) -> Graduate:
    """One student, of one division of the beats."""
    spec, fold = spec_of(stuff.source.mode), stuff.source.fold
    normal, altered = curriculum.normal, curriculum.altered
    held_out = stuff.held_out.window
    trainee = Distillation(
        options, normal, altered, held_out, spec.scored, amplitude(spec), curriculum.ensemble
    )
    run, batch, seed = place.run / f"fold-{fold}", options.batch, options.seed
    told = {**asdict(options), "teachers": curriculum.ensemble.digests}
    progress = fit(trainee, options.epochs, batch, seed, run, told, place.resume, terminal)
    trainee.student.load_state_dict(progress.best)
    return Graduate(trainee.student.eval(), progress, stuff.source, stuff.held_out)


def _auc(anomalous: Doubles, normal: Doubles) -> float:
    scores = np.concatenate([anomalous, normal])
    return auc(scores, np.arange(len(scores)) < len(anomalous))


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
