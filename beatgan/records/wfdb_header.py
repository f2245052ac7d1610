"""What a WFDB header says, line by line, and in plain words what is wrong with it.

The library ``wfdb`` reads headers too, but drops every letter beyond ASCII ("µV" becomes "V") and
tells a header's faults by the error that its parsing trips over.
"""

import re
from pathlib import Path
from typing import NamedTuple

from beatgan.errors import RecordError

# Bytes that a sample takes (WFDB Applications Guide, signal(5)); None: compressed by FLAC.
FORMATS: dict[str, float | None] = {
    **{"0": 0, "8": 1, "80": 1, "16": 2, "61": 2, "160": 2, "24": 3, "32": 4},
    **{"212": 1.5, "310": 4 / 3, "311": 4 / 3},
    **dict.fromkeys(("508", "516", "524")),
}
DEFAULT_FS = 250.0  # where a header names no rate
LAYOUT = re.compile(r"(?P<format>\d+)(?:x(?P<per_frame>\d+))?(?::(?P<skew>\d+))?(?:\+\d+)?")

SEGMENT = re.compile(r"~|[\w.-]*\w[\w.-]*")


class Header(NamedTuple):
    """Of the record, or of one of its segments: rate of frames in Hz, length in frames or None.

    ``units`` has one for each signal, "" where none is given. ``segments`` are (name, length), "~"
    for a stretch without samples; a header has either signals or segments.
    """

    fs: float
    length: int | None
    units: tuple[str, ...]
    segments: tuple[tuple[str, int], ...]


def read(path: Path) -> Header:
    """The header at ``path``. Raises RecordError, which names the file and the line."""
    lines = _lines(path)
    if not lines:
        raise RecordError(f"{path}: the header is empty")
    (number, first), rest = lines[0], lines[1:]
    words = first.split()
    _, slash, segments = words[0].partition("/")
    try:
        count = int(words[1])
        fs = float(words[2].partition("/")[0]) if len(words) > 2 else DEFAULT_FS
        length = int(words[3]) if len(words) > 3 else None
        promised = int(segments) if slash else None
    except (ValueError, IndexError):
        raise RecordError(
            f"{path}: line {number}: expected the record's name, how many signals it has, "
            "their rate and their length, like '100 2 360 650000'"
        ) from None
    if promised is None:
        if len(rest) != count:
            raise RecordError(
                f"{path}: the header promises {count} signals and describes {len(rest)}"
            )
        return Header(fs, length, tuple(_unit(path, *line) for line in rest), ())
    if len(rest) != promised:
        raise RecordError(f"{path}: {promised} segments promised, {len(rest)} named")
    return Header(fs, length, (), tuple(_segment(path, *line) for line in rest))


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines that are no comments, with their numbers."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    lines = ((n, line.strip()) for n, line in enumerate(re.split("\r\n|\r|\n", text), 1))
    return [(n, line) for n, line in lines if line and not line.startswith("#")]


def _unit(path: Path, number: int, line: str) -> str:
    """The unit in a signal's line: file, format, gain(baseline)/unit ..."""
    words = line.split()
    layout = LAYOUT.fullmatch(words[1]) if len(words) > 1 else None
    if not layout:
        raise RecordError(
            f"{path}: line {number}: expected a signal's file and format, like '100.dat 212'"
        )
    if layout["format"] not in FORMATS:
        raise RecordError(f"{path}: line {number}: format {layout['format']} is not known")
    return words[2].partition("/")[2] if len(words) > 2 else ""


def _segment(path: Path, number: int, line: str) -> tuple[str, int]:
    words = line.split()
    if len(words) < 2 or not words[1].isdecimal() or not SEGMENT.fullmatch(words[0]):
        raise RecordError(f"{path}: line {number}: expected a segment's name and length")
    return words[0], int(words[1])
