"""Alarms `rhythm.tachycardia` and `rhythm.bradycardia`: the heart rate is beyond its limit.

Knows the intervals between beats of good signal; knows no shape and no score. A pure fold.
"""

from collections.abc import Sequence
from statistics import median

from msgspec import Struct, field

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import AlarmEvent, AlarmInput, episode_event
from beatgan.alarms.facts import Facts
from beatgan.alarms.limits import AlarmLimits
from beatgan.types import Phase, Quality, Score

INTERVALS = 8  # whose median is the rate: neither a premature beat nor a missed one moves it far
HYSTERESIS = 0.05  # so far back inside its limit, as a share, must the rate be for an episode's end
UNKNOWN_S = 30.0  # after so long without an interval that counts, the rate is no longer known


class RateLimitState(Struct):
    """What it remembers of one limit."""

    since: int | None = None  # R peak since which the rate is beyond it, or back in an episode
    onset: int | None = None  # of the episode under way


class State(Struct):
    """What it remembers."""

    intervals: list[float] = field(default_factory=list)  # the latest that counted, in ms
    last: int = 0  # R peak at which the latest one ended
    fast: RateLimitState = field(default_factory=RateLimitState)
    slow: RateLimitState = field(default_factory=RateLimitState)


class HeartRateDetector:
    """Begins and ends when the rate has been beyond its limit, or back, for a while."""

    def __init__(self, limits: AlarmLimits, fs: float) -> None:
        self.limits, self._fs = limits, fs
        self.state = State()

    def push(self, event: AlarmInput) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
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
        return self._compare(beat.sample, known_at) if len(state.intervals) == INTERVALS else ()

    def close(self, sample: int) -> Sequence[AlarmEvent]:
        """The stream ends at ``sample``, or its rate is unknown from there on."""
        before, self.state = self.state, State()
        limits = ((AlarmCode.TACHYCARDIA, before.fast), (AlarmCode.BRADYCARDIA, before.slow))
        return [
            episode_event(code, Phase.END, each.onset, before.last, sample)
            for code, each in limits
            if each.onset is not None
        ]

    def rate(self, known_at: int) -> float | None:
        """The heart rate in beats a minute once ``known_at`` samples are known; None if unknown."""
        intervals = self.state.intervals
        if len(intervals) < INTERVALS or known_at - self.state.last > UNKNOWN_S * self._fs:
            return None
        return 60_000 / median(intervals)

    def _limit(self, code: AlarmCode) -> float:
        fast = code is AlarmCode.TACHYCARDIA
        return self.limits.tachycardia_rate if fast else self.limits.bradycardia_rate

    def _compare(self, r_peak: int, known_at: int) -> Sequence[AlarmEvent]:
        """The rate up to ``r_peak`` beside its limits. Within them this must cost next to nothing.

        The median interval is multiplied with the limit, so that nothing is divided.
        """
        interval, limits, state = median(self.state.intervals), self.limits, self.state
        share = 1 - HYSTERESIS if state.fast.onset is not None else 1.0
        fast = interval * limits.tachycardia_rate * share < 60_000
        share = 1 + HYSTERESIS if state.slow.onset is not None else 1.0
        slow = interval * limits.bradycardia_rate * share > 60_000
        return (
            *self._update(AlarmCode.TACHYCARDIA, state.fast, fast, r_peak, known_at),
            *self._update(AlarmCode.BRADYCARDIA, state.slow, slow, r_peak, known_at),
        )

    def _update(
        self, code: AlarmCode, state: RateLimitState, beyond: bool, r_peak: int, known_at: int
    ) -> Sequence[AlarmEvent]:
        """An episode begins or ends, once that has been due for long enough."""
        if beyond == (state.onset is not None):
            state.since = None
            return ()
        if state.since is None:
            state.since = r_peak
        if r_peak - state.since < self.limits.heart_rate_delay_s * self._fs:
            return ()
        since, state.since = state.since, None
        if state.onset is None:
            state.onset = since
            facts = Facts(limit=self._limit(code))
            return (episode_event(code, Phase.START, since, since, known_at, facts),)
        onset, state.onset = state.onset, None
        return (episode_event(code, Phase.END, onset, since, known_at),)
