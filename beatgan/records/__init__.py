"""The core's one room that may open files: a recording on disk becomes an array in millivolt.

Only the shells import it. It knows file formats; it knows nothing of beats, models or streams.
"""

from collections.abc import Callable
from pathlib import Path

from beatgan.errors import RecordError
from beatgan.records import (
    aecg_file,
    dicom_file,
    edf_file,
    excerpt,
    file_format,
    ishne_file,
    muse_file,
    sierra_file,
    text_file,
    wfdb_file,
)
from beatgan.records.excerpt import SAMPLE
from beatgan.records.recording import Recording, gaps, only
from beatgan.records.summary import summary

__all__ = [
    "SAMPLE",
    "RecordError",
    "Recording",
    "files_of",
    "gaps",
    "only",
    "read_recording",
    "summary",
]

READERS: dict[str, Callable[[Path], Recording]] = {
    "EDF": edf_file.read,
    "DICOM": dicom_file.read,
    "HL7 aECG": aecg_file.read,
    "Philips Sierra": sierra_file.read,
    "GE MUSE": muse_file.read,
    "ISHNE": ishne_file.read,
    "text": text_file.read,
}


def read_recording(path: str | Path) -> Recording:
    """The ECG leads of one recording, in millivolt.

    ``path`` names a file, whose content tells the format, or a WFDB record (with or without
    ``.hea``). docs/formats.md lists the formats. `SAMPLE` stands for five minutes of ECG that
    this package brings.

    Signals that are no voltage, or that name themselves as something else than ECG (EEG, RESP,
    ABP ...), are left out, and so are leads without one valid sample, leads that never change and
    leads slower than the fastest; ``Recording.left_out`` lists them. A lead named as an ECG whose
    unit is no voltage ("nu", "adu", none) is scaled to an ECG's usual size; ``Recording.scaled``
    lists those. Leads bear their bare names: "modified lead II" is MLII. A sample marked as
    invalid, and a hole in time, becomes NaN. `summary` tells in one line what was understood.

    Raises RecordError, which names the file and what is wrong with it: missing, unreadable, cut
    short, of another format, no usable ECG lead, something that would have to be guessed, or a
    reader (an extra of this package) not installed. It never quotes what a file says of a patient.
    """
    if str(path) == SAMPLE:
        return excerpt.read(SAMPLE).recording
    path = Path(path)
    return _reader(path)(path)


def files_of(path: str | Path) -> list[Path]:
    """The files that `read_recording` reads for ``path``, as far as they are there; none is opened
    but a WFDB record's headers. Raises nothing."""
    path = Path(path)
    if str(path) == SAMPLE:
        return []
    if _is_wfdb(path):
        return wfdb_file.files_of(path)
    return [path] if path.is_file() else []


def _is_wfdb(path: Path) -> bool:
    """Whether ``path`` names a WFDB record: a header, or a file's name without an ending."""
    if path.suffix == ".hea":
        return True
    return wfdb_file.is_record(path) and not (path.suffix and path.is_file())


def _reader(path: Path) -> Callable[[Path], Recording]:
    if _is_wfdb(path):
        return wfdb_file.read
    if path.is_dir():
        raise RecordError(f"{path}: is a folder; name a recording in it")
    if (
        path.is_file()
        and path.suffix.lower() == ".dat"
        and wfdb_file.is_record(path.with_suffix(""))
    ):
        raise RecordError(
            f"{path}: the signal file of a WFDB record; name the record, {path.with_suffix('')}"
        )
    if path.is_file():
        return READERS[file_format.of(path)]
    if path.exists():
        raise RecordError(f"{path}: is no regular file")
    if path.suffix:
        raise RecordError(f"{path}: no such file")
    return wfdb_file.read  # which says that there is no such record
