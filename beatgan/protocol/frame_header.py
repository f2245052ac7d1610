"""A frame but for its samples: whose it is, and whether it is what frames.py and docs/protocol.md
say. Needs nothing that is compiled.

Law: any bytes are a frame or raise StreamError. Knows no socket, no stream's past, no clock.
"""

from collections.abc import Iterable, Sequence
from math import isfinite
from reprlib import repr as brief
from typing import Any, Final, NamedTuple, NoReturn, get_type_hints

import msgspec

from beatgan.errors import StreamError
from beatgan.protocol.frames import MAX_HEADER, MAX_SAMPLES, Header, check_leads
from beatgan.protocol.messages import VERSION
from beatgan.protocol.names import MAX_NAME, stream_of_topic
from beatgan.types import MAX_TIME_NS, MIN_FS

WIDTHS: Final = {"<i2": 2, "<f4": 4}  # bytes of a value, by dtype
_LATE_NS = MAX_TIME_NS - int(MAX_SAMPLES / MIN_FS * 1e9)  # until then any frame's times fit
# Checked before; when full, all are forgotten.
_MAX_TOPICS = 65_536  # 20 MB
_MAX_LEAD_SETS = 4_096  # 26 MB, of the longest names

_TYPES: Final[dict[str, tuple[tuple[type, ...], str]]] = {
    **dict.fromkeys(("v", "epoch", "seq", "first", "t_ns"), ((int,), "an integer")),
    **dict.fromkeys(("fs", "scale", "offset"), ((float, int), "a number")),
    "leads": ((list,), "a list of strings"),
    "dtype": ((str,), "a string"),
}
_HINTS: Final = get_type_hints(Header, include_extras=True)
_LIMITS: Final[dict[str, msgspec.Meta]] = {
    name: _HINTS[name].__metadata__[0] for name in ("epoch", "seq", "first", "t_ns", "fs")
}
_topics: Final[dict[bytes, str]] = {}  # stream names of valid topics seen lately
_leads: Final[dict[tuple[str, ...], tuple[str, ...]]] = {}  # valid, seen lately
_read_header = msgspec.msgpack.Decoder(Header).decode


class FrameExtent(NamedTuple):
    """Whose frame it is, and which samples of its source are in it: ``size`` from ``first`` on,
    which is of UNIX time ``t_ns``, at ``fs`` Hz."""

    stream: str
    epoch: int
    first: int
    size: int
    fs: float
    t_ns: int


def check_frame(parts: Sequence[bytes]) -> FrameExtent:
    """Of a frame's three ``parts``: topic, header, payload. Its samples are not looked at.

    Raises StreamError, with one of the reasons that docs/protocol.md lists, on anything malformed.
    """
    stream, header, _ = read_header(parts)
    size = count_samples(header, parts[2])
    check_times(header, size)
    return FrameExtent(stream, header.epoch, header.first, size, header.fs, header.t_ns)


def read_header(parts: Sequence[bytes]) -> tuple[str, Header, tuple[str, ...]]:
    """Stream, header and leads of a frame's three ``parts``. Raises StreamError."""
    if len(parts) != 3:
        raise StreamError(
            "parts", f"a frame has 3 parts (topic, header, payload), got {len(parts)}"
        )
    topic, head, _ = parts
    stream = _topics.get(topic) or decode_topic(topic)
    if len(head) > MAX_HEADER:
        raise StreamError("header", f"a header has at most {MAX_HEADER} bytes, got {len(head)}")
    try:
        header = _read_header(head)
    except (ValueError, RecursionError):
        _explain(head)
    return stream, header, _leads.get(header.leads) or _check_leads(header.leads)


def count_samples(header: Header, part: bytes) -> int:
    """How many samples the payload has. Raises StreamError."""
    width = WIDTHS.get(header.dtype)
    if width is None:
        raise StreamError("dtype", f"header: dtype must be <i2 or <f4, got {brief(header.dtype)}")
    if not header.scale:
        _refuse_scale(header.scale)
    leads = len(header.leads)
    count, rest = divmod(len(part), width * leads)
    if rest or not 1 <= count <= MAX_SAMPLES:
        raise StreamError(
            "payload",
            f"the payload holds 1-{MAX_SAMPLES} samples of {width * leads} bytes "
            f"({leads} leads, {header.dtype}), got {len(part)} bytes",
        )
    return count


def check_times(header: Header, count: int) -> None:
    """Raise StreamError where 64 bits cannot hold the time of the last of ``count`` samples."""
    if header.t_ns <= _LATE_NS:
        return
    end = header.t_ns + round((count - 1) * 1e9 / header.fs)
    if end > MAX_TIME_NS:
        raise StreamError(
            "range",
            f"header: t_ns must leave room for the times of all {count} samples, "
            f"at most {MAX_TIME_NS}, got {header.t_ns}",
        )


def decode_topic(part: bytes) -> str:
    """The stream's name in the first part of a frame. Raises StreamError."""
    known = _topics.get(part)
    if known is not None:
        return known
    stream = stream_of_topic(part)
    if stream is None:
        raise StreamError(
            "topic",
            f"the topic is `ecg.` and 1-{MAX_NAME} characters of A-Z a-z 0-9 _ - :, "
            f"got {brief(part[:80])}",
        )
    if len(_topics) >= _MAX_TOPICS:
        _topics.clear()
    return _topics.setdefault(part, stream)


def _explain(part: bytes) -> NoReturn:
    """Say what is wrong with a header that is not a Header: version, keys, types, then ranges."""
    try:
        found: Any = msgspec.msgpack.decode(part)
    except (ValueError, TypeError, RecursionError) as error:
        raise StreamError("header", f"the header is no MessagePack map: {error}") from None
    if not isinstance(found, dict) or not _all_strings(found):
        raise StreamError(
            "header", f"the header is no MessagePack map with string keys but {brief(found)}"
        )
    if type(found.get("v")) is int and found["v"] != VERSION:
        raise StreamError("version", f"this daemon speaks version {VERSION}, got v = {found['v']}")
    if missing := [name for name in _TYPES if name not in found]:
        raise StreamError("key", f"the header lacks {', '.join(missing)}")
    for name, (types, expected) in _TYPES.items():
        value = found[name]
        if type(value) not in types or (name == "leads" and not _all_strings(value)):
            raise StreamError("type", f"header: {name} must be {expected}, got {brief(value)}")
    for name, allowed in _LIMITS.items():
        if not allowed.ge <= found[name] <= allowed.le:
            _out_of_range(name, f"within {allowed.ge:,}..{allowed.le:,}", found[name])
    if not isfinite(found["scale"]):
        _refuse_scale(found["scale"])
    if not isfinite(found["offset"]):
        _out_of_range("offset", "finite", found["offset"])
    raise StreamError("header", f"the header cannot be read: {brief(found)}")


def _all_strings(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _check_leads(leads: tuple[str, ...]) -> tuple[str, ...]:
    """The ``leads``, which are remembered if they are allowed."""
    check_leads(leads)
    if len(_leads) >= _MAX_LEAD_SETS:
        _leads.clear()
    return _leads.setdefault(leads, leads)


def _refuse_scale(scale: float) -> NoReturn:
    _out_of_range("scale", "finite and not 0", scale)


def _out_of_range(name: str, expected: str, value: float) -> NoReturn:
    raise StreamError("range", f"header: {name} must be {expected}, got {value}")
