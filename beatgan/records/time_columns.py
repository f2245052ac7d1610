"""Which column of a table tells the time, in which unit, and since when. Reads no file."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from beatgan.errors import RecordError
from beatgan.records import time_axis
from beatgan.records.column_names import SECONDS, Column
from beatgan.records.text_layout import Layout
from beatgan.records.text_table import Table
from beatgan.types import Doubles

UNLIKE = 2.0  # ratio of two clocks' spans; a packet at either end is no contradiction
TELLING = 10  # rows from which a unit that is not named can be told
COUNTED = 2.0**32  # where a microcontroller's clock begins again
EPOCH_S = (1e9, 4.1e9)  # seconds since 1970 of a clock that is set: the years 2001 to 2099


@dataclass(frozen=True, slots=True)
class Times:
    """A column of times: its heading, its times in s, and the UNIX time in ns of 0, if known."""

    name: str
    seconds: Doubles
    zero_ns: int | None
    note: str = ""


def find(path: Path, layout: Layout, columns: list[Column], table: Table) -> Times | None:
    """The steadiest column of times, with the date of another where it has none itself."""
    found = []
    for k, each in enumerate(columns):
        if each.kind != "time" or layout.kinds[k] == "t":
            continue
        times = _column_of_times(path, each, table, k)
        if times is not None:
            found.append(times)
    if not found:
        return None
    best = min(found, key=lambda t: time_axis.jitter(t.seconds))
    for other in found:
        _check_alike(path, best, other)
    dated = [t.zero_ns + round(t.seconds[0] * 1e9) for t in found if t.zero_ns is not None]
    if best.zero_ns is not None or not dated:
        return best
    return replace(best, zero_ns=_zero(best, layout, columns, dated[0]))


def _check_alike(path: Path, best: Times, other: Times) -> None:
    """Raise RecordError where two clocks do not count alike: a unit is wrong."""
    if time_axis.jitter(other.seconds) < np.inf:
        ratio = float(np.ptp(other.seconds) / np.ptp(best.seconds))
        if not 1 / UNLIKE < ratio < UNLIKE:
            raise RecordError(
                f"{path}: the times in columns '{best.name}' and '{other.name}' contradict one "
                f"another, by a factor of {max(ratio, 1 / ratio):.3g}; take away what is wrong"
            )


def _zero(times: Times, layout: Layout, columns: list[Column], dated_ns: int) -> int:
    """When the times' 0 was, from the first row's date in another column."""
    names = [each.name for each in columns]
    of_day = layout.kinds[names.index(times.name)] == "d"
    if of_day:  # a date beside a time of the day
        return dated_ns
    return dated_ns - round(float(times.seconds[0]) * 10**9)


def _column_of_times(path: Path, each: Column, table: Table, k: int) -> Times | None:
    """The column's times, of the rows that are not empty; None where it has less than two."""
    raw = table.cells[~table.empty, k]
    known = np.flatnonzero(~np.isnan(raw))
    if len(known) < 2:
        if each.unit or len(raw) < 2:
            raise RecordError(f"{path}: fewer than two times in column '{each.name}'")
        return None
    raw = np.interp(np.arange(len(raw)), known, raw[known])
    if k in table.stamps_from:
        began_ns = table.stamps_from[k]
        if began_ns == 0:  # times of the day, which begin again at midnight
            raw = raw + 86_400 * np.concatenate([[0], np.cumsum(np.diff(raw) < -43_200)])
        return Times(each.name, raw, began_ns or None)
    if raw.max() < COUNTED and raw.min() >= 0:  # micros() begins again after 71 minutes
        raw = raw + COUNTED * np.concatenate([[0], np.cumsum(np.diff(raw) < -0.9 * COUNTED)])
    unit, note = _unit(path, each, raw)
    first_s = raw[0] * unit
    sensor = "sensor" in each.name.casefold()  # Polar's count from 2000
    zero_ns = 0 if EPOCH_S[0] < first_s < EPOCH_S[1] and not sensor else None
    return Times(each.name, raw * unit, zero_ns, note)


def _unit(path: Path, each: Column, raw: Doubles) -> tuple[float, str]:
    """How many seconds the column counts in, and a word where its heading does not say so."""
    if each.unit is not None:
        try:
            return SECONDS[each.unit.casefold()], ""
        except KeyError:
            raise RecordError(
                f"{path}: times are in s, ms, us or ns, not in {each.unit!r}"
            ) from None
    possible = time_axis.plausible_units(raw)
    if 1.0 in possible or not possible or len(raw) < TELLING:
        return 1.0, ""
    name = next(n for n, u in (("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)) if u == possible[0])
    return possible[0], f"'{each.name}' counts in {name}, as no ECG has such a rate otherwise"
