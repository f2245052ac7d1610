"""Alarm `rhythm.asystole`: no beat while one could have been seen.

Knows rhythm statuses and when beats were found, no waveform and no score. A pure fold.

No episode begins before the stream had a beat: until then nobody knows whether electrodes are
attached, and `signal.flat` reports the line. Nor does one begin while the signal is lost, saturated
or moves so much that beats could be hidden in it, nor while it looks like ventricular fibrillation,
which is another alarm. One under way goes on through all that, and ends with the second beat that
follows: the first may be an artefact.
"""

from collections.abc import Sequence
from typing import ClassVar, Protocol

import numpy as np
from msgspec import Struct

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import (
    ASYSTOLE,
    AlarmEvent,
    AlarmInput,
    DetectorInNumbers,
    episode_event,
)
from beatgan.alarms.facts import Facts
from beatgan.alarms.memory import NONE, BeatNumbers, Layout, Limits, StatusNumbers
from beatgan.jit import compiled
from beatgan.types import Phase, RhythmStatus

CODE = AlarmCode.ASYSTOLE
VF_LOG_ODDS = 0.0  # above that it is no asystole
CONFIRMED_S = 0.05  # this much longer: a beat is found only after some 0.3 s
NEXT_S = 0.2  # a beat this long after another is another


class State(Struct):
    """What it remembers, in samples of the source."""

    had_beat: bool = False  # whether the stream had one
    onset: int | None = None  # the last beat before the episode under way
    returned: int | None = None  # the first beat after it, if there was one


MEMORY = np.dtype([("had_beat", "?"), ("onset", "i8"), ("returned", "i8")], align=True)


class Memory(Protocol):
    """A record of dtype MEMORY: `State` in numbers."""

    had_beat: bool
    onset: int
    returned: int


@compiled
def take_beat(m: Memory, limits: Limits, b: BeatNumbers) -> bool:
    """Whether the episode under way ends with this beat."""
    m.had_beat = True
    return m.returned != NONE and b.sample >= m.returned + NEXT_S * limits.fs


@compiled
def take_status(m: Memory, limits: Limits, s: StatusNumbers) -> bool:
    """Whether an episode begins. In one, beats may return, and cease again."""
    limit = (limits.asystole_s + CONFIRMED_S) * limits.fs
    paused = s.signal_ok and s.samples_since_beat >= limit
    if m.onset == NONE:
        return paused and m.had_beat and s.vf_log_odds <= VF_LOG_ODDS
    last = s.sample - s.samples_since_beat
    if paused:
        m.returned = NONE
    elif m.returned == NONE and last > m.onset:
        m.returned = last
    return False


class AsystoleDetector(DetectorInNumbers[State]):
    """Begins `asystole_s` after the last beat and is dated back to it."""

    __slots__ = ()
    bit: ClassVar[int] = ASYSTOLE
    part: ClassVar[str] = "asystole"
    layout: ClassVar[Layout] = Layout(MEMORY, State)

    def tell(self, event: AlarmInput) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        if not isinstance(event, RhythmStatus):
            return self._end(self.state.returned, event.known_at)
        state, last = self.state, event.sample - event.samples_since_beat
        state.onset = last
        self.state = state
        lasted = Facts(duration_s=(event.known_at - last) / self.watch.fs)
        return (episode_event(CODE, Phase.START, last, last, event.known_at, lasted),)

    def close(self, sample: int) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        return self._end(sample, sample)

    def _end(self, at: int | None, known_at: int) -> Sequence[AlarmEvent]:
        state = self.state
        onset, state.onset, state.returned = state.onset, None, None
        self.state = state
        if onset is None or at is None:
            return ()
        return (episode_event(CODE, Phase.END, onset, at, known_at),)
