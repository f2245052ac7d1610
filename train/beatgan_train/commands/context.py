"""From a student that knows what beats look like to one that knows timing and classes, too.

Its networks of timing and class are learnt from several databases; those that go into the file from
all their patients. Location, spread and threshold come from beats of patients unseen: the same
training is done anew for each group of patients, without them.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from beatgan.errors import ArtifactError, UsageError
from beatgan.model import features
from beatgan.model.artifact import Artifact, build, check_size
from beatgan.model.networks import Networks
from beatgan.model.torch_modules.context_networks import BeatClassifier, RhythmDensity
from beatgan.model.torch_modules.conversion import network_of
from beatgan.types import Bools, Doubles
from beatgan_train.commands.teacher import TrainingPaths
from beatgan_train.data.development import DATABASES, DevelopmentSet, load
from beatgan_train.progress import TerminalProgress
from beatgan_train.report.model_card import write_card
from beatgan_train.training.calibrate import WEIGHTS, components, with_heads
from beatgan_train.training.context import (
    ContextOptions,
    Heads,
    Run,
    head_components,
    names_of,
    train_heads,
)
from beatgan_train.training.distributed import on_first, rank, shared
from beatgan_train.training.model_file import read, write

FOLDS = 3  # groups of patients, each of which is left out of a training once
SPLIT_SEED = 0  # of the groups: the same whatever the training's own seed


@dataclass(frozen=True, slots=True, eq=False)
class UnseenBeats:
    """The components of normal beats of patients that their networks had not seen, each (n,)."""

    components: dict[str, Doubles]
    database: "np.ndarray[tuple[int], np.dtype[np.str_]]"


def make_context(
    paths: TrainingPaths,
    student: Path,
    left_out: Collection[str],
    options: ContextOptions,
    flagged: float,
    terminal: TerminalProgress,
) -> Artifact:
    """Give the student in file ``student`` networks of timing and class; returns what was written.

    ``left_out``: databases that nothing is learnt from. Raises ArtifactError where ``student`` is
    none, UsageError on options that do not fit, RecordError on unreadable data.
    """
    if unknown := sorted({*left_out} - {*DATABASES}):
        raise UsageError(f"--leave-out: {unknown[0]!r} is none of {', '.join(DATABASES)}")
    if not 0 < flagged < 0.5:
        raise UsageError(f"--flagged: expected a share between 0 and 0.5, got {flagged:g}")
    on_first(paths.prepare)
    artifact = open_student(student)
    databases = [name for name in DATABASES if name not in left_out]
    spec, coefficients = artifact.spec, artifact.coefficients
    development = load(paths.data, databases, spec, coefficients, terminal.bars, shared)
    everything = np.ones(len(development.beats), np.bool_)
    heads = train_heads(
        development, everything, options, artifact.spec, _run(paths, terminal, "all")
    )
    unseen = score_unseen(development, artifact, options, paths, terminal)
    calibration = with_heads(artifact.calibration, unseen.components, unseen.database, flagged)
    networks = Networks(artifact.networks.beat, heads.rhythm, heads.classes)
    made = build(
        "student",
        artifact.spec,
        networks,
        calibration,
        artifact.coefficients,
        _provenance(artifact, development, everything, options, flagged, databases),
    )
    if rank() == 0:
        write(made, paths.out)
        write_card(made, paths.out.with_suffix(".md"))
    return made


def open_student(path: Path) -> Artifact:
    """The student at ``path``, if it can be given networks of timing and class.

    Raises ArtifactError, naming the file, where it cannot: now, not hours later.
    """
    artifact = read(path)
    if artifact.kind != "student":
        raise ArtifactError(f"{path}: is a {artifact.kind}, not a student")
    if artifact.spec.scale != "patient":
        raise ArtifactError(f"{path}: sees each beat alone: distil a student of mode full")
    if not features.fits(artifact.spec):
        raise ArtifactError(f"{path}: its windows are too short to tell classes by: distil it anew")
    if missing := {*WEIGHTS["full"]} - {*artifact.calibration.location}:
        raise ArtifactError(f"{path}: its calibration lacks {', '.join(sorted(missing))}")
    try:
        heads = network_of(RhythmDensity()), network_of(BeatClassifier())
        check_size(Networks(artifact.networks.beat, *heads))
    except ArtifactError as error:
        raise ArtifactError(f"{path}: with networks of timing and class: {error}") from None
    return artifact


def score_unseen(
    development: DevelopmentSet,
    artifact: Artifact,
    options: ContextOptions,
    paths: TrainingPaths,
    terminal: TerminalProgress,
) -> UnseenBeats:
    """Normal beats of all patients, each scored by networks that have not seen the patient."""
    found: list[dict[str, Doubles]] = []
    databases = []
    for number, inside in enumerate(development.folds(FOLDS, SPLIT_SEED)):
        terminal.say(f"without patients of group {number}")
        run = _run(paths, terminal, f"without-{number}")
        heads = train_heads(development, ~inside, options, artifact.spec, run)
        found.append(_components(heads, artifact, development, inside))
        databases.append(development.database[inside & development.beats.normal])
    joined = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
    return UnseenBeats(joined, np.concatenate(databases))


def _components(
    heads: Heads, artifact: Artifact, development: DevelopmentSet, inside: Bools
) -> dict[str, Doubles]:
    """All components of the normal beats ``inside``."""
    beats = development.beats.take(inside)
    normal = beats.normal
    of_heads = head_components(heads, beats, artifact.spec)
    by_look = components(artifact.networks.beat, beats.take(normal), artifact.spec)
    return by_look | {name: values[normal] for name, values in of_heads.items()}


def _run(paths: TrainingPaths, terminal: TerminalProgress, name: str) -> Run:
    return Run(paths.run / name, paths.resume, terminal)


def _provenance(
    student: Artifact,
    development: DevelopmentSet,
    everything: Bools,
    options: ContextOptions,
    flagged: float,
    databases: Sequence[str],
) -> dict[str, Any]:
    """The student's, and what its new networks were made of."""
    context = {
        "protocol": "interpatient",  # of the MIT-BIH database DS1 alone
        "records": list(names_of(development.beats, everything)),
        "databases": list(databases),
        "options": {**asdict(options), "flagged": flagged},
        "normal_beats": int(development.beats.normal.sum()),
        "labelled_beats": int(np.not_equal(development.beats.label, "").sum()),
        "student": student.digest,
    }
    return {**student.provenance, "context": context}
