"""DICOM waveforms (12-lead, general and ambulatory ECG). Knows nothing of the other formats."""

import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from beatgan.errors import RecordError
from beatgan.records.recording import Recording, Signal, assemble, faults_of, nanoseconds
from beatgan.types import Doubles

if TYPE_CHECKING:
    from pydicom import Dataset

FORMAT = "DICOM"
CODE = re.compile(r"(?:2:|5\.6\.3-9-)(\d{1,3})")  # of a channel's source, by MDC and by SCP-ECG
LEADS = {  # the numbers are the same in both
    **{1: "I", 2: "II", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF"},
    **{2 + k: f"V{k}" for k in range(1, 7)},
}
VALUES = {  # bits and kind of a sample -> NumPy's type
    **{(8, "SB"): "i1", (8, "UB"): "u1", (16, "SS"): "<i2", (16, "US"): "<u2"},
    **{(32, "SL"): "<i4", (32, "UL"): "<u4"},
}


def read(path: Path) -> Recording:
    """The ECG at ``path``: of its groups of simultaneous channels the longest that was recorded.

    A group that was computed from another (the median beat) is left out.
    """
    with faults_of(path, "pydicom"):
        dataset = _dataset(path)
        groups = list(dataset.get("WaveformSequence") or [])
        if not groups:
            raise RecordError(f"{path}: a DICOM file without waveforms")
        recorded = [g for g in groups if g.get("WaveformOriginality", "ORIGINAL") != "DERIVED"]
        if not recorded:
            raise RecordError(f"{path}: holds only waveforms computed from others")
        group = max(recorded, key=_seconds)
        others = [f"{_seconds(g):g} s of another group" for g in groups if g is not group]
        channels = list(group.ChannelDefinitionSequence)
        fs = float(group.SamplingFrequency)
        signals = [Signal(_name(c, k), _unit(c), fs) for k, c in enumerate(channels, 1)]
        content = _content(path, group, len(channels))

        def samples(chosen: list[int]) -> list[Doubles]:
            return [_values(group, channels[i], content[:, i]) for i in chosen]

        notes = [f"not read: {other}" for other in others]
        return assemble(path, signals, samples, _start_ns(dataset), format=FORMAT, notes=notes)


def _dataset(path: Path) -> "Dataset":
    from pydicom import config, dcmread

    # Its warnings would quote what the file says, of the patient too.
    with config.disable_value_validation():
        return dcmread(path, force=True)  # also without a preamble


def _seconds(group: "Dataset") -> float:
    return int(group.NumberOfWaveformSamples) / float(group.SamplingFrequency)


def _content(path: Path, group: "Dataset", channels: int) -> Any:
    """The steps of all channels; shape (samples, channels)."""
    kind = int(group.WaveformBitsAllocated), str(group.WaveformSampleInterpretation)
    if kind not in VALUES:
        raise RecordError(f"{path}: samples of {kind[0]} bits and kind {kind[1][:2]} are not read")
    content = np.frombuffer(group.WaveformData, dtype=np.uint8)
    size, length = kind[0] // 8, int(group.NumberOfWaveformSamples)
    wanted = length * channels * size
    if length <= 0 or channels <= 0 or len(content) < wanted:
        raise RecordError(f"{path}: cut short: {len(content)} of {wanted} bytes of samples")
    return content[:wanted].view(VALUES[kind]).reshape(length, channels)


def _values(group: "Dataset", channel: "Dataset", steps: Any) -> Doubles:
    """In the channel's unit; NaN where a value only pads."""
    values: Doubles = steps.astype(np.float64)
    values *= float(channel.get("ChannelSensitivity") or 1.0)
    values *= float(channel.get("ChannelSensitivityCorrectionFactor") or 1.0)
    values += float(channel.get("ChannelBaseline") or 0.0)
    padding = group.get("WaveformPaddingValue")
    if padding is not None:
        value = (
            np.frombuffer(bytes(padding), steps.dtype) if isinstance(padding, bytes) else padding
        )
        values[steps == value] = np.nan
    return values


def _name(channel: "Dataset", number: int) -> str:
    """The lead by its code, else by its meaning ("Lead II"), else numbered."""
    source = next(iter(channel.get("ChannelSourceSequence") or []), None)
    if source is None:
        return f"channel {number}"
    code = CODE.fullmatch(str(source.get("CodeValue", "")))
    if code and int(code[1]) in LEADS:
        return LEADS[int(code[1])]
    return str(source.get("CodeMeaning", "")).partition("(")[0].strip() or f"channel {number}"


def _unit(channel: "Dataset") -> str:
    units = next(iter(channel.get("ChannelSensitivityUnitsSequence") or []), None)
    return "" if units is None else str(units.get("CodeValue", ""))


def _start_ns(dataset: "Dataset") -> int:
    """When the acquisition began, 0 where the file does not say. Its offset from UTC is used."""
    stamp = str(dataset.get("AcquisitionDateTime") or "")
    if not stamp:
        stamp = f"{dataset.get('AcquisitionDate') or ''}{dataset.get('AcquisitionTime') or ''}"
    offset = str(dataset.get("TimezoneOffsetFromUTC") or "")
    zone = "" if "+" in stamp or "-" in stamp else offset
    try:
        return nanoseconds(datetime.fromisoformat(f"{stamp[:8]}T{stamp[8:]}{zone}"))
    except ValueError:
        return 0
