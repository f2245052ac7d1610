"""Alarm `rhythm.atrial-fibrillation`: it is suspected, by how irregular the rhythm is for long.

Knows beats' intervals, classes and template by way of `irregularity`. A pure fold. A model that
tells no classes raises none: nothing would say that ectopic beats are not why.
"""

from collections.abc import Sequence
from typing import ClassVar, Protocol

import numpy as np
from msgspec import Struct, field

from beatgan.alarms import irregularity
from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import (
    ATRIAL_FIBRILLATION,
    AlarmEvent,
    AlarmInput,
    DetectorInNumbers,
    Watching,
    episode_event,
)
from beatgan.alarms.irregularity import FORGET_S, Irregularity
from beatgan.alarms.memory import NONE, BeatNumbers, Latest, Layout, Limits, append, latest
from beatgan.jit import compiled
from beatgan.types import Doubles, Floats, Phase, Records, Score

CODE = AlarmCode.ATRIAL_FIBRILLATION
ROWS = 3  # whose mean log odds count
ENDS = -1.0  # mean log odds at which an episode ends
CALM = -3.0  # log odds below which a rhythm costs less: ...
SELDOM = 24  # ... the next row is due only after so many beats of good signal
LEAST_S = 30.0  # for how long there must have been beats: a shorter one is not called that


class State(Struct):
    """What it remembers."""

    rhythm: irregularity.State = field(default_factory=irregularity.State)
    log_odds: list[float] = field(default_factory=list)  # of the latest rows
    first: int | None = None  # R peak of the first beat since the rhythm was unknown ...
    last: int | None = None  # ... and of the latest
    onset: int | None = None  # of the episode under way


MEMORY = np.dtype(
    [
        ("rhythm", irregularity.MEMORY),
        ("log_odds", latest("f8", ROWS)),
        ("first", "i8"),
        ("last", "i8"),
        ("onset", "i8"),
        (
            "ended_onset",
            "i8",
        ),  # of the episode that ended as the rhythm became unknown, or NONE ...
        ("ended_last", "i8"),  # ... and its latest beat
        ("row_due", "?"),  # whether the latest input is a beat with a row of features
    ],
    align=True,
)


class Memory(Protocol):
    """A record of dtype MEMORY: `State` in numbers, and more."""

    rhythm: irregularity.Memory
    log_odds: Latest
    first: int
    last: int
    onset: int
    ended_onset: int
    ended_last: int
    row_due: bool


@compiled
def take_beat(m: Memory, limits: Limits, b: BeatNumbers) -> bool:
    """Whether an episode ends, or a row of features may begin or end one."""
    ended = take_time(m, limits, b.known_at)
    m.last = b.sample
    if m.first == NONE:
        m.first = b.sample
    m.row_due = irregularity.take_beat(m.rhythm, b)
    return ended or m.row_due


@compiled
def take_time(m: Memory, limits: Limits, known_at: int) -> bool:
    """Whether an episode ends, as the rhythm is unknown from there on."""
    m.row_due, m.ended_onset = False, NONE
    if m.last == NONE or known_at - m.last <= FORGET_S * limits.fs:
        return False
    m.ended_onset, m.ended_last = m.onset, m.last
    m.log_odds.count = 0
    m.first = m.last = m.onset = NONE
    irregularity.forget(m.rhythm)
    return m.ended_onset != NONE


class WatchMemory(Protocol):
    """What `take_row` needs of a stream's whole record."""

    limits: Limits
    atrial: Memory


@compiled
def take_row(
    memories: Records[WatchMemory], template: Floats, r_peak: int, weights: Doubles
) -> bool:
    """Whether an episode begins or ends with the latest beat, which has this ``template``.

    ``r_peak``, ``weights``: see `Irregularity`.
    """
    m, limits = memories[0].atrial, memories[0].limits
    if not m.row_due:
        return m.ended_onset != NONE
    found = irregularity.measure(m.rhythm, template, r_peak)
    if np.isnan(found[0]):
        return False
    log_odds = irregularity.weighed(found, weights)
    if log_odds < CALM:
        m.rhythm.due_in = SELDOM
    return compare(m, limits, log_odds, m.rhythm.samples.values[0], m.last)


@compiled
def compare(m: Memory, limits: Limits, log_odds: float, first: int, last: int) -> bool:
    """Whether an episode begins or ends with a row: its log odds, its first and last R peak."""
    m.ended_onset = NONE
    append(m.log_odds, log_odds)
    total = 0.0
    for i in range(m.log_odds.count):
        total += m.log_odds.values[i]
    mean = total / ROWS  # what is not there yet counts as even
    if m.onset != NONE:
        if mean > ENDS:
            return False
        m.ended_onset, m.ended_last, m.onset = m.onset, last, NONE
        return True
    lasts = m.first != NONE and last - m.first >= LEAST_S * limits.fs
    if not lasts or mean < limits.af_log_odds_limit:
        return False
    m.onset = first
    return True


class AtrialFibrillationDetector(DetectorInNumbers[State]):
    """Begins when the mean log odds reach their limit, dated back to the beats they are of."""

    __slots__ = ("_rhythm",)
    bit: ClassVar[int] = ATRIAL_FIBRILLATION
    part: ClassVar[str] = "atrial"
    layout: ClassVar[Layout] = Layout(MEMORY, State)

    def __init__(self, watch: Watching, rhythm: Irregularity | None) -> None:
        super().__init__(watch)
        self._rhythm = rhythm

    def tell(self, event: AlarmInput) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        if (rhythm := self._rhythm) is None:
            return ()
        if isinstance(event, Score):
            template, memory = event.beat.template, self.watch.memory
            if not take_row(memory, template, rhythm.r_peak, rhythm.weights):
                return ()
        return self.begun_or_ended(event.known_at)

    def close(self, sample: int) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        before, self.state = self.state, State()
        if before.onset is None or before.last is None:
            return ()
        return (episode_event(CODE, Phase.END, before.onset, before.last, sample),)

    def begun_or_ended(self, known_at: int) -> Sequence[AlarmEvent]:
        """The event of what `compare` or `take_time` found."""
        record = self.watch.memory[self.part]
        onset, last = record["ended_onset"].item(), record["ended_last"].item()
        if onset != NONE:
            return (episode_event(CODE, Phase.END, onset, last, known_at),)
        onset = record["onset"].item()
        return (episode_event(CODE, Phase.START, onset, onset, known_at),)
