"""The networks of timing and class: ensembles of teachers, by database and by seed, and students.

Knows which beats are whose; knows no file but a training's own run folder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from beatgan.model.compiled_networks import (
    CompiledClassifier,
    CompiledRhythmDensity,
    probabilities,
)
from beatgan.model.features import timings, with_next
from beatgan.model.model import rr_surprisal, shape_logits
from beatgan.model.networks import Network
from beatgan.model.revision import REVISE_WITHIN_S
from beatgan.model.torch_modules.conversion import network_of
from beatgan.spec import PreprocessSpec
from beatgan.types import Bools, Doubles, Floats, Ints
from beatgan_train.data.beat_set import BeatSet
from beatgan_train.data.development import (
    LABELLED_DATABASES,
    DevelopmentSet,
    next_rr_ms,
    rows_of,
)
from beatgan_train.training.beat_class import (
    ClassOptions,
    ClassRows,
    ClassTraining,
    answers,
    class_rows,
    new_classifier,
    new_teacher,
)
from beatgan_train.training.loop import Callback, TrainingTask, fit
from beatgan_train.training.options import Flag
from beatgan_train.training.rhythm import RhythmOptions, RhythmTraining

TEACHER_HIDDEN = 128  # of a teacher of timing, per layer
BLOCK = 4096  # beats looked at a time


@dataclass(frozen=True)
class ContextOptions:
    """What the training of timing and classes depends on besides its data.

    The loss of the classes is alpha T^2 KL(teacher_T || student_T) + (1 - alpha) CE(student,
    label); that of timing is alpha of the teachers' expectation and 1 - alpha of the likelihood.
    With alpha 0 there are no teachers.
    """

    epochs: Annotated[int, Flag(min=1)] = 8
    batch: Annotated[int, Flag("Beats.", min=2)] = 512
    rate: Annotated[float, Flag("AdamW's, at first.", min=0)] = 4e-3
    teachers: Annotated[int, Flag("Of each database and of all, by seed.", min=1)] = 1
    alpha: Annotated[float, Flag("The teachers' share of the losses.", 0, 1)] = 0.5
    temperature: Annotated[float, Flag("T, of the classes.", min=0.01)] = 2.0
    seed: Annotated[int, Flag("Of all chance.", min=0)] = 0

    def of_rhythm(self, hidden: int, seed: int) -> RhythmOptions:
        """Those of one network of timing."""
        return RhythmOptions(hidden, self.epochs, self.batch, self.rate, self.alpha, seed)

    def of_classes(self, seed: int) -> ClassOptions:
        """Those of one network of classes."""
        return ClassOptions(
            epochs=self.epochs,
            batch=self.batch,
            rate=self.rate,
            alpha=self.alpha,
            temperature=self.temperature,
            seed=seed,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """Trained networks of timing and class."""

    rhythm: Network
    classes: Network


@dataclass(frozen=True, slots=True)
class Run:
    """Where trainings leave their checkpoints, and who sees their progress."""

    folder: Path
    resume: bool
    callback: Callback

    def fit(self, name: str, task: TrainingTask, options: Mapping[str, Any]) -> None:
        """Train ``task`` in a folder ``name`` of the run's."""
        fit(
            task,
            options["epochs"],
            options["batch"],
            options["seed"],
            self.folder / name,
            options,
            self.resume,
            self.callback,
        )


def train_heads(
    development: DevelopmentSet,
    among: Bools,
    options: ContextOptions,
    spec: PreprocessSpec,
    run: Run,
) -> Heads:
    """Both networks, taught by ensembles if ``options.alpha``, from the beats ``among`` (n,)."""
    rhythm = _train_rhythm(development, among, options, run)
    rows = class_rows_of(development.beats, rows_of(among), spec)
    soft = None
    if options.alpha:
        teachers = []
        for name, subset in _subsets(development, among).items():
            taught = class_rows_of(development.beats, rows_of(subset), spec)
            for number in range(options.teachers):
                teaching = replace(options.of_classes(options.seed + number), alpha=0.0)
                task = ClassTraining(teaching, new_teacher(teaching), taught)
                run.fit(f"classes-{name}-{number}", task, asdict(teaching))
                teachers.append(task.network.eval().requires_grad_(False))
        soft = answers(teachers, rows, with_next=False), answers(teachers, rows, with_next=True)
    studying = options.of_classes(options.seed)
    recorded = asdict(studying) | {"teachers": options.teachers}
    student = new_classifier(studying)
    run.fit("classes", ClassTraining(studying, student, rows, soft), recorded)
    return Heads(rhythm, network_of(student))


def class_rows_of(beats: BeatSet, rows: Ints, spec: PreprocessSpec) -> ClassRows:
    """Rows to learn classes from, with the next interval where it comes in time."""
    return class_rows(beats, rows, next_rr_ms(beats, REVISE_WITHIN_S), spec)


def head_components(
    heads: Heads, beats: BeatSet, spec: PreprocessSpec, revise_within_s: float = REVISE_WITHIN_S
) -> dict[str, Doubles]:
    """The components ``rr_surprisal`` and ``log_odds`` of each of ``beats``, each (n,).

    Of ``beats`` all of a record's are there, in order. They are revised by the interval to the next
    beat where that is no longer than ``revise_within_s``.
    """
    surprisal = rr_surprisal(CompiledRhythmDensity(heads.rhythm), beats.rhythm, beats.rr_ms)
    following = next_rr_ms(beats, revise_within_s)
    parts = [
        logits(CompiledClassifier(heads.classes), beats, rows, following, spec)
        for rows in np.array_split(np.arange(len(beats)), len(beats) // BLOCK + 1)
    ]
    _, log_odds = probabilities(np.concatenate(parts))
    return {"rr_surprisal": surprisal, "log_odds": log_odds}


def logits(
    classes: CompiledClassifier,
    beats: BeatSet,
    rows: Ints,
    following: Doubles,
    spec: PreprocessSpec,
) -> Floats:
    """What the classifier says of ``rows`` (n, classes), by the mean of the leads' shapes.

    ``following``: the interval to the next beat in ms, of each of ``beats``, NaN: unknown.
    """
    distances = beats.lead_distances[rows]
    two = rows[~np.isnan(distances[:, 1])]
    shape = shape_logits(
        classes,
        (beats.window[rows], beats.reference[rows]),
        (beats.second_window[two], beats.second_template[two]),
        distances,
        spec,
    )
    timing, known = timings(beats.rhythm[rows], beats.prematurity[rows]), ~np.isnan(following[rows])
    first = classes.timing(timing)
    revised = classes.timing(with_next(timing, following[rows]))
    return np.where(known[:, None], revised, first) + shape


def _subsets(development: DevelopmentSet, among: Bools) -> dict[str, Bools]:
    """What each group of teachers learns from: each database with labels alone, and all.

    With each go the beats of databases that have normal ones only.
    """
    database = development.database
    labelled = np.isin(database, LABELLED_DATABASES)
    there = [name for name in LABELLED_DATABASES if (among & (database == name)).any()]
    alone = {name: among & ((database == name) | ~labelled) for name in there}
    return {**alone, "all": among} if len(there) > 1 else {"all": among}


def _train_rhythm(
    development: DevelopmentSet, among: Bools, options: ContextOptions, run: Run
) -> Network:
    beats, teachers = development.beats, []
    usable = beats.normal & ~np.isnan(beats.rr_ms)
    if options.alpha:
        for name, subset in _subsets(development, among).items():
            for number in range(options.teachers):
                teaching = options.of_rhythm(TEACHER_HIDDEN, options.seed + number)
                task = RhythmTraining(teaching, beats.rhythm[usable & subset])
                run.fit(f"rhythm-{name}-{number}", task, asdict(teaching))
                teachers.append(task.network.requires_grad_(False))
    studying = options.of_rhythm(RhythmOptions.hidden, options.seed)
    task = RhythmTraining(studying, beats.rhythm[usable & among], teachers)
    run.fit("rhythm", task, asdict(studying) | {"teachers": options.teachers})
    return network_of(task.network)


def names_of(beats: BeatSet, among: Bools) -> Sequence[str]:
    """The records of the beats ``among`` as model files name them: mitdb's by number alone."""
    places = np.unique(beats.record[among]).tolist()
    return sorted(beats.records[place].removeprefix("mitdb/") for place in places)
