"""Alarm `rhythm.ventricular-fibrillation`, which counts ventricular flutter too.

Knows rhythm statuses, and of beats only which are the patient's own: a QRS detector finds none in
fibrillation, or some, and neither means anything. A pure fold.

Where the latest beats are mostly the patient's own, on both leads, the heart beats, whatever the
signal looks like: there is none. One lead alone is no proof: its template may have become that of
fibrillation.

A stream that has not shown OWN_BEATS of them is young: electrodes are being put on. There the
condition must last for YOUNG_S before it is told.
"""

from collections.abc import Sequence
from typing import ClassVar, Protocol

import numpy as np
from msgspec import Struct

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import (
    VENTRICULAR_FIBRILLATION,
    AlarmEvent,
    AlarmInput,
    DetectorInNumbers,
    episode_event,
)
from beatgan.alarms.facts import Facts
from beatgan.alarms.memory import NONE, BeatNumbers, Layout, Limits, StatusNumbers, counted, is_own
from beatgan.jit import compiled
from beatgan.types import Phase, RhythmStatus

CODE = AlarmCode.VENTRICULAR_FIBRILLATION
# Running log odds with which an episode ends. Those with which it begins, ``vf_log_odds_limit``,
# were chosen on the odd records of cudb and DS1, clean and with nstdb's noises mixed in: see
# `beatgan-train coefficients`.
ENDS = 0.0
OWN_BEATS = 20
YOUNG_S = 10.0
BEATS, MOST_BEATS = (
    3,
    6,
)  # own beats, less others, that show a heart that beats; and the most counted
OTHER = 2  # own beats that a beat which is none outweighs
BEATS_S = 2.5  # for so long after the latest of them
WINDOW_S = 3.0  # a status is of so much signal: fibrillation began this long before it shows


class State(Struct):
    """What it remembers, in samples of the source."""

    onset: int | None = None  # where fibrillation became more likely than not
    reported: bool = False
    reached: int | None = None  # where the log odds reached their limit
    own_beats: int = 0  # of the patient, OWN_BEATS at the most
    beating: int = 0  # the latest beats that were the patient's own on both leads, less others
    last: int = 0  # R peak of the latest beat


MEMORY = np.dtype(
    [
        ("onset", "i8"),
        ("reported", "?"),
        ("reached", "i8"),
        ("own_beats", "i8"),
        ("beating", "i8"),
        ("last", "i8"),
    ],
    align=True,
)


class Memory(Protocol):
    """A record of dtype MEMORY: `State` in numbers."""

    onset: int
    reported: bool
    reached: int
    own_beats: int
    beating: int
    last: int


@compiled
def take_beat(m: Memory, b: BeatNumbers) -> None:
    """Whether the heart beats."""
    m.own_beats = counted(m.own_beats, b, OWN_BEATS)
    change = 1 if b.leads_agree == 1 and is_own(b) else -OTHER
    m.beating = min(max(m.beating + change, 0), MOST_BEATS)
    m.last = b.sample


@compiled
def take_status(m: Memory, limits: Limits, s: StatusNumbers) -> bool:
    """Whether an episode begins or ends, by which it is reported or not any more."""
    beats = m.beating >= BEATS and s.sample - m.last < BEATS_S * limits.fs
    if s.vf_log_odds <= ENDS or beats:
        if m.reported:
            return True
        m.onset = m.reached = NONE
        return False
    if m.onset == NONE:
        m.onset = max(0, s.sample - round(WINDOW_S * limits.fs))
    if m.reported or s.vf_log_odds < limits.vf_log_odds_limit:
        return False
    if m.reached == NONE:
        m.reached = s.sample
    young = m.own_beats < OWN_BEATS
    return not (young and s.sample - m.reached < YOUNG_S * limits.fs)


class VentricularFibrillationDetector(DetectorInNumbers[State]):
    """Begins when the log odds reach their limit, dated back to where they left `ENDS`."""

    __slots__ = ()
    bit: ClassVar[int] = VENTRICULAR_FIBRILLATION
    part: ClassVar[str] = "fibrillation"
    layout: ClassVar[Layout] = Layout(MEMORY, State)

    def tell(self, event: AlarmInput) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        state, known_at = self.state, event.known_at
        if not isinstance(event, RhythmStatus) or state.onset is None:
            return ()
        if state.reported:
            return self._end(event.sample, known_at)
        state.reported = True
        self.state = state
        lasted = Facts(duration_s=(known_at - state.onset) / self.watch.fs)
        return (episode_event(CODE, Phase.START, state.onset, state.onset, known_at, lasted),)

    def close(self, sample: int) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        return self._end(sample, sample)

    def _end(self, at: int, known_at: int) -> Sequence[AlarmEvent]:
        """There is no fibrillation at ``at``."""
        before = self.state
        self.state = State(own_beats=before.own_beats, beating=before.beating, last=before.last)
        if before.onset is None or not before.reported:
            return ()
        return (episode_event(CODE, Phase.END, before.onset, at, known_at),)
