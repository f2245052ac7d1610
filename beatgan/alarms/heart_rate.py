"""Judges the heart's rate: `rhythm.tachycardia` and `rhythm.bradycardia`.

Knows the intervals between beats of good signal; knows no shape and no score. A pure fold.
"""

from collections.abc import Sequence
from statistics import median

from msgspec import Struct, field

from beatgan.alarms.detector import turn
from beatgan.alarms.limits import AlarmLimits
from beatgan.types import Evidence, Phase, Priority, Quality, Score, Turn

TACHYCARDIA, BRADYCARDIA = "rhythm.tachycardia", "rhythm.bradycardia"
INTERVALS = 8  # whose median is the rate: neither a premature beat nor one missed moves it far
BACK = 0.05  # so far back inside its limit, as a share, must the rate be for an episode to end
UNKNOWN_S = 30.0  # without an interval that counts: then nobody knows the rate any more


class Side(Struct):
    """What it remembers of one code."""

    turned: int | None = None  # apex since which the rate is beyond, or back in an episode
    onset: int | None = None  # of the episode under way


class State(Struct):
    """What it remembers."""

    intervals: list[float] = field(default_factory=list)  # the latest that counted, in ms
    last: int = 0  # apex at which the latest one ended
    fast: Side = field(default_factory=Side)
    slow: Side = field(default_factory=Side)


class Rate:
    """The judge of the heart's rate."""

    def __init__(self, limits: AlarmLimits, fs: float) -> None:
        self.limits, self._fs = limits, fs
        self.state = State()

    def push(self, event: Evidence) -> Sequence[Turn]:
        """What is to be told after this event."""
        state, known_at = self.state, event.known_at
        if state.intervals and known_at - state.last > UNKNOWN_S * self._fs:
            return self.close(known_at)
        if not isinstance(event, Score):
            return ()
        beat = event.beat
        if beat.rr_ms is None or beat.quality is not Quality.GOOD:
            return ()
        state.last = beat.sample
        state.intervals.append(beat.rr_ms)
        if len(state.intervals) > INTERVALS:
            del state.intervals[0]
        return self._judge(beat.sample, known_at) if len(state.intervals) == INTERVALS else ()

    def close(self, sample: int) -> Sequence[Turn]:
        """The stream ends at ``sample``, or its rate is unknown from there on."""
        before, self.state = self.state, State()
        sides = ((TACHYCARDIA, before.fast), (BRADYCARDIA, before.slow))
        return [
            turn(code, Priority.MEDIUM, Phase.END, side.onset, before.last, sample)
            for code, side in sides
            if side.onset is not None
        ]

    def _judge(self, apex: int, known_at: int) -> Sequence[Turn]:
        """The rate is known up to ``apex``. Where it is usual, this must cost next to nothing."""
        interval, limits, state = median(self.state.intervals), self.limits, self.state
        back = 1 - BACK if state.fast.onset is not None else 1.0
        fast = interval * limits.tachycardia_rate * back < 60_000
        back = 1 + BACK if state.slow.onset is not None else 1.0
        slow = interval * limits.bradycardia_rate * back > 60_000
        return (
            *self._side(TACHYCARDIA, state.fast, fast, apex, known_at),
            *self._side(BRADYCARDIA, state.slow, slow, apex, known_at),
        )

    def _side(
        self, code: str, side: Side, beyond: bool, apex: int, known_at: int
    ) -> Sequence[Turn]:
        """One code's word: what held has turned, and for long enough."""
        if beyond == (side.onset is not None):
            side.turned = None
            return ()
        if side.turned is None:
            side.turned = apex
        if apex - side.turned < self.limits.rate_s * self._fs:
            return ()
        turned, side.turned = side.turned, None
        if side.onset is None:
            side.onset = turned
            return (turn(code, Priority.MEDIUM, Phase.START, turned, turned, known_at),)
        onset, side.onset = side.onset, None
        return (turn(code, Priority.MEDIUM, Phase.END, onset, turned, known_at),)
