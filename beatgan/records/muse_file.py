"""GE MUSE's XML of a resting ECG. Knows nothing of the other formats.

The file holds the leads that were measured; III, aVR, aVL and aVF are sums of I and II, which MUSE
leaves to whoever reads it, and which add nothing here.
"""

import binascii
from base64 import b64decode
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from beatgan.errors import RecordError
from beatgan.records import xml_file
from beatgan.records.recording import Recording, Signal, assemble, nanoseconds
from beatgan.types import Doubles

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

FORMAT = "GE MUSE XML"
DATES = ("%m-%d-%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S")  # MUSE writes the first


def read(path: Path) -> Recording:
    """The rhythm of the document at ``path``; the median beat is no recording and is left out."""
    root = xml_file.root(path)
    with xml_file.understood(path, FORMAT):
        rhythms = [w for w in root.iter("Waveform") if _kind(w) == "rhythm"]
        if not rhythms:
            raise RecordError(f"{path}: holds no waveform of type Rhythm")
        rhythm = rhythms[0]
        fs = _rate(path, rhythm)
        leads = list(rhythm.iter("LeadData"))
        names = [xml_file.text(path, lead, "LeadID") for lead in leads]
        units = [lead.findtext("LeadAmplitudeUnits", "").strip() for lead in leads]
        signals = [Signal(n, u, fs) for n, u in zip(names, units, strict=True)]
        columns = [_samples(path, n, lead) for n, lead in zip(names, leads, strict=True)]
        if len({len(column) for column in columns}) > 1:
            raise RecordError(f"{path}: the leads are not of one length")
        off = [n for n, lead in zip(names, leads, strict=True) if _is_off(lead)]
        return assemble(
            path,
            signals,
            lambda chosen: [columns[i] for i in chosen],
            _start_ns(root),
            format=FORMAT,
            notes=[f"{name} was off the skin" for name in off],
        )


def _kind(waveform: "Element") -> str:
    return waveform.findtext("WaveformType", "").strip().casefold()


def _is_off(lead: "Element") -> bool:
    return lead.findtext("LeadOff", "").strip().casefold() == "true"


def _rate(path: Path, rhythm: "Element") -> float:
    base = xml_file.number(path, "the SampleBase", rhythm.findtext("SampleBase"))
    power = xml_file.number(path, "the SampleExponent", rhythm.findtext("SampleExponent", "0"))
    return float(base * 10.0**power)


def _samples(path: Path, name: str, lead: "Element") -> Doubles:
    """The values in the lead's own unit."""
    try:
        content = b64decode("".join(xml_file.text(path, lead, "WaveFormData").split()))
    except binascii.Error:
        raise RecordError(f"{path}: lead {name} is not written in Base64, or damaged") from None
    if xml_file.number(path, "the LeadSampleSize", lead.findtext("LeadSampleSize", "2")) != 2:
        raise RecordError(f"{path}: lead {name} has samples of another size than two bytes")
    counts = np.frombuffer(content[: len(content) // 2 * 2], "<i2")
    promised = lead.findtext("LeadSampleCountTotal")
    if promised and len(counts) < (wanted := xml_file.number(path, "the sample count", promised)):
        raise RecordError(f"{path}: cut short: lead {name} has {len(counts)} of {wanted:g} samples")
    step = xml_file.number(
        path, "LeadAmplitudeUnitsPerBit", lead.findtext("LeadAmplitudeUnitsPerBit")
    )
    return counts * step


def _start_ns(root: "Element") -> int:
    """When the ECG was taken, 0 where the document does not say so in a way known here."""
    test = root.find("TestDemographics")
    if test is None:
        return 0
    stamp = f"{test.findtext('AcquisitionDate', '')} {test.findtext('AcquisitionTime', '')}"
    for layout in DATES:
        try:
            return nanoseconds(datetime.strptime(stamp.strip(), layout))
        except ValueError:
            continue
    return 0
