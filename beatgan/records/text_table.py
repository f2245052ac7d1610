"""The rows of a text's table as numbers. Knows nothing of rates and units."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from beatgan.errors import RecordError
from beatgan.records import text_layout, time_stamps
from beatgan.records.text_layout import Layout
from beatgan.types import Doubles

BLOCK = 65_536  # lines turned into an array at a time: bounds the memory that text takes


LARGEST = 1e20  # of a time in ns since 1970, and of a voltage in nV, there is room for


class Table(NamedTuple):
    """``cells`` has shape (rows, columns): numbers, times in s, NaN where a cell is lost or text.

    ``lines`` is each row's line in the file, ``empty`` which of them have nothing in them.
    ``stamps_from`` has, for each column of dates, the UNIX time in ns that its times count from;
    for one of times of the day, midnight: 0.
    """

    cells: Doubles
    lines: NDArray[np.int64]
    empty: NDArray[np.bool_]
    stamps_from: dict[int, int]


def read(path: Path, lines: Iterable[str], layout: Layout) -> Table:
    """The rows from ``layout.first`` on; an empty line is a row without samples.

    Raises RecordError, which names the line, on a row of other cells than the others.
    """
    rows = _rows(lines, layout)
    stamps_from: dict[int, int] = {}
    blocks = list(_blocks(path, rows, layout, stamps_from))
    if not blocks:
        raise RecordError(f"{path}: no samples; expected lines of numbers below the lead names")
    cells, numbers, empty = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    cells[~np.isfinite(cells)] = np.nan
    large = np.flatnonzero((np.abs(cells) > LARGEST).any(axis=1))
    if len(large):
        raise RecordError(f"{path}: line {numbers[large[0]]} has a number beyond any measurement")
    return _without_end(Table(cells, numbers, empty, stamps_from))


def _rows(lines: Iterable[str], layout: Layout) -> Iterator[tuple[int, str]]:
    """Number and text of each line that is a row."""
    for number, line in enumerate(lines, 1):
        if number > layout.first and not text_layout.is_comment(line):
            yield number, line


def _blocks(
    path: Path, rows: Iterator[tuple[int, str]], layout: Layout, stamps_from: dict[int, int]
) -> Iterator[tuple[Doubles, NDArray[np.int64], NDArray[np.bool_]]]:
    while block := list(islice(rows, BLOCK)):
        numbers = np.array([number for number, _ in block], np.int64)
        empty = np.array([not line.strip() for _, line in block])
        yield _block(path, block, layout, stamps_from), numbers, empty


def _block(
    path: Path, block: list[tuple[int, str]], layout: Layout, stamps_from: dict[int, int]
) -> Doubles:
    """One block's rows; at once where they are plain numbers."""
    width, plain = len(layout.kinds), set(layout.kinds) == {"n"}
    if plain and len(layout.delimiter) < 2 and all(line.strip() for _, line in block):
        try:
            texts = [line for _, line in block]
            if layout.decimal == ",":
                texts = [text.replace(",", ".") for text in texts]
            found: Doubles = np.loadtxt(
                texts, delimiter=layout.delimiter or None, comments=None, ndmin=2
            )
            if found.shape == (len(block), width):
                return found
        except ValueError:
            pass  # row by row, which says where
    return np.array([_row(path, *each, layout, stamps_from) for each in block]).reshape(-1, width)


def _row(
    path: Path, number: int, line: str, layout: Layout, stamps_from: dict[int, int]
) -> list[float]:
    width = len(layout.kinds)
    if not line.strip():
        return [np.nan] * width
    cells = layout.cells(line)
    if len(cells) != width:
        raise RecordError(f"{path}: line {number} has {len(cells)} cells; expected {width}")
    return [_cell(path, number, k, cell, layout, stamps_from) for k, cell in enumerate(cells)]


def _cell(
    path: Path, number: int, k: int, cell: str, layout: Layout, stamps_from: dict[int, int]
) -> float:
    kind = layout.kinds[k]
    if kind == "t" or text_layout.is_lost(cell):
        return np.nan
    try:
        if kind == "n":
            return float(cell)
        stamp = time_stamps.nanoseconds(cell)
    except (ValueError, OverflowError):
        raise RecordError(_no_value(path, number, k, cell, layout)) from None
    if k not in stamps_from:
        stamps_from[k] = 0 if time_stamps.of_day(cell) else stamp
    return (stamp - stamps_from[k]) / 1e9


def _no_value(path: Path, number: int, k: int, cell: str, layout: Layout) -> str:
    """What is wrong with a cell; what stands in it is not quoted, it may be anything."""
    where = f"{path}: line {number}, column {k + 1}"
    if k < len(layout.names):
        where += f" ({layout.names[k][:40]})"
    if layout.kinds[k] == "n":
        return f"{where}: not a number; expected one like 0.123, empty or 'nan' where it is lost"
    if time_stamps.is_ambiguous(cell):
        return f"{where}: day and month cannot be told apart; write dates like 2026-01-31"
    return f"{where}: not a time; expected one like 2026-01-31 12:00:00.000"


def _without_end(table: Table) -> Table:
    """Without the empty lines behind the last row, nor those of a file whose lines end twice."""
    rows = np.flatnonzero(~table.empty)
    kept = np.arange(int(rows[-1]) + 1 if len(rows) else 0)
    if len(rows) > 2 and (np.diff(rows) == 2).all():
        kept = rows
    return Table(table.cells[kept], table.lines[kept], table.empty[kept], table.stamps_from)
