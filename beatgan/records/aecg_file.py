"""HL7 annotated ECG (aECG, version 3, as sent to the FDA). Knows nothing of the other formats.

A series of kind RHYTHM holds sets of sequences: one of the time, and one for each lead. Series that
were computed from it (the mean beat) are not among ``component/series`` and are not read.
"""

import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from beatgan.errors import RecordError
from beatgan.records import xml_file
from beatgan.records.recording import (
    Recording,
    Signal,
    assemble,
    check_lost,
    in_millivolt,
    nanoseconds,
)
from beatgan.types import Doubles

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

FORMAT = "HL7 aECG"
TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
STAMP = re.compile(r"(\d{8})(\d{2})?(\d{2})?(\d{2})?(\.\d+)?([+-]\d{4})?")
LEAD = "MDC_ECG_LEAD_"


class Sequences(NamedTuple):
    """One set: from when, in ns, every how many seconds, and the leads' values with their unit."""

    start_ns: int
    absolute: bool
    step: float
    leads: dict[str, tuple[str, Doubles]]


def read(path: Path) -> Recording:
    """The document at ``path``; the time between several sets of sequences is lost samples."""
    root = xml_file.root(path)
    with xml_file.understood(path, FORMAT):
        series = [s for s in root.iterfind("component/series") if _code(s) in ("RHYTHM", "")]
        found = [
            _sequences(path, each) for s in series for each in s.iterfind("component/sequenceSet")
        ]
        sets = sorted((s for s in found if s.leads), key=lambda each: each.start_ns)
        if not sets:
            raise RecordError(f"{path}: holds no rhythm, that is no lead as it was recorded")
        return _recording(path, sets)


def _recording(path: Path, sets: list[Sequences]) -> Recording:
    first = sets[0]
    if any(each.step != first.step for each in sets):
        rates = ", ".join(f"{1 / each.step:g}" for each in sets)
        raise RecordError(f"{path}: holds series of several rates, {rates} Hz")
    fs = round(1 / first.step, 6)
    at = [round((each.start_ns - first.start_ns) / 1e9 * fs) for each in sets]
    lengths = [max(len(values) for _, values in each.leads.values()) for each in sets]
    for here, length, then in zip(at, lengths, at[1:], strict=False):
        if then < here + length:
            raise RecordError(f"{path}: holds series that overlap in time")
    names = list(dict.fromkeys(name for each in sets for name in each.leads))
    units = [next(each.leads[n][0] for each in sets if n in each.leads) for n in names]
    total = at[-1] + lengths[-1]
    check_lost(path, total - sum(lengths), len(names), fs)

    def samples(chosen: list[int]) -> list[Doubles]:
        return [_column(path, sets, at, total, names[i], units[i]) for i in chosen]

    signals = [Signal(_bare(n), u, fs) for n, u in zip(names, units, strict=True)]
    start_ns = first.start_ns if first.absolute else 0
    return assemble(path, signals, samples, start_ns, format=FORMAT)


def _column(
    path: Path, sets: list[Sequences], at: list[int], total: int, name: str, unit: str
) -> Doubles:
    column = np.full(total, np.nan)
    for start, each in zip(at, sets, strict=True):
        its_unit, values = each.leads.get(name, (unit, np.zeros(0)))
        if its_unit != unit:
            raise RecordError(f"{path}: {name} changes its unit from {unit} to {its_unit}")
        column[start : start + len(values)] = values
    return column


def _sequences(path: Path, element: "Element") -> Sequences:
    time: tuple[int, bool, float] | None = None
    leads = {}
    for sequence in element.iter("sequence"):
        name, value = _code(sequence), sequence.find("value")
        if value is None:
            continue
        if name.startswith("TIME_"):
            time = _time(path, value)
        elif name.startswith(LEAD):
            leads[name] = _lead(path, name, value)
    if leads and time is None:
        raise RecordError(f"{path}: a set of sequences has no time, so that the rate is not known")
    return Sequences(*(time or (0, False, 1.0)), leads)


def _time(path: Path, value: "Element") -> tuple[int, bool, float]:
    """When the first sample was, in ns, whether that is a date, and the time between two in s."""
    head, step = value.find("head"), value.find("increment")
    if head is None or step is None or step.get("unit") not in SECONDS:
        raise RecordError(f"{path}: the time is told otherwise than by a head and an increment")
    seconds = xml_file.number(path, "the increment", step.get("value"))
    seconds *= SECONDS[step.get("unit", "")]
    if not seconds > 0:
        raise RecordError(f"{path}: the increment of the time is not positive")
    stamp = head.get("value", "")
    if value.get(TYPE, "").endswith("GLIST_TS"):
        return _stamp(path, stamp), True, seconds
    began = xml_file.number(path, "the head", stamp) * SECONDS.get(head.get("unit", "s"), 1.0)
    return round(began * 1e9), False, seconds


def _stamp(path: Path, stamp: str) -> int:
    """HL7's YYYYMMDDHHMMSS.ssss+ZZZZ in ns."""
    found = STAMP.fullmatch(stamp.strip())
    if not found:
        raise RecordError(f"{path}: the time of the first sample is not like 20260131120000.000")
    day, hour, minute, second, fraction, zone = found.groups(default="")
    iso = f"{day}T{hour or '00'}{minute or '00'}{second or '00'}{fraction[:7]}{zone}"
    return nanoseconds(datetime.fromisoformat(iso))


def _lead(path: Path, name: str, value: "Element") -> tuple[str, Doubles]:
    """The unit and the values of one lead."""
    scale, origin, digits = value.find("scale"), value.find("origin"), value.find("digits")
    if scale is None or digits is None or digits.text is None:
        raise RecordError(f"{path}: {name} has no scale or no digits")
    unit = scale.get("unit", "")
    values = xml_file.numbers(path, name, digits.text)
    values *= xml_file.number(path, f"the scale of {name}", scale.get("value"))
    if origin is not None and (
        zero := xml_file.number(path, f"the origin of {name}", origin.get("value", "0"))
    ):
        ours, its = in_millivolt(unit), in_millivolt(origin.get("unit", unit))
        if ours is None or its is None:
            raise RecordError(f"{path}: {name} has an origin in another unit than its scale")
        values += zero * its / ours
    return unit, values


def _bare(code: str) -> str:
    """The lead's name: MDC_ECG_LEAD_AVR is aVR."""
    name = code.removeprefix(LEAD)
    return f"aV{name[2]}" if name in ("AVR", "AVL", "AVF") else name


def _code(element: "Element") -> str:
    code = element.find("code")
    return "" if code is None else code.get("code", "")
