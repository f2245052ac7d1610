"""Samples as the page gets them: whole numbers of 5 microvolt.

A value is off by 2.5 microvolt at most. What is stored of an alarm is exact: strip_frames.py.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from beatgan.protocol.frames import LOST_I2, Header
from beatgan_daemon.clients.strip_frames import read_header, read_millivolt

Units = NDArray[np.int16]  # 5 microvolt each

MILLIVOLT: Final = 0.005  # of one unit
LOST: Final = LOST_I2
MOST: Final = -LOST_I2 - 1  # 163.8 mV: what is beyond stays there


class Samples(NamedTuple):
    """A frame, read: ``units`` has shape (n, leads)."""

    header: Header
    units: Units


def read_frame(head: bytes, payload: bytes) -> Samples:
    """The samples of a frame's second and third part. Raises ValueError where they are none."""
    header = read_header(head)
    return Samples(header, to_units(read_millivolt(header, payload)))


def to_units(millivolt: NDArray[np.float64]) -> Units:
    """Millivolt, NaN or infinite where lost, in units."""
    lost = ~np.isfinite(millivolt)
    units = np.rint(np.where(lost, 0.0, millivolt) / MILLIVOLT)
    return np.where(lost, LOST, np.clip(units, -MOST, MOST)).astype(np.int16)
