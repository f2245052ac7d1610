"""What an LSL stream says of itself: its leads, their units, its rate. What it does not say is
asked for, never guessed."""

from dataclasses import dataclass
from math import isclose
from typing import Any, Final

import numpy as np

from beatgan.errors import StreamError
from beatgan.protocol.frames import check_leads
from beatgan.protocol.names import stream_of_record
from beatgan.records.recording import in_millivolt
from beatgan.types import MAX_FS, MIN_FS, Floats

ECG: Final = ("ecg", "ekg")  # types of channels that are leads, casefolded; and those without one


@dataclass(frozen=True, slots=True)
class Description:
    """``columns``: the channels that are ``leads``; ``scale``: millivolt a unit of each."""

    stream: str
    fs: float
    leads: tuple[str, ...]
    columns: tuple[int, ...]
    scale: Floats

    def millivolt(self, samples: Any) -> Floats:
        """From what was pulled, (n, channels), to (n, leads)."""
        values = np.asarray(samples)[:, self.columns].astype(np.float64)
        return np.asarray(values * self.scale, np.float32)


def describe(info: Any, unit: str | None, fs: float | None) -> Description:
    """From a full StreamInfo of pylsl; ``unit`` and ``fs`` where it does not say, or says wrong.

    Raises StreamError where something is missing, contradicts what is given or is no ECG.
    """
    name = info.name()
    channels = _channels(info)
    columns = tuple(
        place for place, each in enumerate(channels) if each["type"].casefold() in ("", *ECG)
    )
    if not columns:
        raise StreamError("leads", f"{name}: no channel is an ECG's, by their types")
    leads = tuple(channels[place]["label"] or f"ECG {place + 1}" for place in columns)
    check_leads(leads)
    scale = [_scale(name, channels[place], unit) for place in columns]
    rate = _rate(name, info.nominal_srate(), fs)
    return Description(stream_of_record(name), rate, leads, columns, np.array(scale, np.float64))


def _channels(info: Any) -> list[dict[str, str]]:
    """Label, type and unit of each channel; "" where it does not say."""
    found = []
    channel = info.desc().child("channels").child("channel")
    for _ in range(info.channel_count()):
        found.append({key: channel.child_value(key) for key in ("label", "type", "unit")})
        channel = channel.next_sibling()
    return found


def _scale(name: str, channel: dict[str, str], unit: str | None) -> float:
    told, given = channel["unit"], None if unit is None else in_millivolt(unit)
    if not told and given is None:
        raise StreamError("unit", f"{name}: it does not say its unit; give --unit uV, say")
    scale = in_millivolt(told) if told else given
    if scale is None:
        raise StreamError("unit", f"{name}: its unit {told!r} is no voltage; give --unit")
    if given is not None and not isclose(scale, given):
        raise StreamError("unit", f"{name}: it says {told}, --unit says {unit}")
    return scale


def _rate(name: str, nominal: float, fs: float | None) -> float:
    rate = nominal if fs is None else fs
    if not rate:
        raise StreamError("rate", f"{name}: it says no sampling rate; give --fs")
    if not MIN_FS <= rate <= MAX_FS:
        raise StreamError(
            "rate", f"{name}: {rate:g} samples a second; a stream has {MIN_FS:g} to {MAX_FS:g}"
        )
    return rate
