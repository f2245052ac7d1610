"""What a model is tested on: the test set of a protocol, or any annotated database.

Knows which records and beats these are; knows no score.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from rich.progress import Progress

from beatgan.coefficients import AlarmCoefficients
from beatgan.ec57.annotations import ANNOTATOR, Reference, read_reference
from beatgan.errors import UsageError
from beatgan.spec import PreprocessSpec
from beatgan.types import Bools, Ints
from beatgan_train.data import beat_set, splits
from beatgan_train.data.beat_set import BeatSet, join
from beatgan_train.data.labelled_recordings import is_annotated, open_all
from beatgan_train.data.mitdb import DS2
from beatgan_train.data.recordings import find, patient_in_database
from beatgan_train.data.source import Protocol

TESTED: dict[Protocol, tuple[str, ...]] = {
    "beatgan": splits.RECORDS_OF["beatgan"],
    "interpatient": DS2,
}


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationSet:
    """The tested records and beats.

    ``references`` are those of the tested records, by name, in each recording's samples. ``test``
    and ``fit`` are rows of ``beats``: those tested (found, labelled, usable), and those that
    baselines are fitted to. ``whole``: all beats of the tested records are tested; else only some
    of the normal ones are.

    ``left_out``: records of the database whose patients the model has seen, which are not tested.
    ``seen``: such that are tested all the same, because that was asked for. ``paced``: records with
    paced beats, which are not tested either.
    """

    beats: BeatSet
    references: Mapping[str, Reference]
    test: Ints
    fit: Ints
    whole: bool = True
    left_out: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    paced: tuple[str, ...] = ()

    @property
    def rows(self) -> Bools:
        """Which rows of ``beats`` are of tested records, labelled or not."""
        return self.beats.of([*self.references])


@dataclass(frozen=True, slots=True)
class Database:
    """A folder of annotated recordings, ``annotator`` being the suffix of their annotations.

    With ``include_seen`` the patients that a model has seen are tested, too.
    """

    folder: Path
    annotator: str = ANNOTATOR
    include_seen: bool = False

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
    """The test set of ``protocol``; baselines are fitted to the normal beats not tested."""
    beats = beat_set.load(data, splits.RECORDS_OF[protocol], spec, coefficients, bars)
    rows = splits.split(protocol, beats, fold, seed)
    held = rows.validation[beats.label[rows.validation] == "N"]
    return EvaluationSet(
        beats,
        {name: read_reference(beat_set.locate(data, name)) for name in TESTED[protocol]},
        test=rows.test,
        fit=np.union1d(rows.train, held),
        whole=protocol == "interpatient",
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

    Baselines are fitted to its own normal beats: others need not be at hand. Raises UsageError
    where no recording is annotated, none is of a patient not seen, or no beat can be scored;
    RecordError naming every file that is unreadable.
    """
    files, annotator = _annotated(database), database.annotator
    known = tuple(sorted(name for name in files if patient_in_database(name) in _patients(seen)))
    tested = [name for name in files if database.include_seen or name not in known]
    if not tested:
        raise UsageError(
            f"{database.folder}: the model has seen every patient there ({', '.join(known)}); "
            "--include-seen tests it on them all the same"
        )
    chosen = {name: files[name] for name in tested}
    opened = dict(zip(chosen, open_all(chosen, spec, coefficients, annotator, bars), strict=True))
    references = {name: each.reference for name, each in opened.items() if each.reference}
    paced = tuple(sorted(name for name, each in references.items() if each.paced))
    references = {name: each for name, each in references.items() if name not in paced}
    parts = [opened[name].beats for name in references]
    if not any((part.usable & (part.label != "")).any() for part in parts):
        raise UsageError(f"{database.folder}: no annotated beat was found in all that is not paced")
    beats = join(parts)
    return EvaluationSet(
        beats,
        references,
        test=np.flatnonzero(beats.usable & (beats.label != "")),
        fit=np.flatnonzero(beats.normal),
        left_out=() if database.include_seen else known,
        seen=known if database.include_seen else (),
        paced=paced,
    )


def _annotated(database: Database) -> dict[str, Path]:
    """The recordings that have an annotation file beside them, by name."""
    suffix = database.annotator
    files = {n: file for n, file in find(database.folder).items() if is_annotated(file, suffix)}
    if not files:
        raise UsageError(
            f"{database.folder}: no recording has an annotation file .{suffix} beside it"
        )
    return files


def _patients(records: Iterable[str]) -> set[str]:
    """Whose ``records`` are, each named alone or with its folder before it.

    A record in a folder is of the folder's patient, or of a database of that name: so it counts
    as both.
    """
    alone = {PurePosixPath(name).name for name in records}
    return {patient_in_database(name) for name in (*records, *alone)}
