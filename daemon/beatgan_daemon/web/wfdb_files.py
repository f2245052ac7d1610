"""A strip as a WFDB record in a ZIP: header, samples in nanovolt, annotations of its beats.

Written by hand: it is little, and the library for it brings more than this process has otherwise.
Format 32 and MIT annotations, as header(5), signal(5) and annot(5) of WFDB have them.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import floor, log10
from struct import pack
from typing import Final
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np

from beatgan.explain.strip import EcgStrip
from beatgan.protocol.messages import AlertMessage
from beatgan_daemon.web.kept_strip import Beat, KeptStrip

CODES: Final[Mapping[str, int]] = {"N": 1, "S": 9, "V": 5, "F": 6, "Q": 13}
NOTE, SKIP, AUX = 22, 59, 63
NANOVOLT, LOST, MOST = 1_000_000, -(2**31), 2**31 - 1  # to a millivolt; of 32 bits
LONGEST: Final = 255  # bytes of a note


def wfdb_zip(name: str, kept: KeptStrip, alarm: AlertMessage) -> bytes:
    """The record ``name`` with its three files."""
    gain, units = _units(kept.strip)
    file = io.BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.hea", _header(name, kept, alarm, gain, units))
        archive.writestr(f"{name}.dat", units.astype("<i4").tobytes())
        archive.writestr(f"{name}.atr", _annotations(kept, alarm))
    return file.getvalue()


def _units(strip: EcgStrip) -> tuple[int, np.ndarray[tuple[int, ...], np.dtype[np.int64]]]:
    """Units to a millivolt, and the samples (n, leads) in units."""
    lost = np.isnan(strip.millivolt)
    millivolt = np.where(lost, 0.0, strip.millivolt)
    most = float(np.abs(millivolt).max(initial=0.0))
    gain = NANOVOLT if most * NANOVOLT <= MOST else 10 ** floor(log10(MOST / most))
    return gain, np.where(lost, LOST, np.rint(millivolt * gain)).astype(np.int64)


def _header(
    name: str,
    kept: KeptStrip,
    alarm: AlertMessage,
    gain: int,
    units: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
) -> bytes:
    strip = kept.strip
    began = alarm.onset_ns / 1e9 + (strip.first - alarm.onset_sample) / strip.fs
    lines = [f"{name} {len(strip.leads)} {strip.fs:g} {len(units)} {_time(began)}".rstrip()]
    for lead, values in zip(strip.leads, units.T.tolist(), strict=True):
        checksum = (sum(values) + 2**15) % 2**16 - 2**15
        first = values[0] if values else 0
        lines.append(f"{name}.dat 32 {gain}(0)/mV 32 0 {first} {checksum} 0 {lead}")
    lines += [
        f"# beatgan alarm {alarm.id}: {alarm.code}, {alarm.priority}",
        f"# sample 0 is sample {strip.first} of epoch {alarm.epoch} of stream {alarm.stream}",
        "# times are UTC by the source's clock; not a medical device",
        *([f"# {kept.note}"] if kept.note else []),
    ]
    return "".join(f"{line}\n" for line in lines).encode("ascii", "replace")


def _time(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%H:%M:%S.%f %d/%m/%Y}"
    except (ValueError, OverflowError, OSError):
        return ""


def _annotations(kept: KeptStrip, alarm: AlertMessage) -> bytes:
    """A note at the onset, and every beat, in order."""
    strip = kept.strip
    marks = [
        (each["sample"], CODES.get(each.get("class", "N"), 1), _score(each)) for each in kept.beats
    ]
    marks.append((alarm.onset_sample, NOTE, f"onset of {alarm.code}"))
    inside = [
        (sample - strip.first, *rest)
        for sample, *rest in marks
        if strip.first <= sample < strip.end
    ]
    return b"".join(_words(sorted(inside))) + b"\0\0"


def _score(beat: Beat) -> str:
    if beat.get("score") is None or beat.get("threshold") is None:
        return ""
    return f"score {beat['score']:.3f} threshold {beat['threshold']:.3f}"


def _words(marks: Sequence[tuple[int, int, str]]) -> Iterator[bytes]:
    at = 0
    for sample, code, text in marks:
        step, at = sample - at, sample
        if step > 1_023:
            yield pack("<HHH", SKIP << 10, step >> 16, step & 0xFFFF)
            step = 0
        yield pack("<H", code << 10 | step)
        if note := text.encode("ascii", "replace")[:LONGEST]:
            yield pack("<H", AUX << 10 | len(note)) + note + b"\0" * (len(note) % 2)
