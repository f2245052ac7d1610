"""What alarms, leads and facets are called in ISO/IEEE 11073 (MDC): `nomenclature.toml`, read."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final, Literal

import msgspec

FILE: Final = "nomenclature.toml"  # beside this one


class Term(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A code of MDC, context-free, and its name."""

    code: int
    name: str


class AlarmName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an alarm is called: for people, and in MDC as far as that is known."""

    text: str
    event: Term | None = None
    limit: Literal["high", "low"] | None = None
    rhythm: Term | None = None


class Nomenclature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file: alarms by beatgan's code, leads by name, and terms by what they are for."""

    alarm: Mapping[str, AlarmName]
    lead: Mapping[str, Term]
    term: Mapping[str, Term]


@cache
def nomenclature() -> Nomenclature:
    """The file's content."""
    content = files(__package__).joinpath(FILE).read_bytes()
    return msgspec.toml.decode(content, type=Nomenclature)


def alarm_name(code: str) -> AlarmName:
    """Of a code of beatgan; one that is not known, of a later daemon, is its own text."""
    return nomenclature().alarm.get(code) or AlarmName(text=code)


def lead_term(name: str) -> Term | None:
    """Of a lead, whatever the case of its letters; None where it is none of the twelve."""
    return _leads().get(name.upper())


@cache
def _leads() -> Mapping[str, Term]:
    return {name.upper(): term for name, term in nomenclature().lead.items()}


def term(purpose: str) -> Term:
    """The term for this purpose, such as ``phase``. Raises KeyError."""
    return nomenclature().term[purpose]
