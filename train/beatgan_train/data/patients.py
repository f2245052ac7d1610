"""Whose each recording is, told by its name: by a table, by a pattern, or by where it lies.

Several recordings of one patient must never be on both sides of a division. Opens nothing but the
table; looks into no recording.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from beatgan.errors import UsageError
from beatgan_train.data.recordings import patient_in_database

HEAD = ["record", "patient"]  # of a table's columns


@dataclass(frozen=True, slots=True)
class PatientRule:
    """Whose a recording is.

    ``table`` has each recording's patient by the recording's name ("p7.edf", "p8/night1").
    ``pattern`` is searched for in the name; its one group is the patient. Without either all the
    files in one folder are of one patient, and a file in none is one; of the MIT-BIH databases it
    is known which records are of one person.
    """

    table: Mapping[str, str] = field(default_factory=dict)
    pattern: re.Pattern[str] | None = None

    def of(self, name: str) -> str:
        """The patient of the recording ``name``; UsageError where the rule does not say."""
        if found := self.find(name):
            return found
        if self.table:
            raise UsageError(f"--patients: the table does not say whose recording {name} is")
        raise UsageError(f"--patient-pattern: it does not say whose recording {name} is")

    def find(self, name: str) -> str | None:
        """The same; None where the rule does not say."""
        if self.table:
            return self.table.get(name)
        if self.pattern is None:
            return patient_in_database(name)
        found = self.pattern.search(name)
        return found[1] if found else None

    @property
    def words(self) -> str:
        """How patients are told apart, for a report."""
        if self.table:
            return "told by the table of --patients"
        if self.pattern:
            return f"told by --patient-pattern {self.pattern.pattern!r}"
        return "a folder is a patient, and so is a recording in none"


BY_PLACE = PatientRule()


def patient_rule(table: Path | None, pattern: str | None) -> PatientRule:
    """The rule that a command line states; UsageError where it states none that can be used."""
    if table is not None and pattern is not None:
        raise UsageError("--patients or --patient-pattern, not both")
    if table is not None:
        return PatientRule(table=read_patients(table))
    if pattern is None:
        return BY_PLACE
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--patient-pattern {pattern!r}: {error}") from error
    if compiled.groups != 1:
        raise UsageError(
            f"--patient-pattern {pattern!r} has {compiled.groups} groups (...); the patient is "
            "what its one group finds in a recording's name, such as '^([^_]+)_'"
        )
    return PatientRule(pattern=compiled)


def read_patients(file: Path) -> dict[str, str]:
    """Each recording's patient, from a CSV file with the columns ``record`` and ``patient``.

    Raises UsageError naming the line that is none.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            return _table(file, csv.reader(lines))
    except OSError as error:
        raise UsageError(f"--patients: {file}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"--patients: {file} is no CSV file ({error})") from error


def groups_of(patients: Iterable[str], count: int, seed: int) -> list[list[str]]:
    """The ``patients`` in ``count`` groups drawn by ``seed``; in fewer where they are fewer."""
    order = np.random.default_rng(seed).permutation(sorted({*patients})).tolist()
    return [order[k::count] for k in range(min(count, len(order)))]


def seen_among(names: Iterable[str], seen: Iterable[str], rule: PatientRule) -> tuple[str, ...]:
    """Those of the recordings ``names`` whose patients a model has ``seen``, sorted.

    Each of ``seen`` is named alone or with its folder before it. A record in a folder is of the
    folder's patient, or of a database of that name, so it counts as both; and whatever ``rule``
    says, a recording named as a seen one is of a patient who was seen.
    """
    both = {part for name in seen for part in (name, PurePosixPath(name).name)}
    by_name = {patient_in_database(name) for name in both}
    by_rule = {rule.find(name) for name in both} - {None}
    return tuple(
        sorted(
            name
            for name in names
            if patient_in_database(name) in by_name or rule.of(name) in by_rule
        )
    )


def _table(file: Path, rows: Iterable[Sequence[str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        cells = [cell.strip() for cell in row]
        if number == 1:
            if cells != HEAD:
                raise UsageError(f"--patients: {file}: line 1 must be {','.join(HEAD)}")
        elif cells:
            if len(cells) != len(HEAD) or not all(cells):
                raise UsageError(f"--patients: {file}: line {number} is not {','.join(HEAD)}")
            record, patient = cells
            if found.setdefault(record, patient) != patient:
                raise UsageError(
                    f"--patients: {file}: line {number} gives {record} a second patient"
                )
    if not found:
        raise UsageError(f"--patients: {file} names no recording")
    return found
