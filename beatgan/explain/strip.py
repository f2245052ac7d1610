"""Some seconds of one stream's ECG, in millivolt: what is drawn, sent or stored of an alarm."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beatgan.errors import UsageError
from beatgan.protocol.frames import LOST_I2, encode_payload
from beatgan.protocol.messages import RhythmStrip
from beatgan.types import Doubles

FINEST_MV, STEPS = 0.001, 32_000  # of a message's strip: a unit, and units to each side


@dataclass(frozen=True, slots=True, eq=False)
class EcgStrip:
    """``millivolt``: (n, leads), NaN where lost; ``first``: the source's count of its first sample;
    ``fs`` in Hz."""

    first: int
    fs: float
    leads: tuple[str, ...]
    millivolt: Doubles

    @property
    def end(self) -> int:
        """The sample after its last."""
        return self.first + len(self.millivolt)


def read_strip(strip: RhythmStrip) -> EcgStrip:
    """The strip of an alert. Raises UsageError where its samples are not of these leads."""
    width = 2 * len(strip.leads)
    if not strip.leads or len(strip.samples) % width:
        raise UsageError(f"strip: {len(strip.samples)} bytes are no samples of {strip.leads}")
    raw = np.frombuffer(strip.samples, strip.dtype).reshape(-1, len(strip.leads))
    millivolt = in_millivolt(raw, strip.scale, strip.offset)
    return EcgStrip(strip.first, strip.fs, strip.leads, millivolt)


def in_millivolt(raw: NDArray[Any], scale: float, offset: float) -> Doubles:
    """Samples as they are sent, ``<i2`` or ``<f4``, in mV; NaN where they say that one is lost."""
    millivolt: Doubles = (raw.astype(np.float64) - offset) * scale
    if raw.dtype == "<i2":
        millivolt[raw == LOST_I2] = np.nan
    return millivolt


def message_strip(strip: EcgStrip) -> RhythmStrip:
    """As an alert carries it: 16 bits a sample, of 1 microvolt or as many as it takes."""
    known = strip.millivolt[~np.isnan(strip.millivolt)]
    scale = max(FINEST_MV, float(np.abs(known).max(initial=0.0)) / STEPS)
    samples = encode_payload(strip.millivolt.astype(np.float32), "<i2", scale, 0.0).tobytes()
    return RhythmStrip(
        first=strip.first, fs=strip.fs, leads=strip.leads, scale=scale, offset=0.0, samples=samples
    )
