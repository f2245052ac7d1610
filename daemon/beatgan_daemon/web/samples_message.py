"""Samples as bytes for the page: records one after another in one binary message.

Little-endian: u16 stream, u16 lead, u16 n, u16 kind, f64 first sample, f32 per second, 4 bytes of
nothing, then the values as i16. Kind SAMPLES: n values. Kind PAIRS: n pairs, least and greatest.
"""

from struct import Struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

SAMPLES: Final = 0
PAIRS: Final = 1
MOST: Final = 65_535  # values or pairs in a record
_HEAD = Struct("<HHHHdf4x")


def record(
    index: int, lead: int, kind: int, first: int, fs: float, values: NDArray[np.int16]
) -> bytes:
    """One record: ``values`` are (n,) samples or (n, 2) pairs, ``fs`` of them a second."""
    head = _HEAD.pack(index, lead, len(values), kind, first, fs)
    return head + values.astype("<i2").tobytes()
