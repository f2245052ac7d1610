"""The samples of a frame, as bytes, become millivolt: in double precision, in one pass."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from beatgan.jit import compiled
from beatgan.protocol.frames import LOST_I2
from beatgan.types import Floats

MAX_MILLIVOLT: Final = 1e6  # no body makes a kilovolt; beyond it a filter's squares would overflow


@compiled
def _to_millivolt(raw: NDArray[Any], lost: float, scale: float, offset: float, out: Floats) -> None:
    """(raw - offset) * scale, and NaN for what is ``lost`` or no voltage."""
    flat = out.reshape(-1)
    for i in range(len(raw)):
        value = (np.float64(raw[i]) - offset) * scale
        is_voltage = abs(value) <= MAX_MILLIVOLT and raw[i] != lost
        flat[i] = value if is_voltage else np.nan


@compiled
def _decode_i2(payload: bytes, scale: float, offset: float, out: Floats) -> None:
    _to_millivolt(np.frombuffer(payload, np.int16), LOST_I2, scale, offset, out)


@compiled
def _decode_f4(payload: bytes, scale: float, offset: float, out: Floats) -> None:
    _to_millivolt(np.frombuffer(payload, np.float32), np.nan, scale, offset, out)


Decode = Callable[[bytes, float, float, Floats], None]  # payload, scale, offset, and where to

DECODERS: Final[Mapping[str, Decode]] = {"<i2": _decode_i2, "<f4": _decode_f4}  # by dtype
