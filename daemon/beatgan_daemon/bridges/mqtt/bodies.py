"""ECG as the body of one MQTT message: a frame of the protocol in binary, or JSON for makers.

A frame is what frame_body.py says; its first byte is 0, that of JSON is `{`.
"""

from math import isfinite, nan
from typing import Annotated, Final

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

from beatgan.errors import StreamError
from beatgan.protocol.frames import MAX_SAMPLES, check_leads
from beatgan.records.recording import in_millivolt
from beatgan.types import MAX_FIRST, MAX_FS, MAX_TIME_NS, MIN_FS, MIN_TIME_NS, Floats

MAX_BODY: Final = 2**18  # bytes; a second of sixteen leads at the highest rate is 128 KiB
LEAD: Final = "ECG"  # of JSON that names none

Value = float | None
_Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class JsonEcg(msgspec.Struct, frozen=True, kw_only=True):
    """ECG as a maker writes it. Unknown keys are ignored.

    ``first``: index of the first sample, counted since the device began. ``samples``: numbers of
    one lead, or a list for each instant; null is a lost sample. They are in ``unit``, or ``scale``
    millivolt each. ``epoch``: another number at each start of the device, if it has one.
    ``t_ns``: UNIX time of the first sample, if it knows.
    """

    fs: Annotated[float, Meta(ge=MIN_FS, le=MAX_FS)]
    first: Annotated[int, Meta(ge=0, le=MAX_FIRST)]
    samples: Annotated[list[Value | list[Value]], Meta(min_length=1, max_length=MAX_SAMPLES)]
    unit: str | UnsetType = UNSET
    scale: float | UnsetType = UNSET
    leads: list[str] | UnsetType = UNSET
    epoch: _Int64 | UnsetType = UNSET
    t_ns: Annotated[int, Meta(ge=MIN_TIME_NS, le=MAX_TIME_NS)] | UnsetType = UNSET

    def names(self) -> tuple[str, ...]:
        """Of the leads. Raises StreamError."""
        if self.leads is not UNSET:
            check_leads(self.leads)
            return tuple(self.leads)
        if isinstance(self.samples[0], list):
            raise StreamError("key", "samples of several leads need their names: leads")
        return (LEAD,)

    def millivolt(self) -> Floats:
        """Shape (n, leads), NaN where lost. Raises StreamError."""
        leads = len(self.names())
        rows = [each if isinstance(each, list) else [each] for each in self.samples]
        if any(len(row) != leads for row in rows):
            raise StreamError("payload", f"each instant has {leads} value(s), one a lead")
        values = np.array([[nan if v is None else v for v in row] for row in rows], np.float64)
        with np.errstate(over="ignore"):  # infinite is lost, too
            return (values * self._scale()).astype(np.float32)

    def _scale(self) -> float:
        if (self.unit is UNSET) == (self.scale is UNSET):
            raise StreamError("key", "give unit, such as uV or mV, or scale, in mV: one of them")
        if self.scale is not UNSET:
            if not isfinite(self.scale) or not self.scale:
                raise StreamError("range", f"scale must be finite and not 0, got {self.scale}")
            return self.scale
        assert self.unit is not UNSET
        scale = in_millivolt(self.unit)
        if scale is None:
            raise StreamError("type", f"unit {self.unit[:32]!r} is no voltage: uV, mV or V")
        return scale


def is_binary(body: bytes) -> bool:
    """Whether it is a frame; else it is to be JSON."""
    return body[:1] == b"\0"


def json_ecg(body: bytes) -> JsonEcg:
    """Raises StreamError, which says what is wrong where."""
    try:
        return _decode(body)
    except msgspec.ValidationError as error:
        raise StreamError("type", f"JSON: {error}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StreamError("header", f"neither a frame nor JSON: {error}") from None


_decode = msgspec.json.Decoder(JsonEcg).decode
