"""Alarms `rhythm.ventricular-couplet` and `rhythm.ventricular-bigeminy`: so often in an hour.

Knows beats one after another, their quality and their probability of class V. A pure fold. Either
is a count: an episode begins when the pattern was found often enough in the latest hour, says how
often it was with every update, and ends when it has not been found for a while.
"""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from msgspec import Struct, field

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import AlarmEvent, AlarmInput, FinalScore, InputKind, episode_event
from beatgan.alarms.facts import Facts
from beatgan.alarms.limits import AlarmLimits
from beatgan.beat_classes import CLASSES, BeatClass
from beatgan.types import Phase, Quality, RhythmStatus, Score, SignalChange

COUPLET, BIGEMINY = AlarmCode.VENTRICULAR_COUPLET, AlarmCode.VENTRICULAR_BIGEMINY
GOOD = Quality.GOOD  # looked up once: each beat is held against it
VENTRICULAR = CLASSES.index(BeatClass.VENTRICULAR)
LIKELY = 0.5  # probability of class V above which a beat counts as ventricular
STANDS = 3  # ventricular beats, every other one, are bigeminy
MINUTES = 60  # of which the count is
UPDATE_S = 60.0  # an episode under way says its count at most this often, when it has changed
QUIET_S = 600.0  # after so long without the pattern, the episode is over


class Pattern(NamedTuple):
    """One that was found, with its first and last ventricular beat."""

    code: AlarmCode
    first: int
    last: int


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


class VentricularEctopyDetector:
    """Finds couplets and bigeminy in final scores, and counts them."""

    takes: ClassVar[frozenset[InputKind]] = frozenset({FinalScore, SignalChange, RhythmStatus})

    def __init__(self, limits: AlarmLimits, fs: float) -> None:
        self.limits, self._fs = limits, fs
        self.state = State()

    def push(self, event: AlarmInput) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        state = self.state
        found = self._pattern(event.score) if isinstance(event, FinalScore) else None
        couplets, bigeminy = state.couplets, state.bigeminy
        if found is None and couplets.onset is None and bigeminy.onset is None:
            return ()
        return (
            *self._count(COUPLET, couplets, found, event.known_at),
            *self._count(BIGEMINY, bigeminy, found, event.known_at),
        )

    def close(self, sample: int) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        before, self.state = self.state, State()
        counts = ((COUPLET, before.couplets), (BIGEMINY, before.bigeminy))
        return [
            episode_event(code, Phase.END, count.onset, count.latest, sample)
            for code, count in counts
            if count.onset is not None
        ]

    def _pattern(self, score: Score) -> Pattern | None:
        """The pattern that this beat completes."""
        state, beat, probabilities = self.state, score.beat, score.probabilities
        if beat.quality is not GOOD or probabilities is None or beat.rr_ms is None:
            if state.recent or state.others:
                state.recent, state.row, state.alternate, state.others = [], 0, 0, 0
            return None
        if probabilities[VENTRICULAR] <= LIKELY:
            return self._other() if state.others < 2 else None
        return self._ventricular(beat.sample)

    def _other(self) -> Pattern | None:
        """After a beat that is not ventricular: two in a row before it were a couplet."""
        state = self.state
        row, state.row = state.row, 0
        state.others = min(state.others + 1, 2)
        if state.others == 2:
            state.alternate = 0
        return Pattern(COUPLET, *state.recent[-2:]) if row == 2 else None

    def _ventricular(self, r_peak: int) -> Pattern | None:
        """After a ventricular beat: if it is the third that comes every other beat, bigeminy."""
        state = self.state
        if state.others:
            state.row = 1
        elif state.row:
            state.row += 1
        state.alternate = state.alternate + 1 if state.others == 1 else min(state.others, 1)
        state.others = 0
        state.recent.append(r_peak)
        del state.recent[:-STANDS]
        return Pattern(BIGEMINY, state.recent[0], r_peak) if state.alternate == STANDS else None

    def _count(
        self, code: AlarmCode, count: Count, found: Pattern | None, known_at: int
    ) -> Sequence[AlarmEvent]:
        """An episode begins, says its new count or ends."""
        if found is None or found.code is not code:
            return self._end(code, count, known_at)
        minute = int(known_at / (60 * self._fs))
        count.latest = found.last
        count.by_minute[minute] = count.by_minute.get(minute, 0) + 1
        for old in [each for each in count.by_minute if each <= minute - MINUTES]:
            del count.by_minute[old]
        number = sum(count.by_minute.values())
        if count.onset is None:
            if number < self._limit(code):
                return ()
            count.onset, phase = found.first, Phase.START
        elif known_at - count.reported_at < UPDATE_S * self._fs:
            return ()
        else:
            phase = Phase.UPDATE
        count.reported_at = known_at
        facts, at = Facts(per_hour=number), found.first
        return (episode_event(code, phase, count.onset, at, known_at, facts),)

    def _limit(self, code: AlarmCode) -> int:
        limits = self.limits
        return limits.couplets_per_hour if code is COUPLET else limits.bigeminy_per_hour

    def _end(self, code: AlarmCode, count: Count, known_at: int) -> Sequence[AlarmEvent]:
        if count.onset is None or known_at - count.latest < QUIET_S * self._fs:
            return ()
        onset, count.onset = count.onset, None
        return (episode_event(code, Phase.END, onset, count.latest, known_at),)
