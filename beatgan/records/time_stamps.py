"""Cells of a text that tell a time: a date, a time of the day, or both. Knows no column."""

import re
from datetime import UTC, datetime, timedelta, timezone

from beatgan.records import recording

CLOCK = re.compile(r"(?:(\d{1,2}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,9}))?")
FULL = re.compile(
    r"\[?(?P<date>\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}\.\d{1,2}\.\d{4}|\d{8}(?=T))"
    r"(?:[T_ ]+(?P<clock>\d{1,2}:\d{1,2}(?::\d{1,2}(?:[.,]\d{1,9})?)?)"
    r"\s*(?P<zone>Z|UTC|GMT|[+-]\d\d:?\d\d)?)?\]?"
)
WFDB = re.compile(r"\[(\d{1,2}:\d\d:\d\d(?:\.\d+)?) (\d\d)/(\d\d)/(\d{4})\]")  # rdsamp: day first
SLASHES = re.compile(r"\d{1,2}/\d{1,2}/\d{4}\b.*|.*\s\d{1,2}/\d{1,2}/\d{4}")


def is_stamp(cell: str) -> bool:
    """Whether the cell is a date or a time of the day."""
    return bool(FULL.fullmatch(cell) or CLOCK.fullmatch(cell) or WFDB.fullmatch(cell))


def is_ambiguous(cell: str) -> bool:
    """Whether the cell is a date of which nobody can tell day and month, 01/02/2026."""
    return bool(SLASHES.fullmatch(cell))


def is_date_only(cell: str) -> bool:
    """Whether the cell tells a day and no time of it."""
    found = FULL.fullmatch(cell)
    return bool(found) and not found["clock"]  # type: ignore[index]


def of_day(cell: str) -> bool:
    """Whether the cell is a time of some day, without a date."""
    return bool(CLOCK.fullmatch(cell))


def nanoseconds(cell: str) -> int:
    """UNIX time in ns, a time without a zone read as UTC; of a time of the day, since midnight.

    Raises ValueError where the cell is neither.
    """
    if cell[4:5] == "-":  # nearly always ISO 8601, which Python reads fast
        try:
            return recording.nanoseconds(datetime.fromisoformat(cell))
        except ValueError:
            pass
    if found := CLOCK.fullmatch(cell):
        return _clock(*found.groups(default=""))
    full = FULL.fullmatch(WFDB.sub(r"\4-\3-\2 \1", cell))
    if not full:
        raise ValueError("no time")
    parts = [int(part) for part in re.split(r"[-/.]", full["date"])]
    if len(parts) == 1:
        year, month, day = int(full["date"][:4]), int(full["date"][4:6]), int(full["date"][6:])
    else:
        year, month, day = parts if parts[0] > 31 else reversed(parts)
    midnight = datetime(year, month, day, tzinfo=_zone(full["zone"]))
    at = recording.nanoseconds(midnight)
    clock = full["clock"]
    if not clock:
        return at
    hours, _, rest = clock.partition(":")
    return at + int(hours) * 3600 * 10**9 + nanoseconds(f"0:{rest}" if ":" in rest else f"{rest}:0")


def _clock(hours: str, minutes: str, seconds: str, fraction: str) -> int:
    whole = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
    return whole * 10**9 + int(fraction.ljust(9, "0") if fraction else 0)


def _zone(name: str | None) -> timezone:
    if not name or name in ("Z", "UTC", "GMT"):
        return UTC
    sign = -1 if name[0] == "-" else 1
    digits = name[1:].replace(":", "")
    return timezone(sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:])))
