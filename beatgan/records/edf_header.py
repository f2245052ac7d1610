"""The layout of an EDF or BDF file, and when each of its data records began.

What the library ``edfio`` does not do: it joins an interrupted recording (EDF+D) up, and takes what
is cut off, or too much, for data.
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from beatgan.errors import RecordError
from beatgan.types import Doubles

EDF_MAGIC, BDF_MAGIC = b"0       ", b"\xffBIOSEMI"
ANNOTATIONS = (b"EDF Annotations", b"BDF Annotations")
ONSET = re.compile(rb"([+-]\d+(?:\.\d*)?)(?:\x15[\d.]*)?\x14")  # of a time-stamped annotation list
SHORTEST = 1e-9  # s: two data records as far apart as they last, but for rounding


class Layout(NamedTuple):
    """Sizes in bytes; ``counts`` are each signal's samples in a data record.

    ``records`` is how many data records the header promises, -1 where it was never finished, and
    ``whole``, ``rest`` what the file holds: whole data records, and bytes behind them. ``onsets``
    is where the list of annotations lies in a record, None in plain EDF.
    """

    header: int
    sample: int
    records: int
    duration_s: float
    counts: tuple[int, ...]
    labels: tuple[bytes, ...]
    interrupted: bool
    whole: int
    rest: int

    @property
    def record(self) -> int:
        """Bytes of a data record."""
        return self.sample * sum(self.counts)

    @property
    def onsets(self) -> slice | None:
        """Where in a data record the list lies that says when it began."""
        for index, label in enumerate(self.labels):
            if label in ANNOTATIONS:
                first = self.sample * sum(self.counts[:index])
                return slice(first, first + self.sample * self.counts[index])
        return None


def read(path: Path) -> Layout:
    """The layout of the file at ``path``. Raises RecordError where its header makes no sense."""
    with path.open("rb") as file:
        size, fixed = path.stat().st_size, file.read(256)
        sample = 3 if fixed.startswith(BDF_MAGIC) else 2
        try:
            records, signals = int(fixed[236:244]), int(fixed[252:256])
            duration = float(fixed[244:252])
            heads = file.read(256 * max(0, signals))
            counts = [int(heads[216 * signals + 8 * k :][:8]) for k in range(signals)]
        except ValueError:
            raise RecordError(f"{path}: cut short or damaged within the EDF header") from None
    labels = tuple(heads[16 * k :][:16].strip() for k in range(signals))
    if not counts or min(counts) < 0 or sum(counts) == 0:
        raise RecordError(f"{path}: the EDF header describes no signal with samples")
    header = 256 * (1 + signals)
    whole, rest = divmod(max(0, size - header), sample * sum(counts))
    interrupted = fixed[192:197] in (b"EDF+D", b"BDF+D")
    return Layout(
        header, sample, records, duration, tuple(counts), labels, interrupted, whole, rest
    )


def surplus(path: Path, layout: Layout) -> int:
    """Bytes behind the last data record that the header promises.

    Raises RecordError where the file ends before that one's last sample.
    """
    whole, rest, records, length = layout.whole, layout.rest, layout.records, layout.record
    most = max(layout.counts)
    if records >= 0 and whole < records:
        missing = (records - whole) * most - rest * most // length
        raise RecordError(
            f"{path}: cut short: {whole} of {records} data records are there, "
            f"{missing} of {records * most} samples of a lead are missing"
        )
    if records < 0 and rest:  # one that was never finished does not say how long it is
        raise RecordError(
            f"{path}: cut short within data record {whole + 1}: {length - rest} bytes are missing"
        )
    return 0 if records < 0 else (whole - records) * length + rest


def onsets(path: Path, layout: Layout) -> Doubles | None:
    """When each data record began, in s since the first one did; None where none paused before.

    Raises RecordError, which names the data record, where one does not say so, or begins before the
    one ahead of it has ended.
    """
    where = layout.onsets
    if where is None and layout.interrupted:
        raise RecordError(f"{path}: interrupted (EDF+D), but does not say when it went on")
    if where is None:
        return None
    count = layout.whole if layout.records < 0 else layout.records
    content = np.memmap(path, np.uint8, "r", layout.header, (count, layout.record))
    times = np.zeros(count)
    for number, stamp in enumerate(content[:, where]):
        found = ONSET.match(stamp.tobytes())
        if not found:
            raise RecordError(f"{path}: data record {number + 1} does not say when it began")
        times[number] = float(found[1])
    pauses = np.diff(times) - layout.duration_s
    early = np.flatnonzero(pauses < -SHORTEST)
    if len(early):
        raise RecordError(
            f"{path}: data record {early[0] + 2} begins before the one ahead of it has ended"
        )
    return times - times[0] if (pauses > SHORTEST).any() else None
