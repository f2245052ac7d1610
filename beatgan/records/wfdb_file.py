"""WFDB records (PhysioNet), single and multi-segment. Knows nothing of the other formats."""

from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from beatgan.errors import RecordError
from beatgan.records import wfdb_header
from beatgan.records.recording import (
    Recording,
    Signal,
    assemble,
    check_lost,
    faults_of,
    in_millivolt,
    nanoseconds,
)
from beatgan.records.wfdb_header import FORMATS, Header
from beatgan.types import Floats

FLAC_RATIO = 1000  # samples a byte of a compressed file stands for at the most


def read(path: Path) -> Recording:
    """The record at ``path``, with or without ``.hea``.

    A gain of 0 or none means, by WFDB's convention, 200 steps a millivolt. Segments in another unit
    of voltage are converted; segments of another rate are refused.
    """
    base, header_file = _place(path)
    if not header_file.is_file():
        raise RecordError(f"{base}: no such record (there is no {header_file.name} beside it)")
    said = wfdb_header.read(header_file)
    segments = _segment_headers(header_file, said)
    with faults_of(header_file, "wfdb"):
        header = _header(base)
        _take_units(header, said, segments)
        signals = _signals(header)
        _check_files(base.parent, header)
        _check_lengths(header_file, header, said)
        start = header.base_datetime

    def samples(chosen: list[int]) -> list[Floats]:
        with faults_of(header_file, "wfdb"):
            return _samples(header_file, header, chosen)

    start_ns = nanoseconds(start) if start else 0
    return assemble(header_file, signals, samples, start_ns, format="WFDB")


def is_record(path: Path) -> bool:
    """Whether ``path``, with or without ``.hea``, names a record."""
    return _place(path)[1].is_file()


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
        for file in (header.parent / name for name in names if Path(name).name):
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


def _segment_headers(header_file: Path, said: Header) -> dict[str, Header]:
    """What the segments' headers say, by name. Raises RecordError where it does not fit."""
    found = {}
    for name in {name for name, _ in said.segments if name != "~"}:
        file = header_file.with_name(f"{name}.hea")
        if not file.is_file():
            raise RecordError(f"{header_file}: segment {name} is missing, there is no {file.name}")
        found[name] = its = wfdb_header.read(file)
        if its.segments:
            raise RecordError(f"{header_file}: segment {name} has segments itself")
        if its.fs != said.fs:
            raise RecordError(
                f"{header_file}: segment {name} has {its.fs:g} Hz, the record {said.fs:g} Hz"
            )
    return found


def _take_units(header: Any, said: Header, segments: dict[str, Header]) -> None:
    """Put the units as the headers spell them in place of wfdb's."""
    if not said.segments:
        header.units = [unit or "mV" for unit in said.units]
        return
    for (name, _), segment in zip(said.segments, header.segments, strict=True):
        if segment is not None:
            segment.units = [unit or "mV" for unit in segments[name].units]


def _signals(header: Any) -> list[Signal]:
    """A variable-layout record lists all its signals in its first, empty segment."""
    first = _segments(header)[0]
    names, units = first.sig_name or [], first.units or []
    per_frame = first.samps_per_frame or []
    return [
        Signal(name or f"signal {i}", unit, float(header.fs) * (count or 1))
        for i, (name, unit, count) in enumerate(zip(names, units, per_frame, strict=True))
    ]


def _samples(header_file: Path, header: Any, chosen: list[int]) -> list[Floats]:
    """The chosen signals, in the first segment's units; NaN where a segment lacks one."""
    if not hasattr(header, "segments"):
        return _read(header_file.with_suffix(""), chosen)
    first = _segments(header)[0]
    length = sum(header.seg_len)
    columns = [np.full(length * first.samps_per_frame[i], np.nan, np.float32) for i in chosen]
    at = 0
    for name, frames, segment in zip(header.seg_name, header.seg_len, header.segments, strict=True):
        if segment is not None and frames:
            there = _present(header_file, first, segment, chosen)
            base = header_file.with_name(name)
            found = _read(base, [index for index, _ in there.values()]) if there else []
            for (k, (_, factor)), column in zip(there.items(), found, strict=True):
                start = at * first.samps_per_frame[chosen[k]]
                columns[k][start : start + len(column)] = column * np.float32(factor)
        at += frames
    return columns


def _present(
    header_file: Path, first: Any, segment: Any, chosen: list[int]
) -> dict[int, tuple[int, float]]:
    """Which of the ``chosen`` signals a segment has, and what turns its unit into the record's.

    Position among the chosen -> index in the segment, factor.
    """
    there = {}
    same = segment.sig_name == first.sig_name
    for k, i in enumerate(chosen):
        name = first.sig_name[i]
        if not (same or name in segment.sig_name):
            continue
        j = i if same else segment.sig_name.index(name)
        if segment.samps_per_frame[j] != first.samps_per_frame[i]:
            raise RecordError(f"{header_file}: {name} changes its rate in {segment.record_name}")
        there[k] = j, _factor(header_file, name, segment, segment.units[j], first.units[i])
    return there


def _factor(header_file: Path, name: str, segment: Any, unit: str, wanted: str) -> float:
    if unit == wanted:
        return 1.0
    found, expected = in_millivolt(unit), in_millivolt(wanted)
    if found is None or expected is None:
        raise RecordError(
            f"{header_file}: {name} changes its unit in {segment.record_name}, "
            f"from {wanted} to {unit}"
        )
    return found / expected


def _read(base: Path, channels: list[int]) -> list[Floats]:
    """Every sample at its own rate: wfdb would otherwise average fast leads down to frames."""
    import wfdb

    record = wfdb.rdrecord(str(base), channels=channels, smooth_frames=False, return_res=32)
    columns: list[Floats] = record.e_p_signal
    return columns


def _check_lengths(header_file: Path, header: Any, said: Header) -> None:
    """Say plainly where lengths do not fit together, or would fill the memory with nothing."""
    if said.length == 0:
        raise RecordError(f"{header_file}: the header says that the record is 0 samples long")
    if not said.segments:
        return
    total = sum(length for _, length in said.segments)
    if said.length not in (None, total):
        raise RecordError(
            f"{header_file}: the record is {said.length} samples long, its segments {total}"
        )
    for (name, length), segment in zip(said.segments, header.segments, strict=True):
        if segment is not None and length and segment.sig_len not in (None, length):
            raise RecordError(
                f"{header_file}: segment {name} is said to be {length} samples long, "
                f"its own header says {segment.sig_len}"
            )
    per_frame = sum(count or 1 for count in _segments(header)[0].samps_per_frame or [])
    lost = sum(n for (_, n), s in zip(said.segments, header.segments, strict=True) if s is None)
    check_lost(header_file, lost, per_frame, said.fs)


def _check_files(folder: Path, header: Any) -> None:
    """Say plainly what wfdb would say in terms of array shapes: a signal file missing or short."""
    for segment in _segments(header):
        expected: dict[str, float] = {}
        layout = zip(
            segment.file_name or [],
            segment.fmt or [],
            segment.samps_per_frame or [],
            segment.byte_offset or [],
            segment.skew or [],
            strict=True,
        )
        for name, fmt, per_frame, offset, skew in layout:
            length = segment.sig_len or 0
            if (skew or 0) > length > 0:
                raise RecordError(f"{folder / name}: a skew of {skew} in {length} samples")
            if name == "~" and length:
                raise RecordError(
                    f"{folder / segment.record_name}: a signal of {length} samples without a file"
                )
            size = FORMATS[fmt]
            bytes_ = length * (per_frame or 1) * (1 / FLAC_RATIO if size is None else size)
            expected[name] = expected.get(name, offset or 0) + bytes_
        for name, total in expected.items():
            _check_file(folder / name, ceil(total))


def _check_file(file: Path, expected: int) -> None:
    if file.name == "~":  # no file stands behind this signal
        return
    if not file.is_file():
        raise RecordError(f"{file}: the signal file is missing")
    if (size := file.stat().st_size) < expected:
        raise RecordError(f"{file}: cut short, {size} of the {expected} bytes its header promises")
