"""An alert as an HL7 v2.6 message ORU^R40, in the facets of IHE's alert communication. Pure.

Written after public examples of such messages; no conformance to a profile is claimed, and so
MSH-21 names none. docs/bridges.md has every field.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import UNSET

from beatgan.protocol.messages import AlertMessage
from beatgan.types import Kind, Priority
from beatgan_daemon.bridges.bed_map import Bed, Beds, System
from beatgan_daemon.bridges.nomenclature import Term, alarm_name, lead_term, term

MDC: Final = "MDC"  # table 0396: ISO/IEEE 11073-10101
LOCAL: Final = "99BGN"  # the local coding system: beatgan's own codes
SUBJECT: Final = "1.0.0.0"  # the alert's place in the device; its facets are .1, .2 and so on
HEART_RATE: Final = (
    "1.1.1.1"  # the place of the heart rate, where it is not what the alert is about
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ESCAPES = str.maketrans(
    {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"}
    | {chr(code): " " for code in [*range(32), 127]}
)
_PRIORITIES = {Priority.HIGH: "PH", Priority.MEDIUM: "PM", Priority.LOW: "PL"}
_KINDS = {Kind.PHYSIOLOGICAL: "SP", Kind.TECHNICAL: "ST"}
_BEYOND = {"high": "H", "low": "L", None: "A"}

Component = str | int | float | None
Field = Component | Sequence[Component]


def control_id(alert: AlertMessage) -> str:
    """MSH-10: the alert's number and when it was made, in at most 20 characters for years to come.

    It follows from the alert alone: one that is sent again has the same, and one of a daemon that
    counts anew has another.
    """
    return f"{alert.n}-{_base36(alert.raised_ns // 10**6)}"


def oru_r40(alert: AlertMessage, beds: Beds, now_ns: int) -> str:
    """The message, its segments ended by carriage returns; ``now_ns``: UNIX time, for MSH-7.

    Raises ValueError where the alert has a kind or priority that the protocol does not know.
    """
    bed = beds.of(alert.stream)
    segments = [_msh(alert, beds.system, now_ns), _pid(bed), _pv1(bed), _obr(alert, beds.system)]
    return "".join(segment + "\r" for segment in [*segments, *_obx(alert, beds.system)])


def time(ns: int) -> str:
    """UNIX time as HL7 writes it, in milliseconds and UTC."""
    moment = _EPOCH + timedelta(milliseconds=ns // 10**6)
    return f"{moment:%Y%m%d%H%M%S}.{moment.microsecond // 1000:03d}+0000"


def _msh(alert: AlertMessage, system: System, now_ns: int) -> str:
    fields: list[Field] = [
        system.sending_application,
        system.sending_facility,
        system.receiving_application,
        system.receiving_facility,
        time(now_ns),
        None,
        ("ORU", "R40", "ORU_R40"),
        control_id(alert),
        system.processing_id,
        "2.6",
        *[None] * 5,  # MSH-15 and -16 are empty: the original acknowledgement mode
        "UNICODE UTF-8",
    ]
    return "MSH|^~\\&|" + "|".join(map(_field, fields))


def _pid(bed: Bed) -> str:
    if bed.patient_id is None:
        return "PID|1"
    authority = bed.patient_id_authority
    return _segment("PID", 1, None, (bed.patient_id, None, None, authority, "PI"))


def _pv1(bed: Bed) -> str:
    place = (bed.point_of_care, bed.room, bed.bed, bed.facility)
    fields: list[Field] = [1, "U", place]
    if bed.visit is not None:
        fields += [None] * 15 + [bed.visit]  # PV1-19
    return _segment("PV1", *fields)


def _obr(alert: AlertMessage, system: System) -> str:
    episode = (alert.id, system.sending_application)
    return _segment("OBR", 1, None, episode, _mdc(term("alarm")), None, None, time(alert.raised_ns))


def _obx(alert: AlertMessage, system: System) -> Iterable[str]:
    name = alarm_name(alert.code)
    priority = _PRIORITIES[Priority(alert.priority)]
    kind = _KINDS[Kind(alert.kind)]
    flags = "~".join([_BEYOND[name.limit], priority, kind])
    what = term("alarm" if name.limit is None else name.limit)
    facets = [
        ("CWE", what, _event(alert)),
        _source(alert),
        ("ST", term("phase"), alert.phase),
        ("ST", term("state"), _state(alert)),
        ("ST", term("inactivation"), "alert-acknowledged" if alert.acknowledged else "enabled"),
        ("ST", term("priority"), priority),
        ("ST", term("kind"), kind),
    ]
    for number, (value_type, identifier, value) in enumerate(facets, 1):
        first = number == 1
        yield _segment(
            "OBX",
            number,
            value_type,
            _mdc(identifier),
            f"{SUBJECT}.{number}",
            value,
            _mdc(term("per_minute")) if value_type == "NM" else None,
            None,
            _Raw(flags) if first else None,
            None,
            None,
            "R",  # OBX-11: not verified by anybody
            None,
            None,
            time(alert.onset_ns) if first else None,
            None,
            None,
            None,
            (alert.stream, system.sending_application) if first else None,
        )
    if name.limit is None and alert.heart_rate is not UNSET:
        rate, unit = _mdc(term("heart_rate")), _mdc(term("per_minute"))
        number = len(facets) + 1
        fields: list[Field] = [number, "NM", rate, HEART_RATE, alert.heart_rate, unit]
        yield _segment("OBX", *fields, None, None, None, None, "R")


class _Raw(str):
    """A field that is written already."""


def _event(alert: AlertMessage) -> Field:
    """Facet 1: what is wrong; the sentence for people is its original text (CWE.9)."""
    name = alarm_name(alert.code)
    local = (alert.code, name.text, LOCAL)
    other: Sequence[Component] = (None, None, None)
    if name.event is not None:
        first, other = _mdc(name.event), local
    else:
        first = local
        other = other if name.rhythm is None else _mdc(name.rhythm)
    return (*first, *other, None, None, None if alert.text is UNSET else alert.text)


def _source(alert: AlertMessage) -> tuple[str, Term, Field]:
    """Facet 2: the heart rate, where it is beyond its limit, else the lead."""
    if alarm_name(alert.code).limit is not None:
        rate = None if alert.heart_rate is UNSET else alert.heart_rate
        return "NM", term("heart_rate"), rate
    if alert.lead is None:
        return "ST", term("source"), None
    known = lead_term(alert.lead)
    local = (alert.lead, alert.lead, LOCAL)
    return "CWE", term("source"), local if known is None else (*_mdc(known), *local)


def _state(alert: AlertMessage) -> str:
    """Facet 4."""
    if alert.phase == "end":
        return "inactive"
    return "latched" if alert.latched else "active"


def _mdc(known: Term) -> tuple[Component, ...]:
    return known.code, known.name, MDC


def _segment(name: str, *fields: Field) -> str:
    return "|".join([name, *map(_field, fields)]).rstrip("|")


def _field(field: Field) -> str:
    if isinstance(field, _Raw):
        return field
    if isinstance(field, Sequence) and not isinstance(field, str):
        return "^".join(map(_component, field)).rstrip("^")
    return _component(field)


def _component(value: Component) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _base36(number: int) -> str:
    digits = ""
    sign, number = ("-" if number < 0 else ""), abs(number)
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return sign + (digits or "0")
