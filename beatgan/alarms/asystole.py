"""Judges whether the heart stands still: `rhythm.asystole`, no beat while one could be seen.

Knows strips and when beats were found, no waveform and no score. A pure fold.

None begins before the stream had a beat: until then nobody knows whether electrodes are attached,
and `signal.flat` tells of the line. Nor does one while the signal is lost, at its rail or moves so
much that beats might hide in it, nor while it is chaotic, which is another alarm. One under way
goes on through all that, and ends with the second beat that follows: the first may be an artefact.
"""

from collections.abc import Sequence

from msgspec import Struct

from beatgan.alarms.detector import turn
from beatgan.alarms.limits import AlarmLimits
from beatgan.types import Evidence, Phase, Priority, RhythmStatus, Score, Turn

CODE = "rhythm.asystole"
CHAOTIC = 0.0  # log odds of fibrillation from which on it is not standstill
CONFIRMED_S = 0.05  # this much longer: a beat is found only after some 0.3 s
NEXT_S = 0.2  # a beat this long after another is another


class State(Struct):
    """What it remembers, in samples of the source."""

    beaten: bool = False  # whether the stream had a beat
    onset: int | None = None  # the last beat before the standstill under way
    returned: int | None = None  # the first beat after it, if there was one


class Standstill:
    """The judge of standstill."""

    def __init__(self, limits: AlarmLimits, fs: float) -> None:
        self.limits, self._fs = limits, fs
        self.state = State()

    def push(self, event: Evidence) -> Sequence[Turn]:
        """What is to be told after this event."""
        if isinstance(event, Score):
            return self._beat(event)
        if isinstance(event, RhythmStatus):
            return self._strip(event)
        return ()

    def close(self, sample: int) -> Sequence[Turn]:
        """The stream ends at ``sample``."""
        return () if self.state.onset is None else (self._end(sample, sample),)

    def _strip(self, strip: RhythmStatus) -> Sequence[Turn]:
        state, last = self.state, strip.sample - strip.samples_since_beat
        still = (
            strip.signal_ok
            and strip.samples_since_beat >= (self.limits.asystole_s + CONFIRMED_S) * self._fs
        )
        if state.onset is None:
            if not (still and state.beaten and strip.vf_log_odds <= CHAOTIC):
                return ()
            state.onset = last
            return (turn(CODE, Priority.HIGH, Phase.START, last, last, strip.known_at),)
        if still:
            state.returned = None
        elif state.returned is None and last > state.onset:
            state.returned = last
        return ()

    def _beat(self, score: Score) -> Sequence[Turn]:
        state, at = self.state, score.beat.sample
        state.beaten = True
        if state.returned is None or at < state.returned + NEXT_S * self._fs:
            return ()
        return (self._end(state.returned, score.beat.known_at),)

    def _end(self, at: int, known_at: int) -> Turn:
        onset = at if self.state.onset is None else self.state.onset
        self.state.onset = self.state.returned = None
        return turn(CODE, Priority.HIGH, Phase.END, onset, at, known_at)
