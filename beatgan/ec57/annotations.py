"""The reference annotation of a record: its beats, their AAMI classes, its spans of flutter.

Knows annotation files; knows no detector and no model.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from beatgan.beat_classes import CLASS_OF
from beatgan.errors import RecordError
from beatgan.records.recording import faults_of
from beatgan.types import Ints

Labels = NDArray[np.str_]

PACED = ("/", "f")  # symbols of a paced beat, and of one fused with a normal one
OTHER_SYMBOLS = tuple(
    ' ~|sT*D"=p^t+u![]@x()'
)  # PhysioNet's other symbols: rhythms, waves, noise, notes
ANNOTATOR = "atr"  # the usual suffix of WFDB annotation files


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """The reference annotation of one record, in samples at its own rate ``fs`` (Hz).

    ``sample`` and ``label`` (an AAMI class each) are the beats in order, flutter left out, as EC57
    asks. ``flutter`` are the spans of ventricular flutter or fibrillation, [first, last).
    ``paced``: whether any beat is paced; EC57 reports no such record. ``outside``: how many beats
    were left out since they lie outside the signal. ``unknown``: how many annotations have a symbol
    that is in no table of PhysioNet's, and are taken for no beats therefore.
    """

    fs: float
    sample: Ints
    label: Labels
    flutter: tuple[tuple[int, int], ...]
    paced: bool = False
    outside: int = 0
    unknown: int = 0

    def at(self, fs: float) -> Self:
        """The same beats counted in samples at ``fs`` Hz."""
        if fs == self.fs:
            return self
        ratio, end = fs / self.fs, int(np.iinfo(np.int64).max)
        flutter = tuple(
            (round(first * ratio), end if last == end else round(last * ratio))
            for first, last in self.flutter
        )
        sample = np.round(self.sample * ratio).astype(np.int64)
        return replace(self, fs=fs, sample=sample, flutter=flutter)

    def within(self, length: int) -> Self:
        """Only the beats inside a signal of so many samples."""
        inside = (self.sample >= 0) & (self.sample < length)
        return replace(
            self,
            sample=self.sample[inside],
            label=self.label[inside],
            outside=self.outside + int(np.count_nonzero(~inside)),
        )

    def in_flutter(self, sample: Ints) -> NDArray[np.bool_]:
        """Which of ``sample`` lie in a flutter span."""
        inside = np.zeros(len(sample), dtype=np.bool_)
        for first, last in self.flutter:
            inside |= (first <= sample) & (sample < last)
        return inside


NO_BEATS = Reference(1.0, np.empty(0, np.int64), np.empty(0, "<U1"), ())


def read_reference(
    path: str | Path, extension: str = ANNOTATOR, fs: float | None = None
) -> Reference:
    """The reference annotation of the WFDB record at ``path`` (without a suffix).

    ``fs`` (Hz) is what its samples count where neither it nor a header says: beside an EDF or CSV
    file. Raises RecordError naming the file where it is missing or unreadable.
    """
    base = Path(path)
    file = base.with_name(f"{base.name}.{extension}")
    if not file.is_file():
        raise RecordError(f"{file}: no such annotation file")
    with faults_of(file, "wfdb"):
        import wfdb

        found = wfdb.rdann(str(base), extension)
        rate = float(found.fs or fs or wfdb.rdheader(str(base)).fs)
    sample = np.asarray(found.sample, dtype=np.int64)
    symbol = np.asarray(found.symbol, dtype=np.str_)
    label = np.array([CLASS_OF.get(s, "") for s in symbol], dtype="<U1")
    whole = Reference(rate, sample, label, flutter_spans(sample, symbol))
    beats = (label != "") & ~whole.in_flutter(sample)
    paced = bool(np.isin(symbol, PACED).any())
    unknown = int(np.count_nonzero((label == "") & ~np.isin(symbol, OTHER_SYMBOLS)))
    return Reference(rate, sample[beats], label[beats], whole.flutter, paced, unknown=unknown)


def flutter_spans(sample: Ints, symbol: Labels) -> tuple[tuple[int, int], ...]:
    """The spans between ``[`` and ``]``; one still open at the end never ends."""
    spans: list[tuple[int, int]] = []
    begun: int | None = None
    for at, mark in zip(sample.tolist(), symbol.tolist(), strict=True):
        if mark == "[" and begun is None:
            begun = at
        elif mark == "]" and begun is not None:
            spans.append((begun, at))
            begun = None
    if begun is not None:
        spans.append((begun, int(np.iinfo(np.int64).max)))
    return tuple(spans)
