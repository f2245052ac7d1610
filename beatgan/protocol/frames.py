"""ECG frames as bytes (docs/protocol.md). What goes out is in messages.py.

Law: any bytes decode to a Chunk or raise StreamError. Knows no socket, no stream's past, no clock.
"""

import math
from collections.abc import Iterable, Sequence
from reprlib import repr as brief
from typing import Any, Final, NoReturn

import msgspec
import numpy as np
from numpy.typing import NDArray

from beatgan.errors import StreamError, UsageError
from beatgan.protocol.messages import VERSION
from beatgan.protocol.names import MAX_NAME, stream_of_topic, topic_of
from beatgan.types import (
    MAX_FIRST,
    MAX_FS,
    MAX_LEADS,
    MAX_TIME_NS,
    MIN_FS,
    MIN_TIME_NS,
    Chunk,
    Doubles,
    Floats,
)

MAX_SAMPLES: Final = 65_536  # in one frame
MAX_HEADER: Final = 8_192  # bytes; 16 lead names of 64 four-byte characters fit twice
MAX_MILLIVOLT: Final = 1e6  # no body makes a kilovolt; beyond it a filter's squares would overflow
LOST_I2: Final = -32_768

_INT64 = 2**63
_LATE_NS = MAX_TIME_NS - int(MAX_SAMPLES / MIN_FS * 1e9)  # until then any frame's times fit
# Checked before; when full, all are forgotten.
_MAX_TOPICS = 65_536  # 20 MB
_MAX_LEAD_SETS = 4_096  # 26 MB, of the longest names


class Header(msgspec.Struct, frozen=True, gc=False):
    """The second part of an ECG frame. Unknown keys are ignored."""

    v: int
    epoch: int
    seq: int
    first: int
    t_ns: int
    fs: float
    leads: tuple[str, ...]
    dtype: str
    scale: float
    offset: float


_TYPES: Final[dict[str, tuple[tuple[type, ...], str]]] = {
    **dict.fromkeys(("v", "epoch", "seq", "first", "t_ns"), ((int,), "an integer")),
    **dict.fromkeys(("fs", "scale", "offset"), ((float, int), "a number")),
    "leads": ((list,), "a list of strings"),
    "dtype": ((str,), "a string"),
}
_RANGES: Final[tuple[tuple[str, float, float], ...]] = (
    ("epoch", -_INT64, _INT64 - 1),
    ("seq", 0, _INT64 - 1),
    ("first", 0, MAX_FIRST),
    ("t_ns", MIN_TIME_NS, MAX_TIME_NS),
    ("fs", MIN_FS, MAX_FS),
)
_DTYPES: Final[dict[str, np.dtype[Any]]] = {"<i2": np.dtype("<i2"), "<f4": np.dtype("<f4")}
_topics: Final[dict[bytes, str]] = {}  # stream names of valid topics seen lately
_leads: Final[dict[tuple[str, ...], tuple[str, ...]]] = {}  # valid, seen lately
_header_decoder = msgspec.msgpack.Decoder(Header)
_header_encoder = msgspec.msgpack.Encoder()


def decode_frame(parts: Sequence[bytes | memoryview]) -> Chunk:
    """The Chunk in a frame's three ``parts``: topic, header, payload.

    Samples come out as float32 millivolt, shape (n, leads), in memory of their own; whatever is
    no voltage (marked lost, not finite, beyond a kilovolt) comes out as NaN. Raises StreamError,
    with one of the reasons that docs/protocol.md lists, on anything malformed.
    """
    if len(parts) != 3:
        raise StreamError(
            "parts", f"a frame has 3 parts (topic, header, payload), got {len(parts)}"
        )
    stream = decode_topic(parts[0])
    header = _decode_header(parts[1])
    leads = _check(header)
    samples = _decode_payload(parts[2], header)
    if header.t_ns > _LATE_NS:
        _check_times(header, len(samples))
    return Chunk(
        stream,
        header.epoch,
        header.seq,
        header.first,
        header.t_ns,
        header.fs,
        leads,
        samples,
    )


def decode_topic(part: bytes | memoryview) -> str:
    """The stream's name in the first part of a frame. Raises StreamError."""
    known = _topics.get(part) if isinstance(part, bytes) else None
    return _check_topic(bytes(part)) if known is None else known


def _check_topic(part: bytes) -> str:
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


def _decode_header(part: bytes | memoryview) -> Header:
    if len(part) > MAX_HEADER:
        raise StreamError("header", f"a header has at most {MAX_HEADER} bytes, got {len(part)}")
    try:
        header = _header_decoder.decode(part)
    except (ValueError, RecursionError):
        _explain(part)
    if header.v != VERSION:
        _refuse_version(header.v)
    return header


def _explain(part: bytes | memoryview) -> NoReturn:
    """Say what is wrong with a header that is not a Header: version, then keys, then types."""
    try:
        found: Any = msgspec.msgpack.decode(part)
    except (ValueError, TypeError, RecursionError) as error:
        raise StreamError("header", f"the header is no MessagePack map: {error}") from None
    if not isinstance(found, dict) or not _all_strings(found):
        raise StreamError(
            "header", f"the header is no MessagePack map with string keys but {brief(found)}"
        )
    if type(found.get("v")) is int and found["v"] != VERSION:
        _refuse_version(found["v"])
    if missing := [name for name in _TYPES if name not in found]:
        raise StreamError("key", f"the header lacks {', '.join(missing)}")
    for name, (types, expected) in _TYPES.items():
        value = found[name]
        if type(value) not in types or (name == "leads" and not _all_strings(value)):
            raise StreamError("type", f"header: {name} must be {expected}, got {brief(value)}")
    raise StreamError("header", f"the header cannot be read: {brief(found)}")


def _all_strings(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _refuse_version(version: int) -> NoReturn:
    raise StreamError("version", f"this daemon speaks version {VERSION}, got v = {version}")


def _check(header: Header) -> tuple[str, ...]:
    """The leads, if all values are allowed: one comparison after the other, for most are."""
    leads = _leads.get(header.leads)
    if (
        leads is None
        or not -_INT64 <= header.epoch < _INT64
        or not 0 <= header.seq < _INT64
        or not 0 <= header.first <= MAX_FIRST
        or not MIN_TIME_NS <= header.t_ns <= MAX_TIME_NS
        or not MIN_FS <= header.fs <= MAX_FS
        or header.scale == 0
        or not math.isfinite(header.scale)
        or not math.isfinite(header.offset)
        or header.dtype not in _DTYPES
    ):
        return _check_each(header)
    return leads


def _check_each(header: Header) -> tuple[str, ...]:
    """Say what is not allowed, if anything; else remember the leads."""
    for name, low, high in _RANGES:
        if not low <= getattr(header, name) <= high:
            _out_of_range(name, f"within {low:,}..{high:,}", getattr(header, name))
    if header.scale == 0 or not math.isfinite(header.scale):
        _out_of_range("scale", "finite and not 0", header.scale)
    if not math.isfinite(header.offset):
        _out_of_range("offset", "finite", header.offset)
    if header.dtype not in _DTYPES:
        raise StreamError("dtype", f"header: dtype must be <i2 or <f4, got {brief(header.dtype)}")
    check_leads(header.leads)
    if len(_leads) >= _MAX_LEAD_SETS:
        _leads.clear()
    return _leads.setdefault(header.leads, header.leads)


def _check_times(header: Header, count: int) -> None:
    """Raise StreamError where 64 bits cannot hold the time of the last of ``count`` samples."""
    end = header.t_ns + round((count - 1) * 1e9 / header.fs)
    if end > MAX_TIME_NS:
        raise StreamError(
            "range",
            f"header: t_ns must leave room for the times of all {count} samples, "
            f"at most {MAX_TIME_NS}, got {header.t_ns}",
        )


def check_leads(leads: Sequence[str]) -> None:
    """Raise StreamError unless there are 1-16 leads with decent names."""
    if not 1 <= len(leads) <= MAX_LEADS:
        raise StreamError("leads", f"a stream has 1-{MAX_LEADS} leads, got {len(leads)}")
    for name in leads:
        if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
            raise StreamError(
                "leads",
                f"a lead's name has 1-{MAX_NAME} printable characters, got {brief(name)}",
            )


def _out_of_range(name: str, expected: str, value: float) -> NoReturn:
    raise StreamError("range", f"header: {name} must be {expected}, got {value}")


def _decode_payload(part: bytes | memoryview, header: Header) -> Floats:
    dtype = _DTYPES[header.dtype]
    row = dtype.itemsize * len(header.leads)
    count, rest = divmod(len(part), row)
    if rest or not 1 <= count <= MAX_SAMPLES:
        raise StreamError(
            "payload",
            f"the payload holds 1-{MAX_SAMPLES} samples of {row} bytes "
            f"({len(header.leads)} leads, {header.dtype}), got {len(part)} bytes",
        )
    raw = np.frombuffer(part, dtype)
    whole = _is_whole(raw, header)
    millivolt = _decode_whole(raw, header) if whole else _decode_each(raw, header)
    return millivolt.reshape(count, len(header.leads))


def _is_whole(raw: NDArray[Any], header: Header) -> bool:
    """Whether each sample is a voltage; to look at the extremes is enough, for NaN is both."""
    low: float = raw.item(raw.argmin())
    high: float = raw.item(raw.argmax())
    if low == LOST_I2 and header.dtype == "<i2":
        return False
    offset, scale = header.offset, header.scale
    return (
        abs((low - offset) * scale) <= MAX_MILLIVOLT
        and abs((high - offset) * scale) <= MAX_MILLIVOLT
    )


def _decode_whole(raw: NDArray[Any], header: Header) -> Floats:
    """Millivolt where each sample is a voltage: all arithmetic stays finite."""
    if header.dtype == "<f4" and header.scale == 1.0 and header.offset == 0.0:
        return raw.copy()
    millivolt: Doubles = raw.astype(np.float64)
    if header.offset != 0.0:
        millivolt -= header.offset
    millivolt *= header.scale
    return millivolt.astype(np.float32)


def _decode_each(raw: NDArray[Any], header: Header) -> Floats:
    """Millivolt, with NaN for each that is none."""
    with np.errstate(invalid="ignore", over="ignore"):  # a signalling NaN is just a lost sample
        millivolt: Doubles = (raw.astype(np.float64) - header.offset) * header.scale
        lost = ~(np.abs(millivolt) <= MAX_MILLIVOLT)
    if header.dtype == "<i2":
        lost |= raw == LOST_I2
    millivolt[lost] = np.nan
    return millivolt.astype(np.float32)


def encode_frame(
    chunk: Chunk, dtype: str = "<f4", scale: float = 1.0, offset: float = 0.0
) -> list[bytes]:
    """The frame's three parts. Raises UsageError where a sample does not fit into ``dtype``."""
    header = Header(
        v=VERSION,
        epoch=chunk.epoch,
        seq=chunk.seq,
        first=chunk.first,
        t_ns=chunk.t_ns,
        fs=chunk.fs,
        leads=chunk.leads,
        dtype=dtype,
        scale=scale,
        offset=offset,
    )
    payload = encode_payload(chunk.samples, dtype, scale, offset).tobytes()
    return [topic_of("ecg", chunk.stream), _header_encoder.encode(header), payload]


def encode_payload(
    samples: Floats, dtype: str, scale: float, offset: float
) -> NDArray[np.float32] | NDArray[np.int16]:
    """Samples in mV as a payload holds them. Raises UsageError where they do not fit."""
    raw = samples.astype(np.float64) / scale + offset
    if dtype == "<f4":
        return raw.astype("<f4")
    if dtype != "<i2":
        raise UsageError(f"dtype must be <i2 or <f4, got {dtype!r}")
    lost = np.isnan(raw)
    raw = np.rint(np.where(lost, 0.0, raw))
    if np.abs(raw).max(initial=0) > -LOST_I2 - 1:
        raise UsageError(f"a sample of {np.nanmax(np.abs(samples))} mV does not fit into <i2")
    return np.where(lost, LOST_I2, raw).astype("<i2")
