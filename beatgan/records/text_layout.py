"""How a text lays out its table: what is between cells, the decimal mark, the headings.

Told from the first lines. Knows nothing of times, rates and units.
"""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from beatgan.errors import RecordError
from beatgan.records import column_names, time_stamps
from beatgan.records.text_lines import COMMENT

BLANK = ""  # stands for any run of blanks between cells
ARROW = " -> "  # between the time and the value in the Arduino program's window
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", BLANK: "blanks", ARROW: "'->'", "|": "bar"}
MOST_COLUMNS = 200
LOST = frozenset(("", "nan", "na", "n/a", "null", "none", "-", "!", "inf", "-inf", "+inf", "nat"))
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?", re.I)
COMMA_NUMBER = re.compile(r"[-+]?\d*,\d+(?:e[-+]?\d+)?", re.I)
LEADING_ZERO = re.compile(r"[-+]?\d+,0\d+")
DATE_AND_TIME = re.compile(r"^(\s*\[?\d{1,4}[-./]\d{1,2}[-./]\d{1,4})[ ]+(\d{1,2}:\d)")


class Layout(NamedTuple):
    """Of a table: between cells, the decimal mark, what each column holds, and where it begins.

    ``kinds`` has a letter for each column: n number, d date or time of the day, t other text.
    ``names`` is empty where no line names the columns, ``units`` where no line of units follows it.
    ``first`` is the index of the first line of samples.
    """

    delimiter: str
    decimal: str
    kinds: str
    names: tuple[str, ...]
    units: tuple[str, ...]
    first: int

    def cells(self, line: str) -> list[str]:
        """The cells of a line, with a point for a decimal mark."""
        return cells(line, self.delimiter, self.decimal, len(self.kinds))


def is_comment(line: str) -> bool:
    """Whether the line is a comment and no row."""
    return line.lstrip().startswith(COMMENT)


def find(path: Path, lines: Sequence[str], single: bool = False) -> Layout:
    """The layout of the table in the first ``lines`` of a file.

    ``single``: it has one column. Raises RecordError where there is no table, or where its layout
    would have to be guessed.
    """
    rows = [(n, line) for n, line in enumerate(lines) if line.strip() and not is_comment(line)]
    if not rows:
        raise RecordError(
            f"{path}: empty; expected a line of lead names and a line for each sample"
        )
    body = [line for _, line in rows[len(rows) // 2 :]]
    heads = [line for _, line in rows[: len(rows) // 2 + 1]]
    delimiter = BLANK if single else _delimiter(path, heads, body)
    decimal = _decimal(body, delimiter)
    split = [(n, cells(line, delimiter, decimal)) for n, line in rows]
    kinds, at = _table(path, split)
    first = split[at][0]
    if len(kinds) > MOST_COLUMNS:
        raise RecordError(
            f"{path}: line {first + 1} has {len(kinds)} cells; where a line holds the samples of "
            "one lead, turn lines into columns"
        )
    headings = [(n, _headings(lines[n], delimiter, len(kinds))) for n, _ in split[:at]]
    names, units = ([], []) if single else _named(headings, len(kinds))
    if headings and not names and not single and 1 < len(headings[-1][1]) != len(kinds):
        n, found = headings[-1]
        raise RecordError(
            f"{path}: line {n + 1} names {len(found)} columns, line {first + 1} has {len(kinds)} "
            f"cells (told apart by {NAMES[delimiter]})"
        )
    return Layout(delimiter, decimal, kinds, tuple(names), tuple(units), first)


def cells(line: str, delimiter: str, decimal: str, width: int = 0) -> list[str]:
    """The cells of a line, bare; with ``width``, an empty one behind the last counts for none."""
    if delimiter == BLANK:
        found = DATE_AND_TIME.sub(r"\1T\2", line).split()
    elif '"' in line and len(delimiter) == 1:
        try:
            found = next(csv.reader([line], delimiter=delimiter))
        except csv.Error:  # a cell without end
            found = line.split(delimiter)
    else:
        found = line.split(delimiter)
    found = [cell.strip().strip("'\"").strip() for cell in found]
    if decimal == ",":
        found = [c.replace(",", ".") if COMMA_NUMBER.fullmatch(c) else c for c in found]
    if width and len(found) == width + 1 and not found[-1]:
        found.pop()
    return found


def is_lost(cell: str) -> bool:
    """Whether the cell stands for a sample that was not measured."""
    return cell.casefold() in LOST


def _delimiter(path: Path, heads: Sequence[str], body: Sequence[str]) -> str:
    most = 0.8 * len(body)
    for delimiter in (";", "\t", ARROW, "|"):
        if sum(delimiter in line for line in body) >= most:
            return delimiter
    if sum("," in line for line in body) < 0.3 * len(body):
        return BLANK
    if all(_is_row_of_comma_numbers(line) for line in body):
        return _comma(path, heads, body)
    return ","


def _is_row_of_comma_numbers(line: str) -> bool:
    """Whether each piece between blanks is a number by itself, with a comma in it or whole."""
    pieces = line.split()
    return bool(pieces) and all(
        COMMA_NUMBER.fullmatch(piece) or NUMBER.fullmatch(piece) or is_lost(piece)
        for piece in pieces
    )


def _comma(path: Path, heads: Sequence[str], body: Sequence[str]) -> str:
    """What the comma in lines like "0,123" is: between two cells, or a decimal mark."""
    names = next((h for h in reversed(heads) if not _is_row_of_comma_numbers(h)), "")
    if any(len(line.split()) > 1 for line in body):
        return BLANK
    if names:
        return "," if "," in names else BLANK
    if any("," not in line for line in body) or any(map(LEADING_ZERO.search, body)):
        return BLANK
    before = [int(line.partition(",")[0] or "0") for line in body]
    if before == sorted(before) and before[0] < before[-1]:  # no ECG: a time, or a counter
        return ","
    raise RecordError(
        f"{path}: lines like '0,1' may be two numbers, or one with a decimal comma; begin the "
        "table with a line of the columns' names, like 'II' or 'time,II'"
    )


def _decimal(body: Sequence[str], delimiter: str) -> str:
    if delimiter == "," and not any('"' in line for line in body):
        return "."
    found = (cell for line in body for cell in cells(line, delimiter, "."))
    return "," if any(COMMA_NUMBER.fullmatch(cell) for cell in found) else "."


def _kind(cell: str) -> str:
    if is_lost(cell):
        return "e"
    if NUMBER.fullmatch(cell):
        return "n"
    return "d" if time_stamps.is_stamp(cell) or time_stamps.is_ambiguous(cell) else "t"


def _table(path: Path, rows: Sequence[tuple[int, list[str]]]) -> tuple[str, int]:
    """What the columns hold, as most rows have it, and the index of the first such row."""
    kinds = ["".join(map(_kind, found)) for _, found in rows]
    while kinds and all(k.endswith("e") for k in kinds if len(k) > 1 and set(k) & set("nd")):
        if not any(len(k) > 1 and k.endswith("e") for k in kinds):
            break
        kinds = [k[:-1] if len(k) > 1 and k.endswith("e") else k for k in kinds]
    counted = Counter(k for k in kinds if set(k) & set("nd"))
    if not counted:
        if any(set(k) == {"e"} for k in kinds):
            counted = Counter(k for k in kinds if set(k) == {"e"})
        else:
            raise RecordError(f"{path}: no samples; expected lines of numbers below the lead names")
    # What stands in a column where it is not empty, of the rows with as many cells as most have.
    width = len(counted.most_common(1)[0][0])
    columns = zip(*(k for k in counted.elements() if len(k) == width), strict=True)
    common = "".join(_most(Counter(column)) for column in columns)
    first = next(i for i, k in enumerate(kinds) if _fits(k, common))
    return common, first


def _most(found: Counter[str]) -> str:
    ranked = [kind for kind, _ in found.most_common() if kind != "e"]
    return ranked[0] if ranked else "n"


def _fits(kinds: str, common: str) -> bool:
    return (
        len(kinds) == len(common)
        and all(k in ("e", c) for k, c in zip(kinds, common, strict=True))
        and (set(kinds) != {"e"} or len(kinds) == 1 or "n" not in common)
    )


def _headings(line: str, delimiter: str, width: int) -> list[str]:
    found = cells(line, delimiter, ".", width)
    if len(found) != width:
        others = [cell for cell in re.split(r"\s{2,}|[\t,;|]", line.strip()) if cell]
        if delimiter == BLANK or len(found) == 1:
            found = others
    return found


def _named(headings: Sequence[tuple[int, list[str]]], width: int) -> tuple[list[str], list[str]]:
    """The columns' names and units, from the last lines above the table."""
    fitting = [found for _, found in headings if len(found) == width]
    if not fitting or len(headings[-1][1]) != width:
        return [], []
    if len(fitting) > 1 and all(map(column_names.is_unit, fitting[-1])):
        return _told(fitting[-2]), [cell.strip("()[] ") for cell in fitting[-1]]
    return _told(fitting[-1]), []


def _told(names: Sequence[str]) -> list[str]:
    """``names``, where at least one of them is a heading for sure: they may be a person's."""
    if any(map(column_names.is_known, names)):
        return list(names)
    return ["ECG"] if len(names) == 1 else [f"column {k}" for k in range(1, len(names) + 1)]
