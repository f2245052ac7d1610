"""Every input of a stream's alarms, taken in one compiled call into what all detectors remember.

Of most beats there is nothing to tell, and the call is all that they cost. It says which detectors
may have something to tell: only those are asked. Knows what each detector takes, not what it tells.
One object serves one stream.
"""

from typing import Any, Protocol

import numpy as np

from beatgan.alarms import (
    anomalous_beats,
    asystole,
    atrial_fibrillation,
    heart_rate,
    idioventricular,
    pause,
    ventricular_ectopy,
    ventricular_fibrillation,
    ventricular_run,
)
from beatgan.alarms.detector import (
    ANOMALOUS_BEATS,
    ASYSTOLE,
    ATRIAL_FIBRILLATION,
    HEART_RATE,
    IDIOVENTRICULAR,
    PAUSE,
    TECHNICAL,
    VENTRICULAR_ECTOPY,
    VENTRICULAR_FIBRILLATION,
    VENTRICULAR_RUN,
    AlarmInput,
    FinalScore,
)
from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.memory import (
    GOOD,
    LIMITS,
    NEVER,
    UNKNOWN,
    BeatNumbers,
    FinalNumbers,
    Layout,
    Limits,
    StatusNumbers,
    beat_numbers,
    limits_record,
)
from beatgan.beat_classes import CLASSES, BeatClass
from beatgan.jit import compiled
from beatgan.types import Records, RhythmStatus, Score, SignalChange

# The detectors that are asked about a beat's first score, its final one, or anything else.
BY_BEAT = ASYSTOLE | VENTRICULAR_RUN | HEART_RATE | PAUSE | ATRIAL_FIBRILLATION
BY_FINAL_SCORE = ANOMALOUS_BEATS | VENTRICULAR_ECTOPY | IDIOVENTRICULAR
BY_TIME = VENTRICULAR_RUN | HEART_RATE | ATRIAL_FIBRILLATION | VENTRICULAR_ECTOPY | IDIOVENTRICULAR
BY_STATUS = BY_TIME | ASYSTOLE | VENTRICULAR_FIBRILLATION
VENTRICULAR = CLASSES.index(BeatClass.VENTRICULAR)

MEMORY = np.dtype(
    [
        ("limits", LIMITS),
        ("asystole", asystole.MEMORY),
        ("fibrillation", ventricular_fibrillation.MEMORY),
        ("run", ventricular_run.MEMORY),
        ("heart_rate", heart_rate.MEMORY),
        ("pause", pause.MEMORY),
        ("atrial", atrial_fibrillation.MEMORY),
        ("ectopy", ventricular_ectopy.MEMORY),
    ],
    align=True,
)


class Memory(Protocol):
    """A record of dtype MEMORY."""

    limits: Limits
    asystole: asystole.Memory
    fibrillation: ventricular_fibrillation.Memory
    run: ventricular_run.Memory
    heart_rate: heart_rate.Memory
    pause: pause.Memory
    atrial: atrial_fibrillation.Memory
    ectopy: ventricular_ectopy.Memory


def _nothing() -> bytes:
    """The memory of a stream that has just begun."""
    memory = np.zeros(1, MEMORY)
    for part, kind in (
        ("asystole", asystole.State),
        ("fibrillation", ventricular_fibrillation.State),
        ("heart_rate", heart_rate.State),
        ("pause", pause.State),
        ("atrial", atrial_fibrillation.State),
        ("ectopy", ventricular_ectopy.State),
    ):
        memory[part][0] = Layout(MEMORY[part], kind).values(kind())
    memory["ectopy"]["over_at"] = NEVER
    return memory.tobytes()


NOTHING = _nothing()


class Watch:
    """What the detectors of a stream of ``fs`` samples a second share."""

    __slots__ = ("_limits", "attentive", "fs", "memory")

    def __init__(self, limits: AlarmLimits, fs: float) -> None:
        self.fs = fs
        self.memory: Any = np.frombuffer(bytearray(NOTHING), MEMORY)  # in no time
        self.attentive = 0
        self.limits = limits

    @property
    def limits(self) -> AlarmLimits:
        """Of the stream's alarms; they may be replaced at any time."""
        return self._limits

    @limits.setter
    def limits(self, limits: AlarmLimits) -> None:
        self._limits = limits
        self.memory["limits"].view(np.float64)[:] = limits_record(limits, self.fs)

    def take(self, event: AlarmInput) -> int:
        """Take ``event`` into the memory; the bits of detectors that may tell something."""
        if isinstance(event, Score):
            return self.take_beat(event)
        if isinstance(event, FinalScore):
            return self.take_final(event.score, event.known_at)
        if isinstance(event, RhythmStatus):
            return self.take_status(event)
        return self.take_change(event)

    def take_beat(self, score: Score) -> int:
        """`take` a beat with its first score."""
        found = _take_beat(self.memory, *beat_numbers(score))
        return found | self.attentive & BY_BEAT

    def take_final(self, score: Score, known_at: int) -> int:
        """`take` a beat's final score."""
        beat, value, probabilities = score.beat, score.value, score.probabilities
        rr_ms = beat.rr_ms
        found = _take_final(
            self.memory,
            beat.sample,
            known_at,
            UNKNOWN if rr_ms is None else rr_ms,
            beat.quality is GOOD,
            UNKNOWN if value is None else value,
            score.threshold,
            UNKNOWN if probabilities is None else probabilities[VENTRICULAR],
        )
        return found | self.attentive & BY_FINAL_SCORE

    def take_status(self, status: RhythmStatus) -> int:
        """`take` a rhythm status."""
        found = _take_status(
            self.memory,
            status.sample,
            status.known_at,
            status.samples_since_beat,
            status.signal_ok,
            status.vf_log_odds,
        )
        return found | self.attentive & BY_STATUS

    def take_change(self, change: SignalChange) -> int:
        """`take` a change of the signal."""
        found = _take_time(self.memory, change.known_at)
        return found | self.attentive & BY_TIME | TECHNICAL


@compiled
def _take_beat(
    memories: Records[Memory],
    sample: int,
    known_at: int,
    rr_ms: float,
    good: bool,
    value: float,
    threshold: float,
    normal: float,
    ventricular: float,
    fusion: float,
    distance: float,
    other_distance: float,
    leads_agree: float,
) -> int:
    """See `Watch.take_beat`; ``memories`` is an array of one."""
    b = BeatNumbers(
        sample, known_at, rr_ms, good, value, threshold, normal, ventricular, fusion, distance,
        other_distance, leads_agree,
    )  # fmt: skip
    m = memories[0]
    ventricular_fibrillation.take_beat(m.fibrillation, b)
    return (
        ASYSTOLE * asystole.take_beat(m.asystole, m.limits, b)
        | VENTRICULAR_RUN * ventricular_run.take_beat(m.run, b)
        | HEART_RATE * heart_rate.take_beat(m.heart_rate, m.limits, b)
        | PAUSE * pause.take_beat(m.pause, m.limits, b)
        | ATRIAL_FIBRILLATION * atrial_fibrillation.take_beat(m.atrial, m.limits, b)
    )


@compiled
def _take_final(
    memories: Records[Memory],
    sample: int,
    known_at: int,
    rr_ms: float,
    good: bool,
    value: float,
    threshold: float,
    ventricular: float,
) -> int:
    """See `Watch.take_final`."""
    b = FinalNumbers(sample, known_at, rr_ms, good, value, threshold, ventricular)
    m = memories[0]
    return (
        ANOMALOUS_BEATS * anomalous_beats.take_final(b)
        | VENTRICULAR_ECTOPY * ventricular_ectopy.take_final(m.ectopy, b)
        | IDIOVENTRICULAR * idioventricular.take_final(m.limits, b)
    )


@compiled
def _take_status(
    memories: Records[Memory],
    sample: int,
    known_at: int,
    samples_since_beat: int,
    signal_ok: bool,
    vf_log_odds: float,
) -> int:
    """See `Watch.take_status`."""
    s = StatusNumbers(sample, known_at, samples_since_beat, signal_ok, vf_log_odds)
    m = memories[0]
    pause.take_status(m.pause, m.limits, s)
    return (
        ASYSTOLE * asystole.take_status(m.asystole, m.limits, s)
        | VENTRICULAR_FIBRILLATION
        * ventricular_fibrillation.take_status(m.fibrillation, m.limits, s)
        | _take_time(memories, known_at)
    )


@compiled
def _take_time(memories: Records[Memory], known_at: int) -> int:
    """See `Watch.take_change`: an alarm may end though no beat comes."""
    m = memories[0]
    return (
        HEART_RATE * heart_rate.take_time(m.heart_rate, m.limits, known_at)
        | ATRIAL_FIBRILLATION * atrial_fibrillation.take_time(m.atrial, m.limits, known_at)
        | VENTRICULAR_ECTOPY * ventricular_ectopy.take_time(m.ectopy, known_at)
    )
