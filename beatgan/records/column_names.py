"""What a column's heading says: its name, its unit, and what kind of column it is."""

import re
from typing import Literal, NamedTuple

from beatgan.lead_names import is_lead, is_other

Kind = Literal["time", "counter", "text", "signal"]

BRACKETS = re.compile(r"^(?P<name>.*?)\s*[(\[](?P<unit>[^)\]]*)[)\]]$")
SUFFIX = re.compile(  # ecg_uV, "ECG mV", time_ms
    r"^(?P<name>.*?)[\s_.,:-]+(?P<unit>[nuµμm]v|microvolts?|millivolts?|[num]?s|ns|µs|μs|msec|usec)$",
    re.I,
)
TIME = re.compile(
    r"(?:.*[\s_-])?(?:date|epoch|millis|micros|clock"
    r"|zeit|zeitstempel|uhrzeit|datum|temps|hora|fecha|tiempo|tempo)(?:[\s_-]*(?:stamp|utc))?"
    r"|t|ts|.*times?(?:[\s_-]*stamps?)?(?:[\s_-]*utc)?",
    re.I,
)
COUNTER = re.compile(
    r"|unnamed: 0|#|n|i|id|no\.?|nr\.?|row|idx|index|count(?:er)?|n?seq(?:uence)?"
    r"|(?:.*[\s_-])?(?:seq(?:uence)?|sample|samples|packet|frame|record)"
    r"(?:[\s_-]*(?:#|no\.?|nr|num|number|index|idx|id|count|counter))?",
    re.I,
)
SECONDS = {  # casefolded
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds", "millis"), 1e-3),
    **dict.fromkeys(("us", "µs", "μs", "usec", "microsecond", "microseconds", "micros"), 1e-6),
    **dict.fromkeys(("ns", "nsec", "nanosecond", "nanoseconds"), 1e-9),
}
NO_UNIT = re.compile(r"formatted|utc|local|iso.*|unix|epoch|[hdmsyfzt:/., -]{5,}", re.I)
LONGEST = 40  # letters of a name in a message


class Column(NamedTuple):
    """A column by its heading; ``unit`` is None where none is named."""

    name: str
    unit: str | None
    kind: Kind


def column(heading: str) -> Column:
    """The column that bears this heading."""
    heading = heading.strip().strip("'\"").strip()[:LONGEST]
    found = BRACKETS.match(heading) or SUFFIX.match(heading)
    name, unit = (found["name"], found["unit"].strip() or None) if found else (heading, None)
    kind = _kind(name)
    if found and found.re is SUFFIX and (kind == "time") != (found["unit"].casefold() in SECONDS):
        return Column(heading, None, _kind(heading))
    if kind == "time" and unit and unit.casefold() not in SECONDS and NO_UNIT.fullmatch(unit):
        unit = None
    if kind == "time" and unit is None and name.casefold() in SECONDS:
        unit = name  # millis, micros
    return Column(name, unit, kind)


def is_known(heading: str) -> bool:
    """Whether a heading is one for sure: it names a lead, a time or a counter, or has a unit."""
    found = column(heading)
    return bool(found.name) and (
        is_lead(found.name)
        or is_other(found.name)
        or found.kind != "signal"
        or (found.unit is not None and is_unit(found.unit))
    )


def is_unit(cell: str) -> bool:
    """Whether a cell of the line below the headings is a unit, in brackets or not."""
    bare = cell.strip().strip("'\"()[] ").casefold()
    return (
        bare in SECONDS
        or bool(re.fullmatch(r"[nuµμ\ufffdm]?v|adu|nu|bpm|mmhg|%|hz|°c|g|mg|a\.?u\.?|-?", bare))
        or bool(NO_UNIT.fullmatch(bare))
    )


def _kind(name: str) -> Kind:
    if is_lead(name):
        return "signal"
    if COUNTER.fullmatch(name):
        return "counter"
    return "time" if TIME.fullmatch(name) else "signal"
