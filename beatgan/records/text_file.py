"""ECG as text: CSV with any delimiter, and what devices and programs export as text.

The plain layout, by example::

    # fs=360 start=2026-01-31T12:00:00+00:00
    MLII,V5 (uV)
    -0.145,-65
    -0.150,

First come comment lines with ``fs`` (samples a second) and, if known, ``start`` (ISO 8601). Then
one line with the names of the leads, quoted or not, with a unit in brackets where it is not
millivolt. Then one line for each sample; an empty cell, an empty line or ``nan`` is a lost sample.
A column of times is used: its holes are lost samples. What may differ from that, and how it is
told, is in docs/formats.md; the parts are `text_layout`, `text_table`, `text_header`, `time_axis`.
"""

from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beatgan.errors import RecordError
from beatgan.lead_names import is_lead
from beatgan.records import (
    apple_watch,
    counter,
    opensignals,
    text_header,
    text_layout,
    text_lines,
    text_table,
    time_axis,
    time_columns,
)
from beatgan.records.column_names import Column, column
from beatgan.records.recording import (
    UNCALIBRATED,
    Recording,
    Signal,
    assemble,
    check_lost,
    choose,
    median_swing,
)
from beatgan.records.text_header import Facts
from beatgan.records.text_layout import Layout
from beatgan.records.text_table import Table
from beatgan.records.time_axis import Axis
from beatgan.records.time_columns import Times
from beatgan.types import Doubles, Floats

HEAD = 4000  # lines from which the layout is told
ABOVE = 40  # lines at most that stand above a table, but for comments
SMALLEST_MV, LARGEST_MV = 0.005, 20.0  # a usual swing of an ECG in millivolt lies between
LEAST_COUNTS = 10.0  # a usual swing of whole numbers that is no millivolt
TAKEN = {"mV": "mV", "adu": "counts of a converter"}


def read(path: Path) -> Recording:
    """The text at ``path``. Raises RecordError on what is not understood, naming the line."""
    with text_lines.opened(path) as lines:
        head = list(islice(lines, HEAD))
        facts = _facts(path, head)
        layout = text_layout.find(path, head, facts.single)
        table = text_table.read(path, chain(head, lines), layout)
    columns = _columns(path, layout, facts, table)
    times = time_columns.find(path, layout, columns, table)
    return _recording(path, layout, facts, columns, table, times)


def _facts(path: Path, head: list[str]) -> Facts:
    """What stands above the table, in whichever way a device writes it."""
    comments = [line.strip().lstrip("#%/") for line in head if text_layout.is_comment(line)]
    above = _above([line for line in islice(head, ABOVE) if line.strip()])
    return (
        opensignals.facts(path, comments)
        or apple_watch.facts(path, above)
        or text_header.facts(path, comments, above)
    )


def _above(lines: list[str]) -> list[str]:
    """The lines ahead of the first that begins with a number."""
    for number, line in enumerate(lines):
        if line.strip()[:1] in "+-.0123456789":
            return lines[:number]
    return lines


def _columns(path: Path, layout: Layout, facts: Facts, table: Table) -> list[Column]:
    """What each column is, by its heading, else by what the header says, else by what is in it."""
    width = len(layout.kinds)
    names = layout.names or (facts.labels if len(facts.labels) == width else ())
    if not names:
        return _unnamed(path, layout, facts, table)
    columns = [column(name) for name in names]
    for k, unit in enumerate(layout.units):
        told = column(f"x [{unit}]").unit
        columns[k] = columns[k]._replace(unit=columns[k].unit or told)
    if facts.unit:
        columns = [c._replace(unit=c.unit or facts.unit) if _is_signal(c) else c for c in columns]
    for k, kind in enumerate(layout.kinds):
        if kind == "d":
            columns[k] = columns[k]._replace(kind="time", unit=None)
        elif kind == "t":
            columns[k] = columns[k]._replace(kind="text")
    return columns


def _is_signal(each: Column) -> bool:
    return each.kind == "signal"


def _unnamed(path: Path, layout: Layout, facts: Facts, table: Table) -> list[Column]:
    """The columns of a log without headings: one of values, perhaps one of times ahead of it."""
    value = Column("ECG", facts.unit, "signal")
    if len(layout.kinds) == 1:
        return [value]
    if len(layout.kinds) == 2 and layout.kinds[0] == "d":
        return [Column("time", None, "time"), value]
    if len(layout.kinds) == 2 and layout.kinds[0] == "n":
        first = table.cells[~table.empty, 0]
        if counter.counts_rows(first) and facts.fs is None:
            raise RecordError(
                f"{path}: line {layout.first + 1}: the first column counts by ones, samples or "
                "times; begin the table with a line like 'sample,ECG' or 'time (ms),ECG'"
            )
        if counter.counts_rows(first):
            return [Column("sample", None, "counter"), value]
        rising = len(first) > 1 and (np.diff(first) >= 0).mean() > 0.99
        if rising and time_axis.plausible_units(first):
            return [Column("time", None, "time"), value]
    raise RecordError(
        f"{path}: line {layout.first + 1} has no names of leads; expected a line like "
        "'MLII,V5 (uV)' above it"
    )


def _recording(
    path: Path,
    layout: Layout,
    facts: Facts,
    columns: list[Column],
    table: Table,
    times: Times | None,
) -> Recording:
    if times is None:
        axis, origin = _counted(path, layout, facts, columns, table)
        cells = table.cells
    else:
        axis, origin = _timed(path, facts, times, table)
        cells = table.cells[~table.empty]
    signals, indices, notes = _signals(path, columns, cells, axis.fs)
    total = int(axis.place[-1]) + 1
    check_lost(path, total - len(axis.place), len(signals), axis.fs)

    def samples(chosen: list[int]) -> list[Floats]:
        return [_placed(path, facts, indices[i], cells, axis.place, total) for i in chosen]

    recording = assemble(
        path,
        signals,
        samples,
        _start_ns(facts, times),
        format=facts.format or _format(layout),
        rate_from=origin,
        notes=[*facts.notes, *axis.notes, *notes],
    )
    others = {"counter": "a counter", "text": "text"}
    unused = [f"{c.name or 'unnamed'} ({others[c.kind]})" for c in columns if c.kind in others]
    return replace(recording, left_out=(*unused, *recording.left_out))


def _format(layout: Layout) -> str:
    if layout.delimiter in (",", ";"):
        return "CSV" + (" with decimal commas" if layout.decimal == "," else "")
    return "text"


def _start_ns(facts: Facts, times: Times | None) -> int:
    """When the first sample was: the header's word, else the times'; 0 where neither says so."""
    if facts.start_ns is not None:
        return facts.start_ns
    if times is None or times.zero_ns is None:
        return 0
    return times.zero_ns + round(float(times.seconds[0]) * 10**9)


def _counted(
    path: Path, layout: Layout, facts: Facts, columns: list[Column], table: Table
) -> tuple[Axis, str]:
    """The axis of a table without times: every row a sample, but for those a counter skips."""
    if facts.fs is None:
        for name in layout.names:
            if column(name).kind == "time":
                raise RecordError(
                    f"{path}: what stands in column '{name[:40]}' is not understood as times; "
                    "write them like 2026-01-31 12:00:00.000, or in seconds"
                )
        raise RecordError(
            f"{path}: no sampling rate; begin the file with a line like '# fs=360', or add a "
            "column of times, 'time (s)'"
        )
    if not (np.isfinite(facts.fs) and facts.fs > 0):
        raise RecordError(f"{path}: the sampling rate is {facts.fs:g} Hz")
    place = np.arange(len(table.lines))
    for k, each in enumerate(columns):
        if each.kind == "counter" and counter.counts_rows(table.cells[:, k]):
            place = counter.place(path, each.name, table.cells[:, k], table.lines)
            break
    return Axis(facts.fs, place, ()), "header"


def _timed(path: Path, facts: Facts, times: Times, table: Table) -> tuple[Axis, str]:
    """The axis of a table with times, which a rate in the header must not contradict."""
    axis = time_axis.measure(path, times.name, times.seconds, table.lines[~table.empty])
    notes = list(axis.notes)
    if facts.fs is not None:
        time_axis.check_stated(path, facts.fs, axis.fs, times.name)
        if facts.fs != axis.fs:
            notes.append(f"said to be {facts.fs:g} Hz")
    if times.note:
        notes.append(times.note)
    return axis._replace(notes=tuple(notes)), f"column '{times.name}'"


def _signals(
    path: Path, columns: list[Column], cells: Doubles, fs: float
) -> tuple[list[Signal], list[int], list[str]]:
    """The columns that are signals, each with its index, and what was taken for granted."""
    indices = [k for k, each in enumerate(columns) if each.kind == "signal"]
    signals = [Signal(columns[k].name, columns[k].unit or "mV", fs) for k in indices]
    taken: dict[str, list[str]] = {}
    for i in choose(signals)[0]:
        each = columns[indices[i]]
        if each.unit is None:
            unit = _by_size(path, each.name, cells[:, indices[i]], fs)
            signals[i] = Signal(each.name, unit, fs)
            taken.setdefault(TAKEN[unit], []).append(each.name)
        if len(signals) == 1 and signals[i].unit.casefold() in UNCALIBRATED:
            signals[i] = Signal(each.name if is_lead(each.name) else "ECG", signals[i].unit, fs)
    notes = [f"{', '.join(names)} without a unit taken as {u}" for u, names in taken.items()]
    return signals, indices, notes


def _by_size(path: Path, name: str, column: Doubles, fs: float) -> str:
    """The unit of a column that names none: "mV" where that can be, "adu" where it is counts.

    Raises RecordError where it can be neither, or several.
    """
    known = column[np.isfinite(column)]
    swing = median_swing(column.astype(np.float32), fs)
    whole = bool((known == np.rint(known)).all())
    if whole and swing > LEAST_COUNTS and known.min() >= 0:
        return "adu"
    if swing == 0 or (SMALLEST_MV <= swing <= LARGEST_MV and not (whole and swing > LEAST_COUNTS)):
        return "mV"
    raise RecordError(
        f"{path}: the column '{name}' names no unit, and a usual swing of {swing:.3g} in two "
        f"seconds is none of an ECG in mV; name the column '{name} (uV)', '{name} (V)' or, for "
        f"counts of a converter, '{name} (adu)'"
    )


def _placed(
    path: Path, facts: Facts, k: int, cells: Doubles, place: NDArray[np.int64], total: int
) -> Floats:
    """A column's values, each where its time or its number puts it, NaN between them."""
    values = cells[:, k]
    if facts.step and facts.full_scale[k]:
        known = values[~np.isnan(values)]
        if ((known < 0) | (known >= facts.full_scale[k]) | (known != np.rint(known))).any():
            raise RecordError(
                f"{path}: column {k + 1} is not in counts of 0 to {facts.full_scale[k] - 1:g}, as "
                "the header says"
            )
        values = (values - facts.zero[k]) * facts.step[k]
    if total == len(place):
        return values.astype(np.float32)
    spread = np.full(total, np.nan, np.float32)
    spread[place] = values
    return spread
