"""Alarm `rhythm.pause`: the heart paused, for less long than an asystole.

Knows rhythm statuses, and beats with the interval before each; no waveform. A pure fold.

A pause is known with the beat that ends it: until then it may become an asystole, which then is the
only alarm. It counts where no lead had a beat meanwhile, where that did not look like ventricular
fibrillation, and where the signal is good at both ends: whether a beat could be hidden is not known
of so short a time.
"""

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct

from beatgan.alarms.asystole import CONFIRMED_S, VF_LOG_ODDS
from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import AlarmEvent, AlarmInput, InputKind, episode_event
from beatgan.alarms.facts import Facts
from beatgan.alarms.limits import AlarmLimits
from beatgan.types import Phase, Quality, RhythmStatus, Score

CODE = AlarmCode.PAUSE
GOOD = Quality.GOOD  # looked up once: each beat is held against it
SAME_S = 0.15  # so near, what two leads say of one beat is the same
UNKNOWN_S = 0.3  # of a pause, at its end: the beat that ends it may be found with the next status


class State(Struct):
    """What it remembers."""

    good: bool = False  # whether the latest beat's signal was
    quiet: int | None = None  # R peak after which no lead had a beat for almost as long as a pause
    ruled_out: bool = False  # whether that is an asystole, or looks like VF


class PauseDetector:
    """An episode is over when it begins: it lasts from one beat to the next."""

    takes: ClassVar[frozenset[InputKind]] = frozenset({Score, RhythmStatus})

    def __init__(self, limits: AlarmLimits, fs: float) -> None:
        self.limits, self._fs = limits, fs
        self.state = State()

    def push(self, event: AlarmInput) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        if isinstance(event, Score):
            return self._beat(event)
        if isinstance(event, RhythmStatus):
            self._status(event)
        return ()

    def close(self, _sample: int) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`: no episode is ever under way."""
        return ()

    def _status(self, status: RhythmStatus) -> None:
        state, limits, lasted = self.state, self.limits, status.samples_since_beat / self._fs
        if lasted < limits.pause_s - UNKNOWN_S:
            return
        if (last := status.sample - status.samples_since_beat) != state.quiet:
            state.quiet, state.ruled_out = last, False
        asystole = status.signal_ok and lasted >= limits.asystole_s + CONFIRMED_S
        state.ruled_out |= asystole or status.vf_log_odds > VF_LOG_ODDS

    def _beat(self, score: Score) -> Sequence[AlarmEvent]:
        beat, state = score.beat, self.state
        rr_ms, was_good, state.good = beat.rr_ms, state.good, beat.quality is GOOD
        if rr_ms is None or rr_ms < 1000 * self.limits.pause_s:
            return ()
        began = round(beat.sample - rr_ms * self._fs / 1000)
        if not (was_good and state.good and self._seen(began)):
            return ()
        facts = Facts(duration_s=rr_ms / 1000)
        return [
            episode_event(CODE, phase, began, beat.sample, score.known_at, facts)
            for phase in (Phase.START, Phase.END)
        ]

    def _seen(self, began: int) -> bool:
        """Whether no lead had a beat since ``began``, and it is no other alarm."""
        state = self.state
        if state.quiet is None or state.ruled_out:
            return False
        return abs(state.quiet - began) <= SAME_S * self._fs
