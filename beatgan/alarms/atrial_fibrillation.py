"""Alarm `rhythm.atrial-fibrillation`: it is suspected, by how irregular the rhythm is for long.

Knows beats' intervals, classes and template by way of `irregularity`. A pure fold. A model that
tells no classes raises none: nothing would say that ectopic beats are not why.
"""

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct, field

from beatgan.alarms import irregularity
from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import AlarmEvent, AlarmInput, InputKind, episode_event
from beatgan.alarms.irregularity import FORGET_S, Irregularity
from beatgan.alarms.limits import AlarmLimits
from beatgan.types import Phase, RhythmStatus, Score, SignalChange

CODE = AlarmCode.ATRIAL_FIBRILLATION
ROWS = 3  # whose mean log odds count
ENDS = -1.0  # mean log odds at which an episode ends
CALM = -3.0  # log odds below which a rhythm costs less: ...
SELDOM = 24  # ... the next row is due only after so many beats of good signal
LEAST_S = 30.0  # for how long there must have been beats: a shorter one is not called that


class State(Struct):
    """What it remembers."""

    rhythm: irregularity.State = field(default_factory=irregularity.State)
    log_odds: list[float] = field(default_factory=list)  # of the latest rows
    first: int | None = None  # R peak of the first beat since the rhythm was unknown ...
    last: int | None = None  # ... and of the latest
    onset: int | None = None  # of the episode under way


class AtrialFibrillationDetector:
    """Begins when the mean log odds reach their limit, dated back to the beats they are of."""

    takes: ClassVar[frozenset[InputKind]] = frozenset({Score, SignalChange, RhythmStatus})

    def __init__(self, limits: AlarmLimits, rhythm: Irregularity | None, fs: float) -> None:
        self.limits, self._rhythm, self._fs = limits, rhythm, fs
        self.state = State()

    def push(self, event: AlarmInput) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        rhythm, state, known_at = self._rhythm, self.state, event.known_at
        if rhythm is None:
            return ()
        if state.last is not None and known_at - state.last > FORGET_S * self._fs:
            ended = self.close(known_at)
            return (*ended, *self.push(event))
        if not isinstance(event, Score):
            return ()
        state.last = event.beat.sample
        if state.first is None:
            state.first = state.last
        found = rhythm.push(state.rhythm, event)
        if found is None:
            return ()
        log_odds, span = rhythm.log_odds(found), (state.rhythm.samples[0], state.last)
        if log_odds < CALM:
            state.rhythm.due_in = SELDOM
        return self.compare(log_odds, span, known_at)

    def close(self, sample: int) -> Sequence[AlarmEvent]:
        """The stream ends at ``sample``, or its rhythm is unknown from there on."""
        before, self.state = self.state, State()
        if before.onset is None or before.last is None:
            return ()
        return (episode_event(CODE, Phase.END, before.onset, before.last, sample),)

    def compare(
        self, log_odds: float, span: tuple[int, int], known_at: int
    ) -> Sequence[AlarmEvent]:
        """Whether an episode begins or ends with a row: its log odds, its first and last R peak."""
        at = span[1]
        state = self.state
        state.log_odds.append(log_odds)
        del state.log_odds[:-ROWS]
        mean = sum(state.log_odds) / ROWS  # what is not there yet counts as even
        if state.onset is not None:
            if mean > ENDS:
                return ()
            onset, state.onset = state.onset, None
            return (episode_event(CODE, Phase.END, onset, at, known_at),)
        lasts = state.first is not None and at - state.first >= LEAST_S * self._fs
        if not lasts or mean < self.limits.af_log_odds_limit:
            return ()
        onset = state.onset = span[0]
        return (episode_event(CODE, Phase.START, onset, onset, known_at),)
