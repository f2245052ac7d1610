"""Alarm `rhythm.asystole`: no beat while one could have been seen.

Knows rhythm statuses and when beats were found, no waveform and no score. A pure fold.

No episode begins before the stream had a beat: until then nobody knows whether electrodes are
attached, and `signal.flat` reports the line. Nor does one begin while the signal is lost, saturated
or moves so much that beats could be hidden in it, nor while it looks like ventricular fibrillation,
which is another alarm. One under way goes on through all that, and ends with the second beat that
follows: the first may be an artefact.
"""

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import AlarmEvent, AlarmInput, InputKind, episode_event
from beatgan.alarms.facts import Facts
from beatgan.alarms.limits import AlarmLimits
from beatgan.types import Phase, RhythmStatus, Score

CODE = AlarmCode.ASYSTOLE
VF_LOG_ODDS = 0.0  # above that it is no asystole
CONFIRMED_S = 0.05  # this much longer: a beat is found only after some 0.3 s
NEXT_S = 0.2  # a beat this long after another is another


class State(Struct):
    """What it remembers, in samples of the source."""

    had_beat: bool = False  # whether the stream had one
    onset: int | None = None  # the last beat before the episode under way
    returned: int | None = None  # the first beat after it, if there was one


class AsystoleDetector:
    """Begins `asystole_s` after the last beat and is dated back to it."""

    takes: ClassVar[frozenset[InputKind]] = frozenset({Score, RhythmStatus})

    def __init__(self, limits: AlarmLimits, fs: float) -> None:
        self.limits, self._fs = limits, fs
        self.state = State()

    def push(self, event: AlarmInput) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        if isinstance(event, Score):
            return self._beat(event)
        if isinstance(event, RhythmStatus):
            return self._status(event)
        return ()

    def close(self, sample: int) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        return () if self.state.onset is None else (self._end(sample, sample),)

    def _status(self, status: RhythmStatus) -> Sequence[AlarmEvent]:
        state, last = self.state, status.sample - status.samples_since_beat
        limit = (self.limits.asystole_s + CONFIRMED_S) * self._fs
        paused = status.signal_ok and status.samples_since_beat >= limit
        if state.onset is None:
            if not (paused and state.had_beat and status.vf_log_odds <= VF_LOG_ODDS):
                return ()
            state.onset = last
            lasted = Facts(duration_s=(status.known_at - last) / self._fs)
            return (episode_event(CODE, Phase.START, last, last, status.known_at, lasted),)
        if paused:
            state.returned = None
        elif state.returned is None and last > state.onset:
            state.returned = last
        return ()

    def _beat(self, score: Score) -> Sequence[AlarmEvent]:
        state, at = self.state, score.beat.sample
        state.had_beat = True
        if state.returned is None or at < state.returned + NEXT_S * self._fs:
            return ()
        return (self._end(state.returned, score.known_at),)

    def _end(self, at: int, known_at: int) -> AlarmEvent:
        onset = at if self.state.onset is None else self.state.onset
        self.state.onset = self.state.returned = None
        return episode_event(CODE, Phase.END, onset, at, known_at)
