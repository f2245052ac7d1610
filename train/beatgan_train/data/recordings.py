"""Whose a recording is, by where it lies. Opens nothing but WFDB headers."""

from pathlib import Path, PurePosixPath

from beatgan.records.folder import recordings_in
from beatgan_train.data.mitdb import PATIENT_OF

SUFFIXES = (".hea", ".edf", ".csv")


def find(data: Path) -> dict[str, Path]:
    """The recordings that may be annotated (WFDB, EDF, CSV), see `recordings_in`."""
    return recordings_in(data, SUFFIXES)


def patient_of(name: str) -> str:
    """Whose recording it is: its folder's, or, where it lies in none, its own."""
    path = PurePosixPath(name)
    if len(path.parts) > 1:
        return path.parts[0]
    return path.stem if path.suffix.lower() in SUFFIXES else name


def patient_in_database(name: str) -> str:
    """The same, where the record may be one of the MIT-BIH databases', some of one patient.

    A record from elsewhere with such a name counts as theirs: whom a model has seen is never taken
    for new.
    """
    patient = patient_of(name)
    return PATIENT_OF.get(patient, patient)
