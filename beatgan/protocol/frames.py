"""ECG frames as bytes (docs/protocol.md): what they are, and how they are made.

They are read in frame_decoder.py. What goes out is in messages.py.
"""

from collections.abc import Sequence
from reprlib import repr as brief
from sys import float_info
from typing import Annotated, Final

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from beatgan.errors import StreamError, UsageError
from beatgan.protocol.messages import VERSION
from beatgan.protocol.names import MAX_NAME, topic_of
from beatgan.types import (
    MAX_FIRST,
    MAX_FS,
    MAX_LEADS,
    MAX_TIME_NS,
    MIN_FS,
    MIN_TIME_NS,
    Chunk,
    Floats,
)

MAX_SAMPLES: Final = 65_536  # in one frame
MAX_HEADER: Final = 8_192  # bytes; 16 lead names of 64 four-byte characters fit twice
LOST_I2: Final = -32_768

_INT64 = 2**63
_Finite = Annotated[float, Meta(ge=-float_info.max, le=float_info.max)]


class Header(msgspec.Struct, frozen=True, gc=False):
    """The second part of an ECG frame. Unknown keys are ignored.

    Decoding refuses what lies beyond the limits; ``leads``, ``dtype`` and a ``scale`` of 0 are
    still to be checked.
    """

    v: Annotated[int, Meta(ge=VERSION, le=VERSION)]
    epoch: Annotated[int, Meta(ge=-_INT64, le=_INT64 - 1)]
    seq: Annotated[int, Meta(ge=0, le=_INT64 - 1)]
    first: Annotated[int, Meta(ge=0, le=MAX_FIRST)]
    t_ns: Annotated[int, Meta(ge=MIN_TIME_NS, le=MAX_TIME_NS)]
    fs: Annotated[float, Meta(ge=MIN_FS, le=MAX_FS)]
    leads: tuple[str, ...]
    dtype: str
    scale: _Finite
    offset: _Finite


_header_encoder = msgspec.msgpack.Encoder()


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
