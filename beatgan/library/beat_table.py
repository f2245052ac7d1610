"""The beats of many messages as one table: a row a beat, its last word."""

from collections.abc import Iterable
from math import nan
from typing import Any, Final

import numpy as np
from msgspec import UNSET, UnsetType

from beatgan.beat_classes import CLASSES
from beatgan.model.calibration import COMPONENTS
from beatgan.protocol.messages import BeatMessage

PROBABILITIES: Final = tuple(f"p_{each}" for each in CLASSES)
COLUMNS: Final = (
    ("n", "i8"),
    ("sample", "i8"),
    ("time_s", "f8"),
    ("rr_ms", "f8"),
    ("score", "f8"),
    ("threshold", "f8"),
    ("anomalous", "?"),
    ("quality", "U8"),
    ("lead", "U64"),
    ("class", "U1"),
    *((name, "f8") for name in PROBABILITIES),
    *((name, "f8") for name in COMPONENTS),
)
BEAT: Final = np.dtype([*COLUMNS])
Beats = np.recarray[tuple[int], np.dtype[np.record]]  # of BEAT


def beats_of(messages: Iterable[Any], fs: float) -> Beats:
    """The beats among ``messages``, in order; ``fs`` in Hz. Unknown numbers are NaN, a class ""."""
    latest: dict[int, BeatMessage] = {}
    for message in messages:
        if isinstance(message, BeatMessage):
            latest[message.n] = message
    rows = [_row(beat, fs) for beat in latest.values()]
    return np.array(rows, BEAT).view(np.recarray)


def _row(beat: BeatMessage, fs: float) -> tuple[Any, ...]:
    probabilities, parts = beat.probabilities, beat.components
    return (
        beat.n,
        beat.sample,
        beat.sample / fs,
        _number(beat.rr_ms),
        _number(beat.score),
        _number(beat.threshold),
        beat.anomalous,
        beat.quality,
        beat.lead,
        "" if beat.beat_class is UNSET else beat.beat_class,
        *(nan if probabilities is UNSET else getattr(probabilities, each) for each in CLASSES),
        *(nan if parts is UNSET else parts.get(each, nan) for each in COMPONENTS),
    )


def _number(value: float | UnsetType | None) -> float:
    return value if isinstance(value, float | int) else nan
