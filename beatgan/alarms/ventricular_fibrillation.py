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
from typing import ClassVar

from msgspec import Struct

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import AlarmEvent, AlarmInput, InputKind, episode_event
from beatgan.alarms.facts import Facts
from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.own_beats import counted, is_own
from beatgan.types import Phase, RhythmStatus, Score

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


class VentricularFibrillationDetector:
    """Begins when the log odds reach their limit, dated back to where they left `ENDS`."""

    takes: ClassVar[frozenset[InputKind]] = frozenset({Score, RhythmStatus})

    def __init__(self, limits: AlarmLimits, fs: float) -> None:
        self.limits, self._fs = limits, fs
        self.state = State()

    def push(self, event: AlarmInput) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        if isinstance(event, Score):
            self._take_beat(event)
        if not isinstance(event, RhythmStatus):
            return ()
        if event.vf_log_odds <= ENDS or self._beats(event.sample):
            return self._end(event.sample, event.known_at)
        state = self.state
        if state.onset is None:
            state.onset = max(0, event.sample - round(WINDOW_S * self._fs))
        if state.reported or event.vf_log_odds < self.limits.vf_log_odds_limit:
            return ()
        if state.reached is None:
            state.reached = event.sample
        young = state.own_beats < OWN_BEATS
        if young and event.sample - state.reached < YOUNG_S * self._fs:
            return ()
        state.reported = True
        onset = state.onset
        lasted = Facts(duration_s=(event.known_at - onset) / self._fs)
        return (episode_event(CODE, Phase.START, onset, onset, event.known_at, lasted),)

    def _take_beat(self, score: Score) -> None:
        state, beat = self.state, score.beat
        state.own_beats = counted(state.own_beats, score, OWN_BEATS)
        change = 1 if beat.leads_agree and is_own(score) else -OTHER
        state.beating = min(max(state.beating + change, 0), MOST_BEATS)
        state.last = beat.sample

    def _beats(self, sample: int) -> bool:
        """Whether the heart beats at ``sample``."""
        return self.state.beating >= BEATS and sample - self.state.last < BEATS_S * self._fs

    def close(self, sample: int) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        return self._end(sample, sample)

    def _end(self, at: int, known_at: int) -> Sequence[AlarmEvent]:
        """There is no fibrillation at ``at``."""
        before, self.state = self.state, _without_episode(self.state)
        if before.onset is None or not before.reported:
            return ()
        return (episode_event(CODE, Phase.END, before.onset, at, known_at),)


def _without_episode(state: State) -> State:
    return State(own_beats=state.own_beats, beating=state.beating, last=state.last)
