"""The core's one room that may open files: a recording on disk becomes an array in millivolt.

Only the shells import it. It knows file formats; it knows nothing of beats, models or streams.
"""

from pathlib import Path

from beatgan.errors import RecordError
from beatgan.records import csv_file, edf_file, excerpt, wfdb_file
from beatgan.records.excerpt import SAMPLE
from beatgan.records.recording import Recording, only

__all__ = ["SAMPLE", "RecordError", "Recording", "files_of", "only", "read_recording"]


def read_recording(path: str | Path) -> Recording:
    """The ECG leads of one recording, in millivolt.

    ``path`` names, by its ending, an EDF file (``.edf``), a CSV file (``.csv``; for its layout see
    ``beatgan.records.csv_file``) or else a WFDB record (with or without ``.hea``).
    `SAMPLE` stands for five minutes of ECG that this package brings.

    Signals that are no voltage, or that name themselves as something else than ECG (EEG, RESP,
    ABP ...), are left out, and so are leads without one valid sample, leads that never change and
    leads slower than the fastest; ``Recording.left_out`` lists them. A lead named as an ECG whose
    unit is no voltage ("nu", "adu", none) is scaled to an ECG's usual size; ``Recording.scaled``
    lists those. Leads bear their bare names: "modified lead II" is MLII. A sample marked as
    invalid becomes NaN.

    Raises RecordError, which names the file and what is wrong with it: missing, unreadable, cut
    short, no usable ECG lead, or a reader (an extra of this package) not installed.
    """
    if str(path) == SAMPLE:
        return excerpt.read(SAMPLE).recording
    path = Path(path)
    readers = {".edf": edf_file.read, ".csv": csv_file.read}
    return readers.get(path.suffix.lower(), wfdb_file.read)(path)


def files_of(path: str | Path) -> list[Path]:
    """The files that `read_recording` reads for ``path``, as far as they are there; none is opened
    but a WFDB record's headers. Raises nothing."""
    path = Path(path)
    if str(path) == SAMPLE:
        return []
    return [path] if path.suffix.lower() in (".edf", ".csv") else wfdb_file.files_of(path)
