"""Alarms `rhythm.ventricular-couplet` and `rhythm.ventricular-bigeminy`: so often in an hour.

Knows beats one after another, their quality and their probability of class V. A pure fold. Either
is a count: an episode begins when the pattern was found often enough in the latest hour, says how
often it was with every update, and ends when it has not been found for a while.
"""

from collections.abc import Sequence
from math import ceil
from typing import Any, ClassVar, Protocol

import numpy as np
from msgspec import Struct, field

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import (
    VENTRICULAR_ECTOPY,
    AlarmDetector,
    AlarmEvent,
    AlarmInput,
    Watching,
    episode_event,
)
from beatgan.alarms.facts import Facts
from beatgan.alarms.memory import NEVER, FinalNumbers, Latest, Layout, append, latest
from beatgan.jit import compiled
from beatgan.types import Phase

COUPLET, BIGEMINY = AlarmCode.VENTRICULAR_COUPLET, AlarmCode.VENTRICULAR_BIGEMINY
LIKELY = 0.5  # probability of class V above which a beat counts as ventricular
STANDS = 3  # ventricular beats, every other one, are bigeminy
MINUTES = 60  # of which the count is
UPDATE_S = 60.0  # an episode under way says its count at most this often, when it has changed
QUIET_S = 600.0  # after so long without the pattern, the episode is over


class Count(Struct):
    """How often a pattern was found, and its episode; in samples of the source."""

    by_minute: dict[int, int] = field(default_factory=dict)
    latest: int = 0  # last beat of the pattern found last
    onset: int | None = None  # of the episode under way
    reported_at: int = 0


class State(Struct):
    """What it remembers: which of the latest beats were ventricular, and the counts."""

    recent: list[int] = field(default_factory=list)  # R peaks of the latest ventricular beats, ...
    row: int = 0  # ... how many of them are in a row, ...
    alternate: int = 0  # ... how many came every other beat ...
    others: int = 0  # ... and the beats of other classes since, up to 2; 0 where unknown
    couplets: Count = field(default_factory=Count)
    bigeminy: Count = field(default_factory=Count)


NOTHING, IS_COUPLET, IS_BIGEMINY = 0, 1, 2  # what a beat completes
MEMORY = np.dtype(
    [
        ("recent", latest("i8", STANDS)),
        ("row", "i8"),
        ("alternate", "i8"),
        ("others", "i8"),
        ("found", "i8"),  # the pattern that the latest input completed, ...
        ("first", "i8"),  # ... its first ...
        ("last", "i8"),  # ... and its last ventricular beat
        ("over_at", "i8"),  # sample count with which an episode under way is over; or NEVER
    ],
    align=True,
)


class Memory(Protocol):
    """A record of dtype MEMORY: the first part of `State` in numbers, and more."""

    recent: Latest
    row: int
    alternate: int
    others: int
    found: int
    first: int
    last: int
    over_at: int


@compiled
def take_final(m: Memory, b: FinalNumbers) -> bool:
    """Whether the beat completes a pattern, or an episode ends."""
    m.found = NOTHING
    if not b.good or np.isnan(b.ventricular) or np.isnan(b.rr_ms):
        m.recent.count = m.row = m.alternate = m.others = 0
    elif b.ventricular > LIKELY:
        _take_ventricular(m, b.sample)
    elif m.others < 2:
        _take_other(m)
    return m.found != NOTHING or b.known_at >= m.over_at


@compiled
def take_time(m: Memory, known_at: int) -> bool:
    """Whether an episode ends though no beat comes."""
    m.found = NOTHING
    return known_at >= m.over_at


@compiled
def _take_other(m: Memory) -> None:
    """After a beat that is not ventricular: two in a row before it were a couplet."""
    if m.row == 2:
        m.found, count = IS_COUPLET, m.recent.count
        m.first, m.last = m.recent.values[count - 2], m.recent.values[count - 1]
    m.row = 0
    m.others = min(m.others + 1, 2)
    if m.others == 2:
        m.alternate = 0


@compiled
def _take_ventricular(m: Memory, r_peak: int) -> None:
    """After a ventricular beat: if it is the third that comes every other beat, bigeminy."""
    if m.others > 0:
        m.row = 1
    elif m.row > 0:
        m.row += 1
    m.alternate = m.alternate + 1 if m.others == 1 else min(m.others, 1)
    m.others = 0
    append(m.recent, r_peak)
    if m.alternate == STANDS:
        m.found, m.first, m.last = IS_BIGEMINY, m.recent.values[0], r_peak


LAYOUT = Layout(MEMORY, State)


class VentricularEctopyDetector(AlarmDetector[State]):
    """Finds couplets and bigeminy in final scores, and counts them."""

    __slots__ = ("_bigeminy", "_couplets")
    bit: ClassVar[int] = VENTRICULAR_ECTOPY

    def __init__(self, watch: Watching) -> None:
        super().__init__(watch)
        self._couplets, self._bigeminy = Count(), Count()

    @property
    def state(self) -> State:
        """See `AlarmDetector`."""
        state: State = LAYOUT.recall(self._record.item())
        state.couplets, state.bigeminy = self._couplets, self._bigeminy
        return state

    @state.setter
    def state(self, state: State) -> None:
        self._record[0] = LAYOUT.values(state)
        self._couplets, self._bigeminy = state.couplets, state.bigeminy
        self._watch_for_end()

    def tell(self, event: AlarmInput) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        m = self._record
        kind, first, last = m["found"].item(), m["first"].item(), m["last"].item()
        events: list[AlarmEvent] = []
        for code, count, of_kind in (
            (COUPLET, self._couplets, IS_COUPLET),
            (BIGEMINY, self._bigeminy, IS_BIGEMINY),
        ):
            if kind == of_kind:
                events += self._count(code, count, first, last, event.known_at)
            else:
                events += self._end(code, count, event.known_at)
        self._watch_for_end()
        return events

    def close(self, sample: int) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        before, self.state = self.state, State()
        counts = ((COUPLET, before.couplets), (BIGEMINY, before.bigeminy))
        return [
            episode_event(code, Phase.END, count.onset, count.latest, sample)
            for code, count in counts
            if count.onset is not None
        ]

    @property
    def _record(self) -> Any:
        return self.watch.memory["ectopy"]

    def _watch_for_end(self) -> None:
        """Be asked when the first of the episodes under way is over."""
        counts = self._couplets, self._bigeminy
        latest_of = [count.latest for count in counts if count.onset is not None]
        quiet = ceil(QUIET_S * self.watch.fs)
        self._record["over_at"] = min(latest_of) + quiet if latest_of else NEVER

    def _count(
        self, code: AlarmCode, count: Count, first: int, last: int, known_at: int
    ) -> Sequence[AlarmEvent]:
        """One more: an episode begins, or says its new count."""
        minute = int(known_at / (60 * self.watch.fs))
        count.latest = last
        count.by_minute[minute] = count.by_minute.get(minute, 0) + 1
        for old in [each for each in count.by_minute if each <= minute - MINUTES]:
            del count.by_minute[old]
        number = sum(count.by_minute.values())
        if count.onset is None:
            if number < self._limit(code):
                return ()
            count.onset, phase = first, Phase.START
        elif known_at - count.reported_at < UPDATE_S * self.watch.fs:
            return ()
        else:
            phase = Phase.UPDATE
        count.reported_at = known_at
        facts = Facts(per_hour=number)
        return (episode_event(code, phase, count.onset, first, known_at, facts),)

    def _limit(self, code: AlarmCode) -> int:
        limits = self.watch.limits
        return limits.couplets_per_hour if code is COUPLET else limits.bigeminy_per_hour

    def _end(self, code: AlarmCode, count: Count, known_at: int) -> Sequence[AlarmEvent]:
        if count.onset is None or known_at - count.latest < QUIET_S * self.watch.fs:
            return ()
        onset, count.onset = count.onset, None
        return (episode_event(code, Phase.END, onset, count.latest, known_at),)
