"""Alarm `rhythm.pause`: the heart paused, for less long than an asystole.

Knows rhythm statuses, and beats with the interval before each; no waveform. A pure fold.

A pause is known with the beat that ends it: until then it may become an asystole, which then is the
only alarm. It counts where no lead had a beat meanwhile, where that did not look like ventricular
fibrillation, and where the signal is good at both ends: whether a beat could be hidden is not known
of so short a time.
"""

from collections.abc import Sequence
from typing import ClassVar, Protocol

import numpy as np
from msgspec import Struct

from beatgan.alarms.asystole import CONFIRMED_S, VF_LOG_ODDS
from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import (
    PAUSE,
    AlarmEvent,
    AlarmInput,
    DetectorInNumbers,
    episode_event,
)
from beatgan.alarms.facts import Facts
from beatgan.alarms.memory import NONE, BeatNumbers, Layout, Limits, StatusNumbers
from beatgan.jit import compiled
from beatgan.types import Phase, Score

CODE = AlarmCode.PAUSE
SAME_S = 0.15  # so near, what two leads say of one beat is the same
UNKNOWN_S = 0.3  # of a pause, at its end: the beat that ends it may be found with the next status


class State(Struct):
    """What it remembers."""

    good: bool = False  # whether the latest beat's signal was
    quiet: int | None = None  # R peak after which no lead had a beat for almost as long as a pause
    ruled_out: bool = False  # whether that is an asystole, or looks like VF


MEMORY = np.dtype([("good", "?"), ("quiet", "i8"), ("ruled_out", "?")], align=True)


class Memory(Protocol):
    """A record of dtype MEMORY: `State` in numbers."""

    good: bool
    quiet: int
    ruled_out: bool


@compiled
def take_beat(m: Memory, limits: Limits, b: BeatNumbers) -> bool:
    """Whether a pause ends with this beat."""
    was_good, m.good = m.good, b.good
    if not (was_good and b.good and b.rr_ms >= 1000 * limits.pause_s):
        return False
    if m.quiet == NONE or m.ruled_out:
        return False
    return abs(m.quiet - _began(b.sample, b.rr_ms, limits.fs)) <= SAME_S * limits.fs


@compiled
def _began(r_peak: int, rr_ms: float, fs: float) -> int:
    """The R peak before."""
    return round(r_peak - rr_ms * fs / 1000)


@compiled
def take_status(m: Memory, limits: Limits, s: StatusNumbers) -> None:
    """Whether a pause is under way, and what it is besides."""
    lasted = s.samples_since_beat / limits.fs
    if lasted < limits.pause_s - UNKNOWN_S:
        return
    last = s.sample - s.samples_since_beat
    if last != m.quiet:
        m.quiet, m.ruled_out = last, False
    asystole = s.signal_ok and lasted >= limits.asystole_s + CONFIRMED_S
    m.ruled_out = m.ruled_out or asystole or s.vf_log_odds > VF_LOG_ODDS


class PauseDetector(DetectorInNumbers[State]):
    """An episode is over when it begins: it lasts from one beat to the next."""

    __slots__ = ()
    bit: ClassVar[int] = PAUSE
    part: ClassVar[str] = "pause"
    layout: ClassVar[Layout] = Layout(MEMORY, State)

    def tell(self, event: AlarmInput) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        if not isinstance(event, Score) or (rr_ms := event.beat.rr_ms) is None:
            return ()
        beat, facts = event.beat, Facts(duration_s=rr_ms / 1000)
        began = _began(beat.sample, rr_ms, self.watch.fs)
        return [
            episode_event(CODE, phase, began, beat.sample, event.known_at, facts)
            for phase in (Phase.START, Phase.END)
        ]

    def close(self, _sample: int) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`: no episode is ever under way."""
        return ()
