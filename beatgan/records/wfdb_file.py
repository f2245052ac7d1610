"""WFDB records (PhysioNet), single and multi-segment. Knows nothing of the other formats."""

from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from beatgan.errors import RecordError
from beatgan.records.recording import Recording, Signal, assemble, faults_of, nanoseconds
from beatgan.types import Floats

# Bytes a sample takes in the formats of fixed size (WFDB Applications Guide, signal(5)).
BYTES = {"8": 1, "80": 1, "16": 2, "61": 2, "160": 2, "24": 3, "32": 4, "212": 1.5}


def read(path: Path) -> Recording:
    """The record at ``path``, with or without ``.hea``.

    A gain of 0 or none means, by WFDB's convention, 200 steps a millivolt.
    """
    base, header_file = _place(path)
    if not header_file.is_file():
        raise RecordError(f"{base}: no such record (there is no {header_file.name} beside it)")
    with faults_of(header_file, "wfdb"):
        header = _header(base)
        signals = _signals(header)
        _check_files(base.parent, header)
        start = header.base_datetime

    def samples(chosen: list[int]) -> list[Floats]:
        with faults_of(header_file, "wfdb"):
            return _samples(base, header, chosen)

    return assemble(header_file, signals, samples, nanoseconds(start) if start else 0)


def files_of(path: Path) -> list[Path]:
    """The headers and signal files of the record at ``path`` that are there. Raises nothing."""
    header_file = _place(path)[1]
    found, headers = [], [header_file]
    for header in headers:  # grows by those of the segments
        try:
            lines = header.read_text("utf-8", "replace").splitlines()
        except OSError:
            continue
        found.append(header)
        names = {words[0] for words in map(str.split, lines) if words and words[0][0] != "#"}
        for file in (header.parent / name for name in names):
            if file.is_file():
                found.append(file)
            elif (segment := _place(file)[1]).is_file() and segment not in headers:
                headers.append(segment)
    return found


def _place(path: Path) -> tuple[Path, Path]:
    """The record's name, with its folder, and its header."""
    base = path.with_suffix("") if path.suffix == ".hea" else path
    return base, base.with_name(base.name + ".hea")


def _header(base: Path) -> Any:
    import wfdb

    return wfdb.rdheader(str(base), rd_segments=True)


def _segments(header: Any) -> list[Any]:
    """The single-segment headers of a record, in order; a gap between segments has none."""
    return [s for s in getattr(header, "segments", [header]) if s is not None]


def _signals(header: Any) -> list[Signal]:
    """A variable-layout record lists all its signals in its first, empty segment."""
    first = _segments(header)[0]
    names, units = first.sig_name or [], first.units or []
    per_frame = first.samps_per_frame or []
    return [
        Signal(name or f"signal {i}", unit or "mV", float(header.fs) * (count or 1))
        for i, (name, unit, count) in enumerate(zip(names, units, per_frame, strict=True))
    ]


def _samples(base: Path, header: Any, chosen: list[int]) -> list[Floats]:
    """The chosen signals, in their own units; NaN where a segment lacks one."""
    if not hasattr(header, "segments"):
        return _read(base, chosen)
    first = _segments(header)[0]
    columns = [
        np.full(header.sig_len * first.samps_per_frame[i], np.nan, np.float32) for i in chosen
    ]
    at = 0
    for name, length, segment in zip(header.seg_name, header.seg_len, header.segments, strict=True):
        if segment is not None and length:
            there = _present(first, segment, chosen)
            found = _read(base.with_name(name), list(there.values())) if there else []
            for k, column in zip(there, found, strict=True):
                start = at * first.samps_per_frame[chosen[k]]
                columns[k][start : start + len(column)] = column
        at += length
    return columns


def _present(first: Any, segment: Any, chosen: list[int]) -> dict[int, int]:
    """Which of the ``chosen`` signals a segment has: position among the chosen -> index there."""
    if segment.sig_name == first.sig_name:
        return dict(enumerate(chosen))
    there = {}
    for k, i in enumerate(chosen):
        if first.sig_name[i] in segment.sig_name:
            there[k] = j = segment.sig_name.index(first.sig_name[i])
            if segment.units[j] != first.units[i]:
                raise ValueError(f"{first.sig_name[i]} changes its unit in {segment.record_name}")
    return there


def _read(base: Path, channels: list[int]) -> list[Floats]:
    """Every sample at its own rate: wfdb would otherwise average fast leads down to frames."""
    import wfdb

    record = wfdb.rdrecord(str(base), channels=channels, smooth_frames=False, return_res=32)
    columns: list[Floats] = record.e_p_signal
    return columns


def _check_files(folder: Path, header: Any) -> None:
    """Say plainly what wfdb would say in terms of array shapes: a signal file missing or short."""
    for segment in _segments(header):
        expected: dict[str, float] = {}
        layout = zip(
            segment.file_name or [],
            segment.fmt or [],
            segment.samps_per_frame or [],
            segment.byte_offset or [],
            strict=True,
        )
        for name, fmt, per_frame, offset in layout:
            bytes_ = (segment.sig_len or 0) * (per_frame or 1) * BYTES.get(fmt, 0)
            expected[name] = expected.get(name, offset or 0) + bytes_
        for name, size in expected.items():
            _check_file(folder / name, ceil(size))


def _check_file(file: Path, expected: int) -> None:
    if file.name == "~":  # no file stands behind this signal
        return
    if not file.is_file():
        raise RecordError(f"{file}: the signal file is missing")
    if (size := file.stat().st_size) < expected:
        raise RecordError(f"{file}: cut short, {size} of the {expected} bytes its header promises")
