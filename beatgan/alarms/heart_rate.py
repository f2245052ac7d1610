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
from typing import Any, ClassVar, Protocol

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import (
    HEART_RATE,
    AlarmEvent,
    AlarmInput,
    DetectorInNumbers,
    episode_event,
)
from beatgan.alarms.facts import NO_FACTS, Facts, Subtype
from beatgan.alarms.memory import NONE, BeatNumbers, Latest, Layout, Limits, append, counted, latest
from beatgan.jit import compiled
from beatgan.types import Doubles, Phase, Priority

FAST, SLOW = AlarmCode.TACHYCARDIA, AlarmCode.BRADYCARDIA
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


RATE_LIMIT = np.dtype(
    [("since", "i8"), ("onset", "i8"), ("extreme", "?"), ("mean", "f8")], align=True
)
MEMORY = np.dtype(
    [
        ("intervals", latest("f8", INTERVALS)),
        ("last", "i8"),
        ("fast", RATE_LIMIT),
        ("slow", RATE_LIMIT),
        ("unbroken", "i8"),
        ("own", latest("i1", INTERVALS)),
        ("own_beats", "i8"),
        ("clear", "i8"),
        ("ordered", "f8", (INTERVALS,)),  # scratch
        ("due", "i8"),  # what the latest input gives rise to: the following bits
    ],
    align=True,
)
# The rate is no longer known; it tells an extreme one; an episode begins or ends after a while.
IS_UNKNOWN, FAST_EXTREME, SLOW_EXTREME, FAST_CHANGES, SLOW_CHANGES = 1, 2, 4, 8, 16


class RateLimitMemory(Protocol):
    """A record of dtype RATE_LIMIT: `RateLimitState` in numbers, and more.

    ``mean``: of the intervals that have told an extreme rate, in ms.
    """

    since: int
    onset: int
    extreme: bool
    mean: float


class Memory(Protocol):
    """A record of dtype MEMORY: `State` in numbers, and more."""

    intervals: Latest
    last: int
    fast: RateLimitMemory
    slow: RateLimitMemory
    unbroken: int
    own: Latest
    own_beats: int
    clear: int
    ordered: Doubles
    due: int


@compiled
def take_beat(m: Memory, limits: Limits, b: BeatNumbers) -> bool:
    """Whether there is something to tell."""
    if take_time(m, limits, b.known_at):
        return True
    m.own_beats = counted(m.own_beats, b, OWN_BEATS)
    if np.isnan(b.rr_ms) or not b.good:
        m.unbroken = m.clear = 0
        return False
    m.last = b.sample
    append(m.intervals, b.rr_ms)
    m.unbroken += 1
    own = _resembles(b, STRANGE)
    append(m.own, own)
    # Beyond doubt is a beat that every lead with signal has, and that looks like one.
    clear = b.leads_agree != 0 and (own or _resembles(b, FAR))
    m.clear = m.clear + 1 if clear else 0
    m.due = _extremes(m, limits)
    if m.intervals.count == INTERVALS:
        m.due |= _changes(m, limits)
    return m.due != 0


@compiled
def take_time(m: Memory, limits: Limits, known_at: int) -> bool:
    """Whether the rate is no longer known."""
    unknown = m.intervals.count > 0 and known_at - m.last > UNKNOWN_S * limits.fs
    m.due = IS_UNKNOWN if unknown else 0
    return unknown


# --- extreme rates, at once -----------------------------------------------------------------------


@compiled
def _extremes(m: Memory, limits: Limits) -> int:
    """Which limits' episodes begin at once, or become extreme."""
    due = 0
    if not m.fast.extreme and _is_extremely_fast(m, limits):
        due |= FAST_EXTREME
    if not m.slow.extreme and _is_extremely_slow(m, limits):
        due |= SLOW_EXTREME
    return due


@compiled
def _is_extremely_fast(m: Memory, limits: Limits) -> bool:
    if m.unbroken < FAST_INTERVALS:
        return False
    m.fast.mean = _mean(m.intervals, FAST_INTERVALS)
    # Never nearer to a usual rate than the limit of a rate that lasts.
    limit = max(limits.extreme_tachycardia_rate, limits.tachycardia_rate)
    return m.fast.mean * limit < 60_000 and m.own_beats >= OWN_BEATS and _is_heart(m)


@compiled
def _is_extremely_slow(m: Memory, limits: Limits) -> bool:
    """Where more than one of the latest intervals is long: one alone is a pause."""
    if m.clear < SLOW_INTERVALS:
        return False
    m.slow.mean = _mean(m.intervals, SLOW_INTERVALS)
    limit = min(limits.extreme_bradycardia_rate, limits.bradycardia_rate)
    median = _median(m, SLOW_INTERVALS)
    return m.slow.mean * limit > 60_000 and median * limits.bradycardia_rate > 60_000


@compiled
def _is_heart(m: Memory) -> bool:
    """Whether it is the heart that is fast, and not noise."""
    own = 0
    for i in range(m.own.count):
        own += m.own.values[i]
    return 2 * own >= m.own.count


# --- rates beyond their limits for a while --------------------------------------------------------


@compiled
def _changes(m: Memory, limits: Limits) -> int:
    """Which limits' episodes begin or end, as that has been due for long enough.

    The median interval is multiplied with the limit, so that nothing is divided. What would begin
    an extreme episode at once does not end one.
    """
    interval, due = _median(m, INTERVALS), 0
    if not m.due & FAST_EXTREME:
        share = 1.0 if m.fast.onset == NONE else 1 - HYSTERESIS
        fast = interval * limits.tachycardia_rate * share < 60_000
        fast = fast and (m.fast.onset != NONE or _is_heart(m))
        fast = fast or (m.fast.extreme and _is_extremely_fast(m, limits))
        due |= FAST_CHANGES * _is_due(m.fast, fast, m.last, limits)
    if not m.due & SLOW_EXTREME:
        share = 1.0 if m.slow.onset == NONE else 1 + HYSTERESIS
        slow = interval * limits.bradycardia_rate * share > 60_000
        slow = slow or (m.slow.extreme and _is_extremely_slow(m, limits))
        due |= SLOW_CHANGES * _is_due(m.slow, slow, m.last, limits)
    return due


@compiled
def _is_due(m: RateLimitMemory, beyond: bool, r_peak: int, limits: Limits) -> bool:
    """Whether an episode's beginning or end has been due for long enough at ``r_peak``."""
    if beyond == (m.onset != NONE):
        m.since = NONE
        return False
    if m.since == NONE:
        m.since = r_peak
    return r_peak - m.since >= limits.heart_rate_delay_s * limits.fs


@compiled
def _resembles(b: BeatNumbers, within: float) -> bool:
    """Whether a beat resembles the patient's own, on either lead."""
    return b.distance <= within or b.other_distance <= within


@compiled
def _median(m: Memory, count: int) -> float:
    """Of the latest ``count`` intervals, an even number."""
    ordered, first = m.ordered, m.intervals.count - count
    for i in range(count):
        interval, place = m.intervals.values[first + i], i
        while place > 0 and ordered[place - 1] > interval:
            ordered[place] = ordered[place - 1]
            place -= 1
        ordered[place] = interval
    median: float = (ordered[count // 2 - 1] + ordered[count // 2]) / 2
    return median


@compiled
def _mean(numbers: Latest, count: int) -> float:
    """Of the latest ``count``."""
    total = 0.0
    for i in range(numbers.count - count, numbers.count):
        total += numbers.values[i]
    mean: float = total / count
    return mean


class HeartRateDetector(DetectorInNumbers[State]):
    """Begins and ends when the rate has been beyond its limit, or back, for a while."""

    __slots__ = ()
    bit: ClassVar[int] = HEART_RATE
    part: ClassVar[str] = "heart_rate"
    layout: ClassVar[Layout] = Layout(MEMORY, State)

    def tell(self, event: AlarmInput) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        record, state, known_at = self.watch.memory[self.part], self.state, event.known_at
        due = record["due"].item()
        if due & IS_UNKNOWN:
            return self.close(known_at)
        events: list[AlarmEvent] = []
        if due & FAST_EXTREME:
            events.append(self._extreme(FAST, state.fast, record["fast"], state.last, known_at))
        if due & SLOW_EXTREME:
            events.append(self._extreme(SLOW, state.slow, record["slow"], state.last, known_at))
        if due & FAST_CHANGES:
            events.append(self._change(FAST, state.fast, known_at))
        if due & SLOW_CHANGES:
            events.append(self._change(SLOW, state.slow, known_at))
        self.state = state
        return events

    def close(self, sample: int) -> Sequence[AlarmEvent]:
        """The stream ends at ``sample``, or its rate is unknown from there on."""
        before = self.state
        self.state = State(own_beats=before.own_beats)
        limits = ((FAST, before.fast), (SLOW, before.slow))
        return [
            _event(code, each, Phase.END, each.onset, before.last, sample)
            for code, each in limits
            if each.onset is not None
        ]

    def rate(self, known_at: int) -> float | None:
        """The heart rate in beats a minute once ``known_at`` samples are known; None if unknown."""
        record = self.watch.memory[self.part]
        count, intervals = record["intervals"].item()
        if count < INTERVALS or known_at - record["last"].item() > UNKNOWN_S * self.watch.fs:
            return None
        ordered = sorted(intervals.tolist())
        median: float = (ordered[INTERVALS // 2 - 1] + ordered[INTERVALS // 2]) / 2
        return 60_000 / median

    def _extreme(
        self, code: AlarmCode, state: RateLimitState, record: Any, r_peak: int, known_at: int
    ) -> AlarmEvent:
        """The episode's beginning, at the first of the beats that told it, or its update."""
        fast, limits, mean = code is FAST, self.watch.limits, record["mean"].item()
        phase = Phase.UPDATE if state.onset is not None else Phase.START
        count = FAST_INTERVALS if fast else SLOW_INTERVALS
        first = r_peak - round(mean * count * self.watch.fs / 1000)
        state.extreme, state.since = True, None
        if state.onset is None:
            state.onset = max(0, first)
        limit = (
            max(limits.extreme_tachycardia_rate, limits.tachycardia_rate)
            if fast
            else min(limits.extreme_bradycardia_rate, limits.bradycardia_rate)
        )
        facts = Facts(heart_rate=60_000 / mean, limit=limit)
        return _event(code, state, phase, state.onset, max(first, state.onset), known_at, facts)

    def _change(self, code: AlarmCode, state: RateLimitState, known_at: int) -> AlarmEvent:
        """The episode begins or ends with the beat since which that was due."""
        since, state.since = state.since or 0, None
        if state.onset is not None:
            ended = _event(code, state, Phase.END, state.onset, since, known_at)
            state.onset, state.extreme = None, False
            return ended
        state.onset, limits = since, self.watch.limits
        limit = limits.tachycardia_rate if code is FAST else limits.bradycardia_rate
        return _event(code, state, Phase.START, since, since, known_at, Facts(limit=limit))


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
