"""What a detector said of each record: JSON Lines of the daemon, or WFDB annotation files.

Knows the public fields of the beat and alert messages (docs/protocol.md); knows no reference.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from msgspec import UNSET

from beatgan.beat_classes import ABNORMAL, CLASSES
from beatgan.ec57.annotations import Labels, read_reference
from beatgan.errors import UsageError
from beatgan.protocol.messages import (
    AlertLine,
    AlertMessage,
    BeatLine,
    BeatMessage,
    Line,
    decode_line,
)
from beatgan.types import Ints

END = int(np.iinfo(np.int64).max)  # of a shutdown that nobody ended


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The beats that were found in one record, in order, and its declared shutdowns.

    ``label``: the AAMI class that each beat was given, empty where it was given none. All in
    samples at ``fs`` Hz, which is None where too few beats define it. Shutdowns are [first, last);
    they may overlap.
    """

    fs: float | None
    sample: Ints
    label: Labels
    shutdowns: tuple[tuple[int, int], ...] = ()

    @property
    def classified(self) -> bool:
        """Whether any beat is told from a normal one: who finds beats alone calls them all N."""
        return bool(np.isin(self.label, ABNORMAL).any())


@dataclass(slots=True)
class _Stream:
    """What was read of one stream so far."""

    epoch: int
    beats: list[BeatLine] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)  # of the beats
    open: dict[str, int] = field(default_factory=dict)  # alert's id -> where its shutdown begins
    shutdowns: list[tuple[int, int]] = field(default_factory=list)

    def push(self, message: Line) -> None:
        """Take in one message; ValueError where it cannot follow the others."""
        if message.epoch != self.epoch:
            raise ValueError(
                f"stream {message.stream} has a second epoch: only a single run of a recording "
                "can be compared"
            )
        if isinstance(message, BeatLine):
            if message.revised:
                self._revise(message)
                return
            if self.beats and message.sample < self.beats[-1].sample:
                raise ValueError(
                    f"stream {message.stream} goes back to sample {message.sample}: are there two "
                    "runs in one file?"
                )
            self.beats.append(message)
            self.labels.append(class_of(message))
        elif isinstance(message, AlertLine) and message.kind == "technical":
            self.push_technical(message)

    def _revise(self, message: BeatLine) -> None:
        """The beat, one of the latest, has the class that this message gives it."""
        for i in reversed(range(len(self.beats))):
            if self.beats[i].sample == message.sample:
                self.labels[i] = class_of(message)
                return
        raise ValueError(
            f"stream {message.stream} revises a beat at sample {message.sample} that is not there"
        )

    def push_technical(self, alert: AlertLine | AlertMessage) -> None:
        """A shutdown begins with an alert that starts or becomes suspended, and ends likewise."""
        ends = alert.phase == "end"
        if alert.suspended and not ends:
            old = alert.sample is None and alert.phase == "start"
            begins = alert.onset_sample if old else _state_from(alert)
            self.open.setdefault(alert.id, begins)
        elif alert.id in self.open:
            last = alert.end_sample if ends else _state_from(alert)
            self.shutdowns.append((self.open.pop(alert.id), END if last is None else last))

    def whole(self) -> Detections:
        """The stream as a whole."""
        still = [(first, END) for first in self.open.values()]
        sample = np.array([beat.sample for beat in self.beats], dtype=np.int64)
        label = np.array(self.labels, "<U1")
        return Detections(_rate(self.beats), sample, label, tuple(self.shutdowns + still))


def shutdowns_of(messages: Iterable[AlertMessage | BeatMessage]) -> tuple[tuple[int, int], ...]:
    """The declared shutdowns of one stream, of which these are all messages: see `Detections`."""
    stream = _Stream(epoch=0)
    for message in messages:
        if isinstance(message, AlertMessage) and message.kind == "technical":
            stream.push_technical(message)
    return stream.whole().shutdowns


def read_streams(file: Path) -> dict[str, Detections]:
    """Each stream of the JSON Lines that ``beatgan-daemon score`` wrote, by its name.

    Raises UsageError naming the file, and the line that is no such message.
    """
    streams: dict[str, _Stream] = {}
    for number, line in enumerate(_lines(file), 1):
        try:
            message = decode_line(line)
            streams.setdefault(message.stream, _Stream(message.epoch)).push(message)
        except ValueError as error:  # msgspec's errors are such, too
            raise UsageError(
                f"{file}: line {number} is no message of beatgan-daemon score ({error})"
            ) from error
    if not streams:
        raise UsageError(f"{file}: empty; expected the JSON Lines of beatgan-daemon score")
    return {name: stream.whole() for name, stream in streams.items()}


def read_annotations(records: Mapping[str, Path], annotator: str) -> dict[str, Detections]:
    """The beats of WFDB annotation files with the suffix ``annotator``, by the record's name.

    Only beat annotations count. Raises RecordError naming the file.
    """
    found = {name: read_reference(base, annotator) for name, base in records.items()}
    return {name: Detections(each.fs, each.sample, each.label) for name, each in found.items()}


def class_of(beat: BeatLine) -> str:
    """The class that the beat was given, empty where it was given none. Raises ValueError."""
    if beat.beat_class is UNSET or beat.beat_class is None:
        return ""
    if beat.beat_class not in CLASSES:
        raise ValueError(f"class {beat.beat_class!r}: expected one of {' '.join(CLASSES)}")
    return beat.beat_class


def _lines(file: Path) -> Iterator[str]:
    try:
        with file.open(encoding="utf-8") as lines:
            yield from lines
    except (OSError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) else "no text"
        raise UsageError(
            f"{file}: {what}; expected the JSON Lines of beatgan-daemon score (for WFDB "
            "annotations say --test-annotator)"
        ) from error


def _state_from(alert: AlertLine | AlertMessage) -> int:
    """The sample from which on the message's state holds."""
    if alert.sample is None:
        raise ValueError(f"alert {alert.id} changes `suspended` but has no `sample`")
    return alert.sample


def _rate(beats: list[BeatLine]) -> float | None:
    """Samples a second, by the times of the first and the last beat."""
    apart_ns = beats[-1].time_ns - beats[0].time_ns if beats else 0
    return 1e9 * (beats[-1].sample - beats[0].sample) / apart_ns if apart_ns > 0 else None
