"""An XML document as a tree of elements without namespaces. Knows no format of ECGs.

Read by ``defusedxml``: a document that would grow without bound, or fetch something, is refused.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from beatgan.errors import RecordError
from beatgan.records.recording import faults_of
from beatgan.types import Doubles

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def root(path: Path) -> "Element":
    """The outermost element. Raises RecordError where the document is damaged or cut short."""
    with faults_of(path, "defusedxml"):
        from xml.etree.ElementTree import ParseError

        from defusedxml.ElementTree import parse

        try:
            tree = parse(path)
        except ParseError as error:
            line, column = error.position
            raise RecordError(
                f"{path}: line {line}, column {column}: no well-formed XML, or cut short there"
            ) from None
    found: Element = tree.getroot()
    for element in found.iter():
        element.tag = element.tag.rpartition("}")[2]
    return found


def text(path: Path, element: "Element", name: str) -> str:
    """What stands in the element ``name``, a path from ``element``. Raises RecordError without."""
    found = element.findtext(name)
    if found is None or not found.strip():
        raise RecordError(f"{path}: <{element.tag}> has no <{name}>")
    return found.strip()


def number(path: Path, what: str, value: str | None) -> float:
    """``value`` as a number. Raises RecordError that says which one is none."""
    try:
        found = float(value or "")
    except ValueError:
        raise RecordError(f"{path}: {what} is no number") from None
    if not np.isfinite(found):
        raise RecordError(f"{path}: {what} is no number")
    return found


def numbers(path: Path, what: str, value: str) -> Doubles:
    """The numbers that stand in ``value``, blanks between them."""
    try:
        return np.array(value.split(), dtype=np.float64)
    except ValueError:
        raise RecordError(f"{path}: {what} holds something else than numbers") from None


@contextmanager
def understood(path: Path, format: str) -> Iterator[None]:
    """A document that does not have the shape of its format becomes a RecordError."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise RecordError(f"{path}: not laid out as {format} is ({type(error).__name__})") from None
