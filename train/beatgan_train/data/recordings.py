"""Which recordings lie under a folder, and whose they are. Opens nothing but WFDB headers."""

from pathlib import Path, PurePosixPath

from beatgan.errors import RecordError, UsageError
from beatgan_train.data.mitdb import PATIENT_OF

SUFFIXES = (".hea", ".edf", ".csv")


def find(data: Path) -> dict[str, Path]:
    """The recordings (WFDB, EDF, CSV) in ``data`` and in its folders, by name, sorted.

    A name is the path from ``data``, without ``.hea``: "p7.edf", "p8/night1". Segments of a WFDB
    record are no recordings of their own. Raises UsageError where there is none, RecordError on a
    header that cannot be read.
    """
    files = [f for f in [*data.glob("*"), *data.glob("*/*")] if f.suffix.lower() in SUFFIXES]
    segments = {path for file in files for path in _segments(file)}
    found = {_name(file.relative_to(data)): file for file in sorted(files) if file not in segments}
    if not found:
        raise UsageError(f"{data}: no recording ({', '.join(SUFFIXES)}) there or in its folders")
    return found


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


def _name(path: Path) -> str:
    return (path.with_suffix("") if path.suffix == ".hea" else path).as_posix()


def _segments(file: Path) -> list[Path]:
    """The headers of the segments that a multi-segment WFDB header names."""
    if file.suffix != ".hea":
        return []
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise RecordError(f"{file}: {error.strerror}") from error
    lines = [words for line in text.splitlines() if (words := line.partition("#")[0].split())]
    if not lines or "/" not in lines[0][0]:
        return []
    return [file.with_name(f"{words[0]}.hea") for words in lines[1:]]
