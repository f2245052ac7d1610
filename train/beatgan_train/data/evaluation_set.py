"""What a model is tested on: the test set of a protocol, or any annotated database.

Knows which records and beats these are; knows no score.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.progress import Progress

from beatgan.coefficients import AlarmCoefficients
from beatgan.ec57.annotations import ANNOTATOR, Reference
from beatgan.errors import UsageError
from beatgan.spec import PreprocessSpec
from beatgan.types import Bools, Ints
from beatgan_train.data import beat_set, splits
from beatgan_train.data.beat_set import BeatSet, join
from beatgan_train.data.labelled_recordings import LabelledRecording, is_annotated, open_all
from beatgan_train.data.mitdb import DS2
from beatgan_train.data.patients import BY_PLACE, PatientRule, groups_of, seen_among
from beatgan_train.data.recordings import find
from beatgan_train.data.source import Protocol

TESTED: dict[Protocol, tuple[str, ...]] = {
    "beatgan": splits.RECORDS_OF["beatgan"],
    "interpatient": DS2,
}


SPLIT_SEED = 0  # of the groups of patients that baselines are fitted without


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Tested rows of a BeatSet, and those that a baseline which scores them may be fitted to."""

    fit: Ints
    test: Ints


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationSet:
    """The tested records and beats.

    ``references`` are those of the tested records, by name, in each recording's samples. ``test``
    are the tested rows of ``beats`` (found, labelled, usable), and ``folds`` their division for
    baselines. ``whole``: all beats of the tested records are tested; else only some of the normal
    ones are. ``patients`` says whose a recording is.

    ``left_out``: records of the database whose patients the model has seen, which are not tested.
    ``seen``: such that are tested all the same, because that was asked for. Not tested are
    ``paced`` (records with paced beats) and ``without_beats`` (no annotation in their signal is a
    beat's). ``missing``: records of the protocol that are not in the folder.
    ``by_patient``: the baselines are fitted to beats of tested patients, but of others each time.
    """

    beats: BeatSet
    references: Mapping[str, Reference]
    test: Ints
    folds: Sequence[Fold] = ()
    whole: bool = True
    left_out: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    paced: tuple[str, ...] = ()
    without_beats: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    patients: PatientRule = field(default=BY_PLACE)
    by_patient: bool = False

    @property
    def rows(self) -> Bools:
        """Which rows of ``beats`` are of tested records, labelled or not."""
        return self.beats.of([*self.references])


@dataclass(frozen=True, slots=True)
class Database:
    """A folder of annotated recordings, ``annotator`` being the suffix of their annotations.

    With ``include_seen`` the patients that a model has seen are tested, too. ``patients`` says
    whose a recording is.
    """

    folder: Path
    annotator: str = ANNOTATOR
    include_seen: bool = False
    patients: PatientRule = BY_PLACE

    @property
    def name(self) -> str:
        """What the folder is called."""
        return self.folder.resolve().name


def of_protocol(
    data: Path,
    protocol: Protocol,
    fold: int,
    seed: int,
    spec: PreprocessSpec,
    coefficients: AlarmCoefficients,
    bars: Progress | None = None,
) -> EvaluationSet:
    """The test set of ``protocol``; baselines are fitted to the normal beats not tested.

    Of ``interpatient`` those of its records are tested that are there; if none that is only learnt
    from is, baselines are fitted as in a database. The shuffled beats of ``beatgan`` are the same
    ones only where all records are there. Raises RecordError where a record is missing that is
    needed, or is unreadable.
    """
    names = splits.RECORDS_OF[protocol]
    there = names
    if protocol == "interpatient":
        there = tuple(name for name in names if beat_set.is_there(data, name))
        if not {*there} & {*DS2}:
            beat_set.locate(data, DS2[0])
    files = {name: beat_set.locate(data, name).with_suffix(".hea") for name in there}
    opened = dict(zip(files, open_all(files, spec, coefficients, ANNOTATOR, bars), strict=True))
    beats = join([each.beats for each in opened.values()])
    rows = splits.split(protocol, beats, fold, seed)
    held = rows.validation[beats.label[rows.validation] == "N"]
    fit = np.union1d(rows.train, held)
    references = _references(opened, TESTED[protocol])
    if not len(rows.test):
        raise UsageError(f"{data}: no annotated beat was found in {', '.join(references) or data}")
    return EvaluationSet(
        beats,
        references,
        test=rows.test,
        folds=[Fold(fit, rows.test)] if len(fit) else folds_by_patient(beats, rows.test, BY_PLACE),
        whole=protocol == "interpatient",
        without_beats=_without_beats(opened, TESTED[protocol]),
        missing=tuple(name for name in names if name not in files),
        by_patient=not len(fit),
    )


def of_database(
    database: Database,
    seen: Collection[str],
    spec: PreprocessSpec,
    coefficients: AlarmCoefficients,
    bars: Progress | None = None,
) -> EvaluationSet:
    """Every annotated recording of ``database``, but for patients whose records are in ``seen``.

    Records with paced beats are left out, as EC57 asks: there the pacemaker's beats are the usual
    ones, and would count as abnormal.

    Baselines are fitted to normal beats of its other patients. Raises UsageError
    where no recording is annotated, none is of a patient not seen, or no beat can be scored;
    RecordError naming every file that is unreadable.
    """
    files, rule = annotated(database), database.patients
    known = seen_among(files, seen, rule)
    tested = [name for name in files if database.include_seen or name not in known]
    if not tested:
        raise UsageError(
            f"{database.folder}: the model has seen every patient there ({', '.join(known)}); "
            "--include-seen tests it on them all the same"
        )
    chosen = {name: files[name] for name in tested}
    opened = dict(
        zip(chosen, open_all(chosen, spec, coefficients, database.annotator, bars), strict=True)
    )
    without = _without_beats(opened, tested)
    if len(without) == len(tested):
        raise UsageError(
            f"{database.folder}: no annotation .{database.annotator} is a beat's and lies in its "
            f"signal ({', '.join(without)})"
        )
    references = _references(opened, tested)
    paced = tuple(sorted(name for name, each in references.items() if each.paced))
    references = {name: each for name, each in references.items() if name not in paced}
    parts = [opened[name].beats for name in references]
    if not any((part.usable & (part.label != "")).any() for part in parts):
        raise UsageError(f"{database.folder}: no annotated beat was found in all that is not paced")
    beats = join(parts)
    test = np.flatnonzero(beats.usable & (beats.label != ""))
    return EvaluationSet(
        beats,
        references,
        test=test,
        folds=folds_by_patient(beats, test, rule),
        left_out=() if database.include_seen else known,
        seen=known if database.include_seen else (),
        paced=paced,
        without_beats=without,
        patients=rule,
        by_patient=True,
    )


def folds_by_patient(beats: BeatSet, test: Ints, rule: PatientRule) -> list[Fold]:
    """The rows ``test`` by groups of patients; each is fitted to the normal beats of the others.

    Of one patient alone there is nothing to fit to.
    """
    whose = np.array([rule.of(name) for name in beats.records])[beats.record]
    folds = []
    for group in groups_of(whose[test].tolist(), splits.FOLDS, SPLIT_SEED):
        inside = np.isin(whose, group)
        folds.append(Fold(np.flatnonzero(beats.normal & ~inside), test[inside[test]]))
    return folds


def annotated(database: Database) -> dict[str, Path]:
    """The recordings that have an annotation file beside them, by name."""
    suffix = database.annotator
    files = {n: file for n, file in find(database.folder).items() if is_annotated(file, suffix)}
    if not files:
        raise UsageError(
            f"{database.folder}: no recording has an annotation file .{suffix} beside it"
        )
    return files


def _references(
    opened: Mapping[str, LabelledRecording], names: Sequence[str]
) -> dict[str, Reference]:
    """The references of those of ``names`` that have one with beats."""
    found = {name: opened[name].reference for name in names if name in opened}
    return {name: each for name, each in found.items() if each is not None}


def _without_beats(
    opened: Mapping[str, LabelledRecording], names: Sequence[str]
) -> tuple[str, ...]:
    return tuple(name for name in names if name in opened and opened[name].reference is None)
