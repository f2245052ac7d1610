"""EDF and EDF+ files. Knows nothing of the other formats."""

from dataclasses import replace
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from beatgan.errors import RecordError
from beatgan.records.recording import Recording, Signal, assemble, faults_of, nanoseconds
from beatgan.types import Floats

if TYPE_CHECKING:
    from edfio import Edf


def read(path: Path) -> Recording:
    """The EDF file at ``path``; a discontinuous EDF+ (EDF+D) is refused, not joined up."""
    if not path.is_file():
        raise RecordError(f"{path}: no such file")
    surplus = _surplus(path)
    with faults_of(path, "edfio"):
        from edfio import read_edf

        # Without what is too much, which edfio takes for data records.
        edf = read_edf(BytesIO(path.read_bytes()[:-surplus]) if surplus else path)
        signals = [Signal(s.label, s.physical_dimension, s.sampling_frequency) for s in edf.signals]
        if not edf.is_continuous:
            raise RecordError(f"{path}: discontinuous EDF+ (EDF+D) is not supported")
        start = _start(edf)

    def samples(chosen: list[int]) -> list[Floats]:
        with faults_of(path, "edfio"):
            return [edf.signals[i].data.astype(np.float32) for i in chosen]

    recording = assemble(path, signals, samples, nanoseconds(start) if start else 0)
    if not surplus:
        return recording
    junk = f"{surplus} bytes behind the last data record"
    return replace(recording, left_out=(*recording.left_out, junk))


def _surplus(path: Path) -> int:
    """Bytes behind the last data record that the header promises.

    Raises RecordError where the file ends before that one's last sample: edfio reads what there is,
    which would pass for the whole recording. A header that makes no sense is left to it.
    """
    try:
        with path.open("rb") as file:
            size, header = path.stat().st_size, file.read(256)
            records, signals = int(header[236:244]), int(header[252:256])
            file.seek(256 + 216 * signals)
            counts = [int(file.read(8)) for _ in range(signals)]  # samples of each in a record
    except (ValueError, OSError):
        return 0
    if (length := 2 * sum(counts)) <= 0:
        return 0
    whole, rest = divmod(max(0, size - 256 * (1 + signals)), length)
    if records >= 0 and whole < records:
        missing = (records - whole) * max(counts) - rest * max(counts) // length
        raise RecordError(
            f"{path}: cut short: {whole} of {records} data records are there, "
            f"{missing} of {records * max(counts)} samples of a lead are missing"
        )
    if records < 0 and rest:  # one that was never finished does not say how long it is
        raise RecordError(
            f"{path}: cut short within data record {whole + 1}: {length - rest} bytes are missing"
        )
    if records < 0:
        return 0
    return (whole - records) * length + rest


def _start(edf: "Edf") -> datetime | None:
    """When the recording began; None where the date was removed or is EDF's stand-in for none."""
    from edfio import AnonymizedDateError

    try:
        start = datetime.combine(edf.startdate, edf.starttime)
    except AnonymizedDateError:
        return None
    return start if start.date() != datetime(1985, 1, 1).date() else None
