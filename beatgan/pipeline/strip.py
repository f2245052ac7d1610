"""A strip of ECG as a message carries it: two leads, int16 (docs/protocol.md). Pure."""

from collections.abc import Sequence

import numpy as np

from beatgan.frontend import choose_leads
from beatgan.pipeline.segment import Segment
from beatgan.protocol.frames import encode_payload
from beatgan.protocol.messages import RhythmStrip
from beatgan.types import Floats

LEADS = 2  # as many as are in use
SCALE = 0.001  # mV a unit, where that is enough ...
FITS_MV = 32.767
UNITS = 65_000  # ... else so many for what the signal spans
MOVES_MV = 0.01  # a lead that moves less carries nothing


def strip_of(segment: Segment, end: int) -> RhythmStrip | None:
    """The strip before sample ``end`` of the segment; None where none is kept, or nothing was.

    Of the leads that the model prefers, best first, it has the first two that carry a signal.
    """
    if segment.recent is None:
        return None
    first, samples = segment.recent.cut(end)
    if not len(samples):
        return None
    preferred = choose_leads(segment.leads, segment.preferred_leads, len(segment.leads))
    columns = _with_signal(samples, preferred)
    strip = samples[:, columns]
    scale, offset = _units(strip)
    return RhythmStrip(
        first=first,
        fs=segment.fs,
        leads=tuple(segment.leads[column] for column in columns),
        scale=scale,
        offset=offset,
        samples=encode_payload(strip, "<i2", scale, offset).tobytes(),
    )


def _with_signal(samples: Floats, preferred: Sequence[int]) -> list[int]:
    """The first LEADS columns that carry a signal; others where there are too few."""
    leads = np.ascontiguousarray(samples.T)
    moves = np.fmax.reduce(leads, axis=1) - np.fmin.reduce(leads, axis=1) > MOVES_MV  # NaN: no
    return sorted(preferred, key=lambda column: not moves[column])[:LEADS]


def _units(millivolt: Floats) -> tuple[float, float]:
    """(scale, offset): mV a unit and units at 0 mV, so that all fits into 16 bits."""
    flat = millivolt.reshape(-1)
    low, high = float(np.fmin.reduce(flat)), float(np.fmax.reduce(flat))
    if not max(-low, high) > FITS_MV:  # or all is lost
        return SCALE, 0.0
    scale = max(SCALE, (high - low) / UNITS)
    return scale, -float(round((high + low) / 2 / scale))
