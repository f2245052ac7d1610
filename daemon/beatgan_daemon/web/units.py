"""Samples as the page gets them: whole numbers of 5 microvolt.

A value is off by 2.5 microvolt at most. What is stored of an alarm is exact: strip_frames.py.
"""

from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from beatgan.protocol.frames import LOST_I2, Header

Units = NDArray[np.int16]  # 5 microvolt each

MILLIVOLT: Final = 0.005  # of one unit
LOST: Final = LOST_I2
MOST: Final = -LOST_I2 - 1  # 163.8 mV: what is beyond stays there

_read_header = msgspec.msgpack.Decoder(Header).decode


class Samples(NamedTuple):
    """A frame, read: ``units`` has shape (n, leads)."""

    header: Header
    units: Units


def read_header(head: bytes) -> Header:
    """The second part of a frame. Raises ValueError where it is none."""
    return _read_header(head)


def read_frame(head: bytes, payload: bytes) -> Samples:
    """The samples of a frame's second and third part. Raises ValueError where they are none."""
    header = read_header(head)
    return Samples(header, to_units(read_millivolt(header, payload)))


def read_millivolt(header: Header, payload: bytes) -> NDArray[np.float64]:
    """The payload in mV, (n, leads), NaN where lost. Raises ValueError where it does not fit."""
    if header.dtype not in ("<i2", "<f4") or not header.leads:
        raise ValueError(f"no samples of {header.dtype} and {len(header.leads)} leads")
    raw = np.frombuffer(payload, header.dtype).reshape(-1, len(header.leads))
    with np.errstate(all="ignore"):
        millivolt: NDArray[np.float64] = (raw.astype(np.float64) - header.offset) * header.scale
    if header.dtype == "<i2":
        millivolt[raw == LOST] = np.nan
    return millivolt


def to_units(millivolt: NDArray[np.float64]) -> Units:
    """Millivolt, NaN or infinite where lost, in units."""
    lost = ~np.isfinite(millivolt)
    units = np.rint(np.where(lost, 0.0, millivolt) / MILLIVOLT)
    return np.where(lost, LOST, np.clip(units, -MOST, MOST)).astype(np.int16)
