"""The recordings that timing and classes are learnt from: of several databases, by patient.

DS1 of the MIT-BIH Arrhythmia Database and the MIT-BIH Supraventricular Arrhythmia Database, every
beat of which is labelled, and normal recordings of the PhysioNet/CinC Challenge 2017, whose beats
count as normal. Of these every second is left for tests. DS2 is in none of it.
"""

import csv
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.progress import Progress

from beatgan.coefficients import AlarmCoefficients
from beatgan.ec57.annotations import NO_BEATS, read_reference
from beatgan.errors import RecordError, UsageError
from beatgan.records import read_recording
from beatgan.spec import PreprocessSpec
from beatgan.types import Bools, Ints
from beatgan_train.data.beat_set import BeatSet, beat_set, beats_of, join
from beatgan_train.data.mitdb import DS1
from beatgan_train.data.reading import ForEach, in_turn, read_each

MITDB, SVDB, CINC2017 = "mitdb", "svdb", "cinc2017"
DATABASES = (MITDB, SVDB, CINC2017)
HOW_TO_GET = {
    MITDB: "beatgan-train fetch mitdb",
    SVDB: "beatgan-train fetch svdb",
    CINC2017: "put there the training set of beatgan-train fetch challenge-2017",
}
LABELLED_DATABASES = (MITDB, SVDB)  # those that have beats of every class


@dataclass(frozen=True, slots=True, eq=False)
class DevelopmentSet:
    """Beats of several databases; those of `CINC2017` are labelled N by their recording.

    ``beats.records`` are `DATABASE/RECORD`.
    """

    beats: BeatSet

    @property
    def database(self) -> "np.ndarray[tuple[int], np.dtype[np.str_]]":
        """The database of each beat, (n,)."""
        names = np.array([record.partition("/")[0] for record in self.beats.records])
        return np.asarray(names[self.beats.record])

    @property
    def databases(self) -> tuple[str, ...]:
        """Those that there are beats of."""
        found = {record.partition("/")[0] for record in self.beats.records}
        return tuple(name for name in DATABASES if name in found)

    def folds(self, count: int, seed: int) -> list[Bools]:
        """Whether each beat (n,) is of a patient of the group, for each of ``count`` groups.

        Of each database as many patients, but for one, are in every group. A record is a patient.
        """
        group = np.empty(len(self.beats.records), np.int64)
        for database in self.databases:
            prefix = f"{database}/"
            own = [i for i, name in enumerate(self.beats.records) if name.startswith(prefix)]
            order = np.random.default_rng(seed).permutation(own)
            group[order] = np.arange(len(order)) % count
        return [group[self.beats.record] == k for k in range(count)]


def load(
    data: Path,
    databases: Collection[str],
    spec: PreprocessSpec,
    coefficients: AlarmCoefficients,
    progress: Progress | None = None,
    for_each: ForEach = in_turn,
) -> DevelopmentSet:
    """The beats of these ``databases``, each a folder of ``data``, by the daemon's own front end.

    Raises UsageError on an unknown database or where none is left, RecordError on what is missing
    or unreadable.
    """
    if unknown := sorted({*databases} - {*DATABASES}):
        raise UsageError(
            f"no database {unknown[0]!r} to learn from: there are {_listed(DATABASES)}"
        )
    if not {*databases} & {*LABELLED_DATABASES}:
        raise UsageError(f"nothing to learn classes from: of {_listed(LABELLED_DATABASES)} is none")
    files = [data / name / record for name in databases for record in _records(data / name)]
    return DevelopmentSet(_all(files, spec, coefficients, progress, for_each))


def handheld_normals(folder: Path) -> list[str]:
    """The recordings of normal rhythm of the Challenge 2017 in ``folder``, in order, each once.

    The even ones are learnt from, the odd ones are left for tests. Raises RecordError where the
    list of rhythms is missing, is none or names no such recording.
    """
    file = folder / "REFERENCE.csv"
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = [row for row in csv.reader(lines) if row]
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{file}: {getattr(error, 'strerror', None) or error}") from error
    if any(len(row) < 2 for row in rows):
        raise RecordError(f"{file}: expected RECORD,RHYTHM in every line")
    if not (normal := sorted({row[0] for row in rows if row[1] == "N"})):
        raise RecordError(f"{file}: no recording of normal rhythm, RECORD,N")
    return normal


def load_handheld(
    data: Path,
    records: Sequence[str],
    spec: PreprocessSpec,
    coefficients: AlarmCoefficients,
    progress: Progress | None = None,
) -> BeatSet:
    """The beats of these normal ``records`` of the Challenge 2017, labelled N where usable."""
    return _all([data / CINC2017 / name for name in records], spec, coefficients, progress)


def _all(
    files: Sequence[Path],
    spec: PreprocessSpec,
    coefficients: AlarmCoefficients,
    progress: Progress | None,
    for_each: ForEach = in_turn,
) -> BeatSet:
    def one(file: Path) -> BeatSet:
        return _one(file, spec, coefficients)

    return join(read_each(one, files, progress, for_each))


def _records(folder: Path) -> Sequence[str]:
    """The records of one database that are learnt from."""
    if not folder.is_dir():
        raise RecordError(f"{folder}: no such folder; {HOW_TO_GET[folder.name]}")
    if folder.name == MITDB:
        return DS1
    if folder.name == CINC2017:
        return handheld_normals(folder)[::2]
    if not (names := sorted(file.stem for file in folder.glob("*.atr"))):
        raise RecordError(f"{folder}: no annotated record (.atr) there")
    return names


def _one(file: Path, spec: PreprocessSpec, coefficients: AlarmCoefficients) -> BeatSet:
    """The beats of one recording, labelled."""
    name = f"{file.parent.name}/{file.name}"
    beats = beats_of(read_recording(file), spec, coefficients)
    if file.parent.name != CINC2017:
        return beat_set(name, beats, read_reference(file), spec)
    found = beat_set(name, beats, NO_BEATS, spec)
    return replace(found, label=np.where(found.usable, "N", ""))


def next_rr_ms(beats: BeatSet, within_s: float) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """The RR interval to each beat's next one (n,), NaN where it is unknown or longer."""
    following = np.full(len(beats), np.nan)
    same = np.equal(beats.record[1:], beats.record[:-1])
    following[:-1] = np.where(same, beats.rr_ms[1:], np.nan)
    following[following > 1000 * within_s] = np.nan
    return following


def rows_of(mask: Bools) -> Ints:
    """The numbers of the rows in ``mask``."""
    return np.flatnonzero(mask).astype(np.int64)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
