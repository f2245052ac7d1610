"""What an alarm detector is: a pure fold from scores, signal changes and statuses to events.

One detector serves one stream and one family of alarms. Compiled code takes every input into what
the detectors remember (``watch.py``); of most there is nothing to tell, and no more happens.
``policy.py`` numbers the episodes, holds some of them back and makes alerts.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import inf
from statistics import median
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from msgspec import Struct, field

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.facts import NO_FACTS, Facts
from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.memory import Layout
from beatgan.types import Kind, Phase, Priority, RhythmStatus, Score, SignalChange

StateT = TypeVar("StateT", bound=Struct)

# One bit for each detector, in the order in which they are asked.
ANOMALOUS_BEATS, TECHNICAL, ASYSTOLE, VENTRICULAR_FIBRILLATION, VENTRICULAR_RUN = 1, 2, 4, 8, 16
HEART_RATE, PAUSE, ATRIAL_FIBRILLATION, VENTRICULAR_ECTOPY, IDIOVENTRICULAR = 32, 64, 128, 256, 512


class FinalScore(Struct, frozen=True, eq=False, gc=False):
    """A beat's final score: as revised, or the first one where it is not revised.

    ``known_at``: with so many samples it was known that no other follows.
    """

    score: Score
    known_at: int


AlarmInput = Score | FinalScore | SignalChange | RhythmStatus


class AlarmEvent(Struct, frozen=True, eq=False, gc=False):
    """An alarm condition begins, has news or ends, as one detector sees it.

    ``beats`` are the R peaks of the episode's beats since its last event; ``worst`` is the highest
    score among them, which explains the episode if it ``explains``. The event is true from sample
    ``at`` on, and could be known with ``known_at`` of the samples. ``facts``: what else is known of
    the condition then.
    """

    code: AlarmCode
    phase: Phase
    priority: Priority
    onset: int
    at: int
    known_at: int
    end: int | None = None
    lead: str | None = None
    beats: tuple[int, ...] = ()
    worst: Score | None = None
    explains: bool = False
    facts: Facts = NO_FACTS  # a state of an earlier version has none

    @property
    def kind(self) -> Kind:
        """Whether it is about the patient or about the signal."""
        return self.code.kind

    @property
    def episode(self) -> str:
        """The episode's key among those of its stream that are under way."""
        return f"{self.code}/{self.lead}" if self.kind is Kind.TECHNICAL else self.code


class Watching(Protocol):
    """What detectors of one stream share: see `beatgan.alarms.watch.Watch`."""

    limits: AlarmLimits
    fs: float
    attentive: int  # bits of the detectors that are asked about every input of their kinds
    memory: Any  # an array of one record: what is remembered in numbers

    def take(self, event: AlarmInput) -> int:
        """Take ``event`` into what is remembered; the bits of detectors that may tell something."""


class AlarmDetector(ABC, Generic[StateT]):
    """Says when an alarm condition begins, has news and ends.

    Laws: the same inputs give the same events; ``state`` is all that it remembers, so that another
    detector given it goes on where this one was; the limits may be replaced at any time.
    """

    __slots__ = ("watch",)
    bit: ClassVar[int]

    def __init__(self, watch: Watching) -> None:
        self.watch = watch

    @property
    @abstractmethod
    def state(self) -> StateT:
        """All that it remembers: a msgspec.Struct of its own, which a snapshot can encode."""

    @state.setter
    @abstractmethod
    def state(self, state: StateT) -> None: ...

    @abstractmethod
    def tell(self, event: AlarmInput) -> Sequence[AlarmEvent]:
        """The events that an input gives rise to, of which ``watch`` has said that it may.

        Inputs come in the order they became known.
        """

    @abstractmethod
    def close(self, sample: int) -> Sequence[AlarmEvent]:
        """The stream ends at ``sample``, and so does every episode under way."""

    def push(self, event: AlarmInput) -> Sequence[AlarmEvent]:
        """The events that this input gives rise to, where no other detector shares the watch."""
        return self.tell(event) if self.watch.take(event) & self.bit else ()

    def listen(self, always: bool) -> None:
        """Be asked about every input of one's kinds, or about those the watch finds."""
        if always:
            self.watch.attentive |= self.bit
        else:
            self.watch.attentive &= ~self.bit


class DetectorWithState(AlarmDetector[StateT]):
    """One that keeps its state as it is, beside the watch's record."""

    __slots__ = ("_state",)
    _state: StateT
    nothing: ClassVar[type[Any]]  # makes the state of one that remembers nothing

    def __init__(self, watch: Watching) -> None:
        super().__init__(watch)
        self._state = self.nothing()

    @property
    def state(self) -> StateT:
        """See `AlarmDetector`."""
        return self._state

    @state.setter
    def state(self, state: StateT) -> None:
        self._state = state
        self.restored()

    def restored(self) -> None:
        """The state is another's: listen as that asks for."""


class DetectorInNumbers(AlarmDetector[StateT]):
    """One whose whole state is a part of the watch's record."""

    __slots__ = ()
    part: ClassVar[str]
    layout: ClassVar[Layout]  # of that part, and the state

    @property
    def state(self) -> StateT:
        """See `AlarmDetector`. A copy: what is to be remembered has to be assigned."""
        state: StateT = self.layout.recall(self.watch.memory[self.part].item())
        return state

    @state.setter
    def state(self, state: StateT) -> None:
        self.watch.memory[self.part][0] = self.layout.values(state)


def episode_event(
    code: AlarmCode,
    phase: Phase,
    onset: int,
    at: int,
    known_at: int,
    facts: Facts = NO_FACTS,
) -> AlarmEvent:
    """An event of an episode that no beats belong to."""
    end = at if phase is Phase.END else None
    return AlarmEvent(code, phase, code.priority, onset, at, known_at, end, facts=facts)


# What ends a rhythm of beats one after another.
OTHERS, AMONG = 2, 4  # so many of the latest scored beats that are not of it: bigeminy is none, ...
FADED_S = 10.0  # ... and this time without one that is


def is_over(latest: list[bool], belongs: bool) -> bool:
    """Whether a rhythm has ended with a beat that ``belongs`` to it or not.

    ``latest``, which this beat is added to: which of the latest beats do.
    """
    latest.append(belongs)
    del latest[:-AMONG]
    return latest.count(False) >= OTHERS


class BeatEpisode(Struct):
    """An episode under way that beats belong to."""

    onset: int
    reported_at: int  # sample count at which its last event was known
    last: int  # R peak of its latest beat
    beats: list[int]  # R peaks since its last event ...
    worst: Score | None  # ... and the highest score among them
    highest: float = -inf  # the highest score reported so far
    others: int = 0  # scored beats in a row that do not belong to it
    count: int | None = None  # its beats so far; None in a state of an earlier version
    rate: float | None = None  # of its beats in beats a minute, as of its last event
    intervals_ms: list[float] = field(
        default_factory=list
    )  # before each of its beats since, but the first

    @classmethod
    def begin(cls, scores: Sequence[Score], known_at: int) -> Self:
        """An episode of these beats, one or more; the scores have arrays of their own."""
        beats = [score.beat.sample for score in scores]
        worst = max(scores, key=lambda score: score.value_or_neginf)
        intervals = [score.beat.rr_ms for score in scores[1:] if score.beat.rr_ms is not None]
        return cls(
            beats[0], known_at, beats[-1], beats, worst, count=len(beats), intervals_ms=intervals
        )

    def add(self, score: Score) -> None:
        """One more of its beats."""
        self.others = 0
        self.last = score.beat.sample
        self.beats.append(self.last)
        if self.count is not None:
            self.count += 1
        if score.beat.rr_ms is not None:
            self.intervals_ms.append(score.beat.rr_ms)
        if self.worst is None or score.value_or_neginf > self.worst.value_or_neginf:
            self.worst = score.with_own_arrays()

    def event(self, code: AlarmCode, phase: Phase, known_at: int) -> AlarmEvent:
        """What is new since the last event."""
        beats, worst = tuple(self.beats), self.worst
        self.beats, self.worst, self.reported_at = [], None, known_at
        self._update_rate()
        explains = worst is not None and worst.value_or_neginf > self.highest
        if worst is not None:
            self.highest = max(self.highest, worst.value_or_neginf)
        return AlarmEvent(
            code=code,
            phase=phase,
            priority=code.priority,
            onset=self.onset,
            at=self.onset if phase is Phase.START else self.last,
            known_at=known_at,
            end=self.last if phase is Phase.END else None,
            lead=None if worst is None else worst.beat.lead,
            beats=beats,
            worst=worst,
            explains=explains,
            facts=Facts(beats=self.count),
        )

    def _update_rate(self) -> None:
        """By the beats since the last event, unless a single interval would decide it."""
        if len(self.intervals_ms) > 1 or (self.intervals_ms and self.rate is None):
            self.rate = 60_000 / median(self.intervals_ms)
        self.intervals_ms = []

    def update(self, code: AlarmCode, known_at: int, interval: float) -> Sequence[AlarmEvent]:
        """An update, if there is news and the last event is ``interval`` samples ago."""
        if not self.beats or known_at - self.reported_at < interval:
            return ()
        return (self.event(code, Phase.UPDATE, known_at),)
