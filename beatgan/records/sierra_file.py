"""Philips' Sierra XML (PageWriter). Knows nothing of the other formats.

The waveforms are packed by a method of its own, XLI, which the library ``sierraecg`` unpacks. Of
III, aVR, aVL and aVF only what differs from the sum of I and II is kept.
"""

import binascii
from base64 import b64decode
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from beatgan.errors import RecordError
from beatgan.records import xml_file
from beatgan.records.recording import Recording, Signal, assemble, faults_of, nanoseconds

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

FORMAT = "Philips Sierra XML"
LIMBS = ["I", "II", "III", "aVR", "aVL", "aVF"]
STANDARD = [*LIMBS, "V1", "V2", "V3", "V4", "V5", "V6"]
CHUNK = 8  # bytes ahead of each lead
LARGEST = 100_000  # bytes of a packed lead: those of ten seconds have some 5,000


def read(path: Path) -> Recording:
    """The rhythm of the document at ``path``."""
    root = xml_file.root(path)
    with xml_file.understood(path, FORMAT):
        acquisition = root.find(".//dataacquisition")
        waves = root.find(".//parsedwaveforms")
        if acquisition is None or waves is None:
            raise RecordError(f"{path}: holds no waveforms")
        facts = acquisition.find("signalcharacteristics")
        if facts is None:
            raise RecordError(f"{path}: does not say how it was sampled")
        fs = xml_file.number(path, "the samplingrate", facts.findtext("samplingrate"))
        step = xml_file.number(path, "the resolution", facts.findtext("resolution"))
        names = waves.get("leadlabels", "").split() or STANDARD
        names = names[: int(waves.get("numberofleads", len(names)))]
        promised = xml_file.number(path, "durationperchannel", waves.get("durationperchannel"))
        columns = _unpacked(path, waves, names)
        for name, column in zip(names, columns, strict=True):
            if len(column) < (wanted := int(promised * fs / 1000)):
                raise RecordError(
                    f"{path}: cut short: lead {name} has {len(column)} of {wanted} samples"
                )
        return assemble(
            path,
            [Signal(name, "uV", fs) for name in names],
            lambda chosen: [step * columns[i].astype(np.float64) for i in chosen],
            _start_ns(acquisition),
            format=FORMAT,
        )


def _unpacked(path: Path, waves: "Element", names: list[str]) -> list[NDArray[np.int16]]:
    """Each lead's steps."""
    method = waves.get("compressmethod", waves.get("compression", "none"))
    if (waves.get("dataencoding"), method) != ("Base64", "XLI"):
        raise RecordError(f"{path}: waveforms not packed by XLI are not read")
    if names[: len(LIMBS)] != LIMBS:
        raise RecordError(f"{path}: the leads do not begin with {', '.join(LIMBS)}")
    try:
        packed = b64decode("".join((waves.text or "").split()))
    except binascii.Error:
        raise RecordError(f"{path}: the waveforms are not written in Base64") from None
    chunks = _chunks(path, packed)
    if len(chunks) < len(names):
        raise RecordError(f"{path}: cut short: {len(chunks)} of {len(names)} leads are there")
    with faults_of(path, "sierraecg"):
        from sierraecg.xli import xli_decode

        leads = [xli_decode(chunk, [])[0] for chunk in chunks[: len(names)]]
    if len({len(lead) for lead in leads}) > 1:
        raise RecordError(f"{path}: the leads are not of one length")
    return _limbs_rebuilt(leads)


def _chunks(path: Path, packed: bytes) -> list[bytes]:
    """One for each lead; sierraecg would go round in circles where a size is wrong."""
    chunks: list[bytes] = []
    at = 0
    while at < len(packed):
        size = int.from_bytes(packed[at : at + 4], "little", signed=True)
        end = at + CHUNK + size
        if not 0 < size <= LARGEST or end > len(packed):
            raise RecordError(f"{path}: cut short or damaged within lead {len(chunks) + 1}")
        chunks.append(packed[at:end])
        at = end
    return chunks


def _limbs_rebuilt(leads: list[NDArray[np.int16]]) -> list[NDArray[np.int16]]:
    """The four leads of which only a remainder is kept, from I and II."""
    i, ii, iii, avr, avl, avf = (lead.astype(np.int32) for lead in leads[:6])
    iii = ii - i - iii
    avr = -avr - (i + ii) // 2
    avl = (i - iii) // 2 - avl
    avf = (ii + iii) // 2 - avf
    return [*leads[:2], *(lead.astype(np.int16) for lead in (iii, avr, avl, avf)), *leads[6:]]


def _start_ns(acquisition: "Element") -> int:
    """When the ECG was taken, 0 where the document does not say so in a way known here."""
    try:
        stamp = f"{acquisition.get('date', '')}T{acquisition.get('time', '')}"
        return nanoseconds(datetime.fromisoformat(stamp))
    except ValueError:
        return 0
