"""EDF, EDF+ and BDF files. Knows nothing of the other formats."""

from dataclasses import replace
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from beatgan.records import edf_header
from beatgan.records.edf_header import Layout
from beatgan.records.recording import (
    Recording,
    Signal,
    assemble,
    check_lost,
    faults_of,
    nanoseconds,
)
from beatgan.types import Doubles, Floats

if TYPE_CHECKING:
    from edfio import Bdf, Edf


def read(path: Path) -> Recording:
    """The EDF or BDF file at ``path``; the pauses of an interrupted one are lost samples."""
    with faults_of(path, "edfio"):
        layout = edf_header.read(path)
        surplus = edf_header.surplus(path, layout)
        onsets = edf_header.onsets(path, layout)
        edf = _opened(path, layout, surplus)
        signals = [Signal(s.label, s.physical_dimension, s.sampling_frequency) for s in edf.signals]
        start = _start(edf)

    def samples(chosen: list[int]) -> list[Floats]:
        with faults_of(path, "edfio"):
            columns = [edf.signals[i].data.astype(np.float32) for i in chosen]
            if onsets is None:
                return columns
            rates = [signals[i].fs for i in chosen]
            _check_pauses(path, layout, onsets, rates)
            return [_spread(*each, onsets) for each in zip(columns, rates, strict=True)]

    start_ns = nanoseconds(start) if start else 0
    kind = ("EDF" if layout.sample == 2 else "BDF") + _variant(layout)
    recording = assemble(path, signals, samples, start_ns, format=kind)
    if not surplus:
        return recording
    junk = f"{surplus} bytes behind the last data record"
    return replace(recording, left_out=(*recording.left_out, junk))


def _opened(path: Path, layout: Layout, surplus: int) -> "Edf | Bdf":
    from edfio import read_bdf, read_edf

    # Without what is too much, which edfio takes for data records. The sign for micro is no ASCII.
    whole = BytesIO(path.read_bytes()[:-surplus]) if surplus else path
    if layout.sample == 3:
        return read_bdf(whole)
    return read_edf(whole)


def _variant(layout: Layout) -> str:
    if layout.onsets is None:
        return ""
    return "+D" if layout.interrupted else "+"


def _check_pauses(path: Path, layout: Layout, onsets: Doubles, rates: list[float]) -> None:
    paused_s = onsets[-1] - (len(onsets) - 1) * layout.duration_s
    check_lost(path, paused_s * max(rates), len(rates), max(rates))


def _spread(column: Floats, fs: float, onsets: Doubles) -> Floats:
    """``column``, one data record after another, laid out in time; NaN between them."""
    records = column.reshape(len(onsets), -1)
    first = np.rint(onsets * fs).astype(np.int64)
    spread = np.full(int(first[-1]) + records.shape[1], np.nan, np.float32)
    for start, record in zip(first, records, strict=True):
        spread[start : start + len(record)] = record
    return spread


def _start(edf: "Edf | Bdf") -> datetime | None:
    """When the recording began; None where the date was removed or is EDF's stand-in for none."""
    from edfio import AnonymizedDateError

    try:
        start = datetime.combine(edf.startdate, edf.starttime)
    except AnonymizedDateError:
        return None
    return start if start.date() != datetime(1985, 1, 1).date() else None
