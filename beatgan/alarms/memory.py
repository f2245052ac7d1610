"""What detectors remember in numbers: records that compiled code takes every beat into.

A detector's file declares its part of the record, and the compiled functions that take what comes
into it (see ``watch.py``). Its *state* is the same as a msgspec.Struct, which a snapshot can encode
and a later version can read: made of the record when somebody asks, and taken into it.
"""

from math import nan
from typing import Any, NamedTuple, Protocol

import numpy as np
from msgspec import Struct

from beatgan.alarms.limits import AlarmLimits
from beatgan.jit import compiled
from beatgan.types import PerClass, Quality, Score

NONE = -(2**63)  # in a record, where there is no sample; no index is that
NEVER = 2**63 - 1  # a sample count that no stream reaches
UNKNOWN = nan  # in a record, where a number is not known
UNKNOWN_CLASS: PerClass = (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
AGREEMENT = {None: UNKNOWN, False: 0.0, True: 1.0}
GOOD = Quality.GOOD  # looked up once: each beat is held against it


class BeatNumbers(NamedTuple):
    """A beat with its first score, as compiled code sees it; NaN where something is None.

    ``good``: of good signal. ``normal``, ``ventricular``, ``fusion``: probabilities of the classes.
    ``distance``, ``other_distance``: the beat's ``lead_distances``. ``leads_agree``: 1, 0 or NaN.
    """

    sample: int
    known_at: int
    rr_ms: float
    good: bool
    value: float
    threshold: float
    normal: float
    ventricular: float
    fusion: float
    distance: float
    other_distance: float
    leads_agree: float


def beat_numbers(
    score: Score,
) -> tuple[int, int, float, bool, float, float, float, float, float, float, float, float]:
    """The `BeatNumbers` of a score, in a plain tuple: it is made for each beat."""
    beat, value, probabilities = score.beat, score.value, score.probabilities
    normal, _, ventricular, fusion, _ = UNKNOWN_CLASS if probabilities is None else probabilities
    rr_ms = beat.rr_ms
    distance, other_distance = beat.lead_distances
    return (
        beat.sample,
        beat.known_at,
        UNKNOWN if rr_ms is None else rr_ms,
        beat.quality is GOOD,
        UNKNOWN if value is None else value,
        score.threshold,
        normal,
        ventricular,
        fusion,
        UNKNOWN if distance is None else distance,
        UNKNOWN if other_distance is None else other_distance,
        AGREEMENT[beat.leads_agree],
    )


class FinalNumbers(NamedTuple):
    """A beat with its final score, as compiled code sees it: see `BeatNumbers`."""

    sample: int
    known_at: int
    rr_ms: float
    good: bool
    value: float
    threshold: float
    ventricular: float


class StatusNumbers(NamedTuple):
    """A `RhythmStatus`, as compiled code sees it."""

    sample: int
    known_at: int
    samples_since_beat: int
    signal_ok: bool
    vf_log_odds: float


# --- limits ---------------------------------------------------------------------------------------

LIMITS = np.dtype(
    [
        ("fs", "f8"),  # samples a second of the stream; the others are fields of `AlarmLimits`
        ("asystole_s", "f8"),
        ("pause_s", "f8"),
        ("vt_rate", "f8"),
        ("vf_log_odds_limit", "f8"),
        ("tachycardia_rate", "f8"),
        ("bradycardia_rate", "f8"),
        ("extreme_tachycardia_rate", "f8"),
        ("extreme_bradycardia_rate", "f8"),
        ("heart_rate_delay_s", "f8"),
        ("af_log_odds_limit", "f8"),
    ]
)


class Limits(Protocol):
    """A record of dtype LIMITS."""

    fs: float
    asystole_s: float
    pause_s: float
    vt_rate: float
    vf_log_odds_limit: float
    tachycardia_rate: float
    bradycardia_rate: float
    extreme_tachycardia_rate: float
    extreme_bradycardia_rate: float
    heart_rate_delay_s: float
    af_log_odds_limit: float


def limits_record(limits: AlarmLimits, fs: float) -> tuple[float, ...]:
    """What a record of dtype LIMITS is to hold."""
    names = LIMITS.names or ()
    return (fs, *(getattr(limits, name) for name in names[1:]))


# --- the latest of something ----------------------------------------------------------------------


def latest(kind: str, most: int) -> np.dtype[np.void]:
    """The dtype of up to ``most`` numbers, the oldest first. Of kind i1 they are truth values."""
    return np.dtype([("count", "i8"), ("values", kind, (most,))], align=True)


LATEST = ("count", "values")  # the names of its fields


class Latest(Protocol):
    """A record of a dtype that `latest` makes."""

    count: int
    values: Any


@compiled
def append(numbers: Latest, number: float) -> None:
    """One more; the oldest is forgotten where there is no place."""
    last = numbers.values.size - 1
    if numbers.count <= last:
        numbers.values[numbers.count] = number
        numbers.count += 1
        return
    for i in range(last):
        numbers.values[i] = numbers.values[i + 1]
    numbers.values[last] = number


@compiled
def is_own(b: BeatNumbers) -> bool:
    """Whether a beat is one of the patient's usual ones: of good signal, and not anomalous.

    A stream that has shown few of them is young: electrodes are put on, hands move, and nobody
    knows yet what is usual. So an alarm may ask for more of it.
    """
    return b.good and b.value <= b.threshold


@compiled
def counted(own_beats: int, b: BeatNumbers, most: int) -> int:
    """``own_beats`` with this beat, if it is one; no more than ``most`` are counted."""
    return own_beats + 1 if own_beats < most and is_own(b) else own_beats


# --- records and states ---------------------------------------------------------------------------


class Part(NamedTuple):
    """A field of a record, and what a state has for it."""

    name: str
    is_state: bool  # whether it is a field of the state, too
    inner: "Layout | None"  # of a state in the state
    most: int  # of the latest numbers; 0 where it is one
    truths: bool  # whether they are truth values


class Layout:
    """How a record of ``dtype`` and a state of ``kind`` hold the same."""

    def __init__(self, dtype: Any, kind: type[Struct]) -> None:
        self._kind = kind
        nothing = kind()
        self._parts = [_part(name, dtype[name], nothing) for name in dtype.names]
        self._unused = list(np.zeros(1, dtype).item())

    def recall(self, values: tuple[Any, ...]) -> Any:
        """The state of what a record holds; ``values`` is its ``item()``."""
        found: dict[str, Any] = {}
        for part, value in zip(self._parts, values, strict=True):
            if not part.is_state:
                continue
            if part.inner is not None:
                found[part.name] = part.inner.recall(value)
            elif part.most:
                numbers = value[1][: value[0]].tolist()
                found[part.name] = list(map(bool, numbers)) if part.truths else numbers
            else:
                found[part.name] = None if value == NONE else value
        return self._kind(**found)

    def values(self, state: Struct) -> tuple[Any, ...]:
        """What a record is to hold of ``state``; what is no field of that is 0."""
        found = self._unused.copy()
        for place, part in enumerate(self._parts):
            if not part.is_state:
                continue
            value = getattr(state, part.name)
            if part.inner is not None:
                found[place] = part.inner.values(value)
            elif part.most:
                kept = value[-part.most :]
                found[place] = len(kept), kept + [0] * (part.most - len(kept))
            else:
                found[place] = NONE if value is None else value
        return tuple(found)


def _part(name: str, dtype: Any, nothing: Struct) -> Part:
    """The field ``name`` of ``dtype``, beside a state that remembers nothing."""
    if name not in nothing.__struct_fields__:
        return Part(name, False, None, 0, False)
    if dtype.names == LATEST:
        numbers = dtype["values"]
        return Part(name, True, None, numbers.shape[0], numbers.base == np.int8)
    inner = Layout(dtype, type(getattr(nothing, name))) if dtype.names else None
    return Part(name, True, inner, 0, False)
