"""ECG as comma-separated text. Knows nothing of the other formats.

The layout, by example::

    # fs=360 start=2026-01-31T12:00:00+00:00
    MLII,V5 (uV)
    -0.145,-65
    -0.150,

First come comment lines with ``fs`` (samples a second) and, if known, ``start`` (ISO 8601). Then
one line with the names of the leads, quoted or not, with a unit in brackets where it is not
millivolt. Then one line for each sample; an empty cell or ``nan`` is a lost sample. Where no ``fs``
is given, a first column named ``time`` tells the rate: evenly spaced, in seconds, or in
milliseconds if it is named ``time (ms)``.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path

import numpy as np

from beatgan.errors import RecordError
from beatgan.records.recording import Recording, Signal, assemble, faults_of, nanoseconds
from beatgan.types import Doubles, Floats

BLOCK = 65_536  # lines turned into an array at a time: bounds the memory that text takes
HEADING = re.compile(r"^(?P<name>.*?)\s*(?:[(\[](?P<unit>[^)\]]*)[)\]])?$")


def read(path: Path) -> Recording:
    """The CSV file at ``path``, laid out as this module's text says."""
    if not path.is_file():
        raise RecordError(f"{path}: no such file")
    with faults_of(path, "csv"), path.open(encoding="utf-8-sig") as lines:
        notes, heading, number = _head(path, lines)
        names = _names(path, heading, number)
        blocks = list(_blocks(path, lines, len(names), number))
    if not blocks:
        raise RecordError(f"{path}: no samples after the line of lead names")
    first = HEADING.match(names[0])
    has_time = bool(first and first["name"].casefold() == "time")
    unit = _seconds(path, first["unit"]) if first and has_time else 1.0
    time = np.concatenate([unit * b[:, 0] for b in blocks]) if has_time else None
    fs = _rate(path, notes, time)
    signals = [_signal(name, fs) for name in names[has_time:]]

    def samples(chosen: list[int]) -> list[Floats]:
        return [np.concatenate([b[:, i + has_time] for b in blocks], dtype="f4") for i in chosen]

    return assemble(path, signals, samples, _start(path, notes))


def _head(path: Path, lines: Iterator[str]) -> tuple[dict[str, str], str, int]:
    """The notes in the comments, the line of lead names, and how many lines were read."""
    notes: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if line.startswith("#"):
            notes |= dict(re.findall(r"(\w+)\s*=\s*(\S+)", line))
        elif line.strip():
            return notes, line, number
    raise RecordError(f"{path}: empty; expected a line of lead names and a line for each sample")


def _names(path: Path, heading: str, number: int) -> list[str]:
    """The cells of the line of lead names; a sample must not be taken for it and so be lost."""
    names = [cell.strip().strip("'\"").strip() for cell in heading.split(",")]
    if all(re.fullmatch(r"[-+.\d]*(e[-+]?\d+)?|nan", name, re.I) for name in names):
        raise RecordError(
            f"{path}: line {number} has no names of leads; expected a line like 'MLII,V5 (uV)'"
        )
    return names


def _seconds(path: Path, unit: str | None) -> float:
    """How many seconds a column of times counts in."""
    seconds = {"": 1.0, "s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3}
    try:
        return seconds[(unit or "").strip().casefold()]
    except KeyError:
        raise RecordError(f"{path}: times are in s or ms, not in {unit!r}") from None


def _blocks(path: Path, lines: Iterator[str], width: int, number: int) -> Iterator[Doubles]:
    """The samples, a block of lines at a time; double precision, for the times' sake."""
    while block := list(islice(lines, BLOCK)):
        rows = [
            _row(path, n, line, width) for n, line in enumerate(block, number + 1) if line.strip()
        ]
        number += len(block)
        yield np.array(rows, dtype=np.float64).reshape(-1, width)


def _row(path: Path, number: int, line: str, width: int) -> list[float]:
    cells = line.split(",")
    if len(cells) != width:
        raise RecordError(f"{path}: line {number} has {len(cells)} cells; expected {width}")
    try:
        return [float(cell) if cell.strip() else np.nan for cell in cells]
    except ValueError:
        raise RecordError(f"{path}: line {number} is not all numbers: {line.strip()!r}") from None


def _rate(path: Path, notes: dict[str, str], time: Doubles | None) -> float:
    """The rate in Hz, from the notes or from the column of times."""
    if "fs" in notes:
        try:
            return float(notes["fs"])
        except ValueError:
            raise RecordError(f"{path}: fs={notes['fs']} is not a number") from None
    if time is None or len(time) < 2:
        raise RecordError(f"{path}: no sampling rate; begin the file with a line like '# fs=360'")
    step = float(np.diff(time[[0, -1]])[0]) / (len(time) - 1)
    uneven = ~(np.abs(np.diff(time) - step) < 0.1 * step)  # true for a NaN too
    if uneven.any():
        where = int(np.flatnonzero(uneven)[0])
        raise RecordError(f"{path}: the times are not evenly spaced after {time[where]:g} s")
    return round(1 / step, 6)


def _signal(heading: str, fs: float) -> Signal:
    found = HEADING.match(heading)
    name, unit = (found["name"], found["unit"]) if found else (heading, None)
    return Signal(name, unit or "mV", fs)


def _start(path: Path, notes: dict[str, str]) -> int:
    try:
        return nanoseconds(datetime.fromisoformat(notes["start"])) if "start" in notes else 0
    except ValueError:
        raise RecordError(f"{path}: start={notes['start']} is no ISO 8601 time") from None
