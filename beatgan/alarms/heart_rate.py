"""Alarms `rhythm.tachycardia` and `rhythm.bradycardia`: the heart rate is beyond its limit.

Knows the intervals between beats of good signal, and which beats resemble the patient's own. A pure
fold.

A rate beyond its limit for a while is of medium priority; an extreme one is of high priority and
told at once: of the latest FAST_INTERVALS or SLOW_INTERVALS, all of good signal and one after
another, the mean.
Noise has peaks enough for any rate. So it is no tachycardia unless half of its beats are the
patient's (a ventricular one, whose beats are none of them, is another alarm's), and in a young
stream none is told at once. Noise hides beats, too. So a bradycardia is told at once only by beats
that no lead contradicts and that are not far from the patient's.
"""

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct, field
from msgspec.structs import replace

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import AlarmEvent, AlarmInput, InputKind, episode_event
from beatgan.alarms.facts import NO_FACTS, Facts, Subtype
from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.own_beats import counted
from beatgan.types import Beat, Phase, Priority, Quality, RhythmStatus, Score, SignalChange

FAST, SLOW = AlarmCode.TACHYCARDIA, AlarmCode.BRADYCARDIA
GOOD = Quality.GOOD  # looked up once: each beat is held against it
INTERVALS = 8  # whose median is the rate: neither a premature beat nor a missed one moves it far
# Intervals whose mean tells an extreme rate. Half of the 16 of the CinC 2015 challenge's definition
# of an extreme tachycardia, and the 4 of that of a bradycardia.
FAST_INTERVALS, SLOW_INTERVALS = 8, 4
EXTREME = {
    FAST: Subtype.EXTREME_TACHYCARDIA,
    SLOW: Subtype.EXTREME_BRADYCARDIA,
}
OWN_BEATS = 20  # after so many a stream is young no more
STRANGE = 0.0  # distance of a beat from its template from which on it is none of the patient's
FAR = 2.0  # ... and that from which on it is hardly a beat
HYSTERESIS = 0.05  # so far back inside its limit, as a share, must the rate be for an episode's end
ROUNDING = 1e-9  # share by which a mean of numbers may seem to lie beyond them all
UNKNOWN_S = 30.0  # after so long without an interval that counts, the rate is no longer known


class RateLimitState(Struct):
    """What it remembers of one limit."""

    since: int | None = None  # R peak since which the rate is beyond it, or back in an episode
    onset: int | None = None  # of the episode under way
    extreme: bool = False  # whether that was, at some time


class State(Struct):
    """What it remembers."""

    intervals: list[float] = field(default_factory=list)  # the latest that counted, in ms
    last: int = 0  # R peak at which the latest one ended
    fast: RateLimitState = field(default_factory=RateLimitState)
    slow: RateLimitState = field(default_factory=RateLimitState)
    unbroken: int = 0  # how many of the latest came one after another
    own: list[bool] = field(default_factory=list)  # which of the latest are the patient's own
    own_beats: int = 0  # so far, OWN_BEATS at the most
    clear: int = 0  # how many of the latest came one after another and were beyond doubt


class HeartRateDetector:
    """Begins and ends when the rate has been beyond its limit, or back, for a while."""

    takes: ClassVar[frozenset[InputKind]] = frozenset({Score, SignalChange, RhythmStatus})

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
        if state.own_beats < OWN_BEATS:
            state.own_beats = counted(state.own_beats, event, OWN_BEATS)
        if beat.rr_ms is None or beat.quality is not GOOD:
            state.unbroken = state.clear = 0
            return ()
        state.last = beat.sample
        state.intervals.append(beat.rr_ms)
        state.unbroken += 1
        own = _resembles(beat)
        state.clear = state.clear + 1 if _is_clear(beat, own) else 0
        state.own.append(own)
        if len(state.intervals) > INTERVALS:
            del state.intervals[0]
        if len(state.own) > INTERVALS:  # not as many as intervals in a state of an earlier version
            del state.own[0]
        if self._usual(state):
            return ()
        return (
            *self._compare_extremes(beat.sample, known_at),
            *self._compare(beat.sample, known_at),
        )

    def close(self, sample: int) -> Sequence[AlarmEvent]:
        """The stream ends at ``sample``, or its rate is unknown from there on."""
        before, self.state = self.state, State(own_beats=self.state.own_beats)
        limits = ((FAST, before.fast), (SLOW, before.slow))
        return [
            _event(code, each, Phase.END, each.onset, before.last, sample)
            for code, each in limits
            if each.onset is not None
        ]

    def rate(self, known_at: int) -> float | None:
        """The heart rate in beats a minute once ``known_at`` samples are known; None if unknown."""
        intervals = self.state.intervals
        if len(intervals) < INTERVALS or known_at - self.state.last > UNKNOWN_S * self._fs:
            return None
        return 60_000 / _median(intervals)

    def _usual(self, state: State) -> bool:
        """Whether no episode is under way or due, and no interval by itself is beyond a limit.

        Then no mean or median is. Most beats are so, and cost no more than this.
        """
        fast, slow, limits = state.fast, state.slow, self.limits
        if not fast.since is fast.onset is slow.since is slow.onset is None:
            return False
        if min(state.intervals) * limits.tachycardia_rate < 60_000 * (1 + ROUNDING):
            return False
        return max(state.intervals) * limits.bradycardia_rate <= 60_000 * (1 - ROUNDING)

    # --- extreme rates, at once ---------------------------------------------------------------

    def _compare_extremes(self, r_peak: int, known_at: int) -> Sequence[AlarmEvent]:
        """An episode begins, or one under way becomes extreme. Else this costs next to nothing."""
        return [
            self._extreme(code, each, mean, r_peak, known_at)
            for code, each in ((FAST, self.state.fast), (SLOW, self.state.slow))
            if not each.extreme and (mean := self._extreme_mean(code)) is not None
        ]

    def _extreme_mean(self, code: AlarmCode) -> float | None:
        """The mean of the latest intervals, in ms, if it tells an extreme rate."""
        state = self.state
        if code is FAST:
            if state.unbroken < FAST_INTERVALS:
                return None
            mean = _mean(state.intervals, FAST_INTERVALS)
            told = mean * self._extreme_limit(FAST) < 60_000 and self._may_be_fast(OWN_BEATS)
            return mean if told else None
        if state.clear < SLOW_INTERVALS:
            return None
        mean = _mean(state.intervals, SLOW_INTERVALS)
        told = mean * self._extreme_limit(SLOW) > 60_000 and self._is_slow()
        return mean if told else None

    def _extreme(
        self, code: AlarmCode, state: RateLimitState, mean: float, r_peak: int, known_at: int
    ) -> AlarmEvent:
        """The episode's beginning, at the first of the beats that told it, or its update."""
        phase = Phase.UPDATE if state.onset is not None else Phase.START
        count = FAST_INTERVALS if code is FAST else SLOW_INTERVALS
        first = r_peak - round(mean * count * self._fs / 1000)
        state.extreme, state.since = True, None
        if state.onset is None:
            state.onset = max(0, first)
        facts = Facts(heart_rate=60_000 / mean, limit=self._extreme_limit(code))
        return _event(code, state, phase, state.onset, max(first, state.onset), known_at, facts)

    def _is_slow(self) -> bool:
        """Whether more than one of the latest intervals is long: one alone is a pause."""
        latest = self.state.intervals[-SLOW_INTERVALS:]
        return _median(latest) * self.limits.bradycardia_rate > 60_000

    def _may_be_fast(self, own_beats: int = 0) -> bool:
        """Whether it is the heart that is fast, and not noise, in a stream of so many own beats."""
        own, known = self.state.own, self.state.own_beats >= own_beats
        return known and 2 * sum(own) >= len(own)

    def _extreme_limit(self, code: AlarmCode) -> float:
        """Never nearer to a usual rate than the limit of a rate that lasts."""
        if code is FAST:
            return max(self.limits.extreme_tachycardia_rate, self.limits.tachycardia_rate)
        return min(self.limits.extreme_bradycardia_rate, self.limits.bradycardia_rate)

    # --- rates beyond their limits for a while ------------------------------------------------

    def _compare(self, r_peak: int, known_at: int) -> Sequence[AlarmEvent]:
        """The rate up to ``r_peak`` beside its limits. Within them this must cost next to nothing.

        The median interval is multiplied with the limit, so that nothing is divided.
        """
        limits, state = self.limits, self.state
        if len(state.intervals) < INTERVALS:
            return ()
        interval = _median(state.intervals)
        share = 1 - HYSTERESIS if state.fast.onset is not None else 1.0
        fast = interval * limits.tachycardia_rate * share < 60_000
        fast = fast and (state.fast.onset is not None or self._may_be_fast())
        share = 1 + HYSTERESIS if state.slow.onset is not None else 1.0
        slow = interval * limits.bradycardia_rate * share > 60_000
        # What would begin an extreme episode at once does not end one.
        fast = fast or (state.fast.extreme and self._extreme_mean(FAST) is not None)
        slow = slow or (state.slow.extreme and self._extreme_mean(SLOW) is not None)
        return (
            *self._update(FAST, state.fast, fast, r_peak, known_at),
            *self._update(SLOW, state.slow, slow, r_peak, known_at),
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
            return (_event(code, state, Phase.START, since, since, known_at, facts),)
        ended = _event(code, state, Phase.END, state.onset, since, known_at)
        state.onset, state.extreme = None, False
        return (ended,)

    def _limit(self, code: AlarmCode) -> float:
        fast = code is FAST
        return self.limits.tachycardia_rate if fast else self.limits.bradycardia_rate


def _resembles(beat: Beat, within: float = STRANGE) -> bool:
    """Whether a beat resembles the patient's own, on either lead."""
    own, other = beat.lead_distances
    return (own is not None and own <= within) or (other is not None and other <= within)


def _is_clear(beat: Beat, own: bool) -> bool:
    """Whether a beat is beyond doubt: every lead with signal has it, and it looks like one.

    ``own``: whether it resembles the patient's own, which suffices.
    """
    return beat.leads_agree is not False and (own or _resembles(beat, FAR))


def _median(intervals: Sequence[float]) -> float:
    """Of an even number; the standard library's takes twice as long."""
    ordered, half = sorted(intervals), len(intervals) // 2
    return (ordered[half - 1] + ordered[half]) / 2


def _mean(intervals: Sequence[float], count: int) -> float:
    """Of the latest ``count``."""
    return sum(intervals[-count:]) / count


def _event(
    code: AlarmCode,
    state: RateLimitState,
    phase: Phase,
    onset: int,
    at: int,
    known_at: int,
    facts: Facts = NO_FACTS,
) -> AlarmEvent:
    """An event of the episode under way, high once it has been extreme."""
    event = episode_event(code, phase, onset, at, known_at, facts)
    if not state.extreme:
        return event
    facts = replace(facts, subtype=EXTREME[code])
    return replace(event, priority=Priority.HIGH, facts=facts)
