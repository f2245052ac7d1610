"""What the lines above a text's table say: rate, start, unit, names. Knows no table.

Comments hold ``key=value``, ``key: value`` or, as BioSPPy writes, ``key:= value``. Only the keys
that are known here are looked at: others may tell of a patient.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from beatgan.errors import RecordError
from beatgan.records import time_stamps
from beatgan.records.recording import in_millivolt

PAIR = re.compile(r"([A-Za-z_]\w*)\s*=\s*(.*?)(?=\s+[A-Za-z_]\w*\s*=|$)")
NAMED = re.compile(r"([A-Za-z][\w ()/-]*?)\s*(?::=|:|=)\s*(.*)")
RATE_KEYS = (
    *("fs", "hz", "sample rate", "samplerate", "sampling rate", "samplingrate", "sampling_rate"),
    *("sample_rate", "sampling frequency", "sampling_frequency", "sample frequency", "frequency"),
    *("sampling rate (hz)", "sample rate (hz)", "sampling frequency (hz)", "sampling_rate_hz"),
)
START_KEYS = (
    *("start", "start time", "start_time", "starttime", "start date", "date", "datetime"),
    *("recorded date", "recording date", "recording start"),
)
UNIT_KEYS = ("unit", "units")
LABEL_KEYS = ("label", "labels", "lead", "leads", "channels", "channel")
RATE = re.compile(r"([+-]?\d+(?:[.,]\d+)?(?:e[+-]?\d+)?)\s*(k?hz|k?hertz|sps)?", re.I)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known before a sample is read; None where the file does not say.

    ``labels`` are the names of the columns. ``zero`` and ``step`` of a column, in its unit, turn
    counts into it: value = (count - zero) * step.
    """

    format: str = ""
    fs: float | None = None
    start_ns: int | None = None
    unit: str | None = None
    labels: tuple[str, ...] = ()
    zero: tuple[float, ...] = ()
    step: tuple[float, ...] = ()
    full_scale: tuple[float, ...] = ()
    single: bool = False  # one column, whose commas are decimal
    notes: tuple[str, ...] = ()


def facts(path: Path, comments: Iterable[str], above: Iterable[str] = ()) -> Facts:
    """What the comments say that is known here, and the lines ``above`` the table, "key,value".

    Raises RecordError on a comment that makes no sense, and where two rates are said.
    """
    comments = [comment.strip() for comment in comments]
    found: dict[str, str] = {}
    for key, value in chain(*map(_pairs, comments), *map(_plain_pairs, above)):
        found.setdefault(key, value)
    rates = [(key, found[key]) for key in RATE_KEYS if key in found]
    if len(said := {rate(path, *each) for each in rates}) > 1:
        told = " and ".join(f"{fs:g}" for fs in sorted(said))
        raise RecordError(f"{path}: says {told} Hz; take away what is wrong")
    starts = [(key, found[key]) for key in START_KEYS if key in found]
    units = [found[key] for key in UNIT_KEYS if key in found]
    labels = [found[key] for key in LABEL_KEYS if key in found]
    return Facts(
        "BioSPPy text" if "Simple Text Format" in comments[:1] else "",
        rate(path, *rates[0]) if rates else None,
        _start(path, *starts[0]) if starts else None,
        units[0].strip("()[] ") if units else None,
        tuple(re.split(r"[\t,;]\s*|\s{2,}", labels[0])) if labels else (),
    )


def rate(path: Path, key: str, value: str) -> float:
    """A rate in Hz, a unit behind it or not. Raises RecordError where it is none."""
    found = RATE.fullmatch(value.replace("\xa0", " ").strip().strip("'\""))
    if not found:
        raise RecordError(f"{path}: {key}={value[:40]} is not a number")
    hertz = float(found[1].replace(",", "."))
    return 1000 * hertz if (found[2] or "").casefold().startswith("k") else hertz


def _pairs(comment: str) -> list[tuple[str, str]]:
    """Keys, casefolded, and their values: several with "=", or one with ":" in a comment."""
    if ":=" not in comment and (several := PAIR.findall(comment)):
        first = PAIR.search(comment)
        if len(several) > 1 or (first and first.start() == 0):
            return [(key.casefold(), value.strip(" ,;")) for key, value in several]
    one = NAMED.fullmatch(comment)
    return [(one[1].strip().casefold(), one[2].strip())] if one else []


def _plain_pairs(line: str) -> list[tuple[str, str]]:
    """The key and value of a line that is no comment, where the value is one that the key has."""
    cells = [cell.strip(" '\"\t") for cell in re.split(r"[,;:=\t]", line, maxsplit=1)]
    if len(cells) < 2:
        return []
    key, value = cells[0].casefold(), cells[1].rstrip(",;").strip(" '\"")
    known = (
        (key in RATE_KEYS and RATE.fullmatch(value))
        or (key in UNIT_KEYS and in_millivolt(value) is not None)
        or (key in START_KEYS and time_stamps.is_stamp(value))
    )
    return [(key, value)] if known else []


def _start(path: Path, key: str, value: str) -> int | None:
    """A time in ns. A date alone may be another than the recording's, and no start."""
    stamp = value.strip().strip("'\"")
    try:
        if time_stamps.is_date_only(stamp) and key != "start":
            return None
        if time_stamps.of_day(stamp):
            raise ValueError("no date")
        return time_stamps.nanoseconds(stamp)
    except ValueError:
        if key != "start":
            return None
        raise RecordError(
            f"{path}: start={stamp[:40]} is no ISO 8601 time, like 2026-01-31T12:00:00"
        ) from None
