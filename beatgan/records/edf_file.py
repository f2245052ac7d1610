"""EDF and EDF+ files. Knows nothing of the other formats."""

from datetime import datetime
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
    with faults_of(path, "edfio"):
        from edfio import read_edf

        edf = read_edf(path)
        signals = [Signal(s.label, s.physical_dimension, s.sampling_frequency) for s in edf.signals]
        if not edf.is_continuous:
            raise RecordError(f"{path}: discontinuous EDF+ (EDF+D) is not supported")
        start = _start(edf)

    def samples(chosen: list[int]) -> list[Floats]:
        with faults_of(path, "edfio"):
            return [edf.signals[i].data.astype(np.float32) for i in chosen]

    return assemble(path, signals, samples, nanoseconds(start) if start else 0)


def _start(edf: "Edf") -> datetime | None:
    """When the recording began; None where the date was removed or is EDF's stand-in for none."""
    from edfio import AnonymizedDateError

    try:
        start = datetime.combine(edf.startdate, edf.starttime)
    except AnonymizedDateError:
        return None
    return start if start.date() != datetime(1985, 1, 1).date() else None
