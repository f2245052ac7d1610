"""Beats and alarms as a WFDB annotation file, as WAVE, LightWAVE and bxb read it.

Symbols and rhythm labels are those of the WFDB Applications Guide, annotations.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import numpy as np

from beatgan.alarms.codes import AlarmCode
from beatgan.errors import UsageError
from beatgan.library.beat_table import Beats
from beatgan.library.episodes import Episode

ANNOTATOR: Final = "bg"
UNSCORED, UNCLASSIFIED = "Q", "N"  # a beat without a class: unusable, or of a model without any
RHYTHM, QUALITY, COMMENT = "+", "~", '"'
LABELS: Final[Mapping[str, str]] = {  # standard rhythm labels
    AlarmCode.VENTRICULAR_RUN: "(VT",
    AlarmCode.ATRIAL_FIBRILLATION: "(AFIB",
    AlarmCode.IDIOVENTRICULAR: "(IVR",
    AlarmCode.VENTRICULAR_BIGEMINY: "(B",
    AlarmCode.BRADYCARDIA: "(SBR",
}
AFTERWARDS = "(N"
FLUTTER = AlarmCode.VENTRICULAR_FIBRILLATION  # between [ and ]


class Mark(NamedTuple):
    """One annotation."""

    sample: int
    symbol: str
    note: str = ""


def write(
    record: str | Path,
    annotator: str,
    fs: float,
    beats: Beats,
    episodes: Sequence[Episode],
    length: int,
) -> Path:
    """Write the annotations of the record; the file's path, ``RECORD.ANNOTATOR``.

    A beat's symbol is its class; its note its score, with ``!`` where it is anomalous. ``length``
    is the record's, in samples. Raises UsageError where the name is none, the file cannot be
    written or wfdb is not installed.
    """
    target = Path(record)
    if not annotator.isascii() or not annotator.isalpha() or annotator in ("hea", "dat"):
        raise UsageError(f"annotator {annotator!r}: expected letters, as {ANNOTATOR!r}")
    marks = marks_of(beats, episodes, length)
    if not marks:
        raise UsageError(f"{target}.{annotator}: no beat and no episode to annotate")
    try:
        import wfdb  # noqa: F401
    except ImportError:
        raise UsageError(
            "annotations: wfdb is not installed; pip install 'beatgan[records]'"
        ) from None
    path = target.with_name(f"{target.name}.{annotator}")
    try:
        with TemporaryDirectory(dir=target.parent, prefix=".beatgan-") as folder:
            _write(target.name, annotator, fs, marks, folder)
            (Path(folder) / path.name).replace(path)  # whole or not at all
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be written: {error}") from error
    return path


def _write(record: str, annotator: str, fs: float, marks: Sequence[Mark], folder: str) -> None:
    from wfdb import wrann

    wrann(
        record,
        annotator,
        sample=np.array([mark.sample for mark in marks]),
        symbol=[mark.symbol for mark in marks],
        aux_note=[mark.note for mark in marks],
        fs=fs,
        write_dir=folder,
    )


def marks_of(beats: Beats, episodes: Sequence[Episode], length: int) -> list[Mark]:
    """The annotations in order, no two of one kind at one sample."""
    marks = [_beat(beat) for beat in beats]
    for episode in episodes:
        marks += _marks(episode, length)
    marks.sort(key=lambda mark: (mark.sample, mark.symbol))
    return marks


def _beat(beat: Any) -> Mark:
    score = float(beat["score"])
    note = "" if np.isnan(score) else f"{score:.3f}{'!' if beat['anomalous'] else ''}"
    symbol = str(beat["class"]) or (UNCLASSIFIED if note else UNSCORED)
    return Mark(int(beat["sample"]), symbol, note)


def _marks(episode: Episode, length: int) -> list[Mark]:
    """Where an episode begins and, if it does, ends."""
    begin, end = episode.onset_sample, episode.end_sample
    ends = end is not None and end < length
    if episode.code == FLUTTER:
        return [Mark(begin, "["), *([Mark(end, "]")] if end is not None and ends else [])]
    if label := LABELS.get(episode.code):
        after = [Mark(end, RHYTHM, AFTERWARDS)] if end is not None and ends else []
        return [Mark(begin, RHYTHM, label), *after]
    if episode.kind == "technical":
        after = [Mark(end, COMMENT, f"{episode.code} ends")] if end is not None and ends else []
        return [Mark(begin, COMMENT, episode.code), *after]
    return [Mark(begin, COMMENT, f"{episode.code}: {episode.text}")]
