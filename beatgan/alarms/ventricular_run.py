"""Alarm `rhythm.ventricular-run`: ventricular beats in a row, and fast.

Knows beats one after another and how ventricular they look; no signal between them. A pure fold.

A run of up to RUN_MOST beats is of medium priority. Beyond that it is a ventricular tachycardia,
of high priority, if its latest beats by themselves are likely a run: noise that began like one is
none for long. A QRS detector may miss some of a run's beats, so that a long interval counts for as
many beats as fit in.
"""

from collections.abc import Sequence
from math import isnan
from typing import Any, ClassVar, Protocol

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import (
    FADED_S,
    VENTRICULAR_RUN,
    AlarmDetector,
    AlarmEvent,
    AlarmInput,
    BeatEpisode,
    Watching,
    is_over,
)
from beatgan.alarms.facts import Subtype
from beatgan.alarms.memory import AGREEMENT, BeatNumbers, Latest, append, counted, latest
from beatgan.alarms.ventricular_beat import may_be_in_run
from beatgan.alarms.ventricular_classifier import (
    MOST_OWN_BEATS,
    Look,
    Row,
    VentricularClassifier,
)
from beatgan.jit import compiled
from beatgan.types import EMPTY, Doubles, Phase, Priority, Score

CODE = AlarmCode.VENTRICULAR_RUN
RUN_MOST = 5  # beats of a run; more are called ventricular tachycardia, ...
SUSTAINED_S = 30.0  # ... and one that lasts so long is sustained
AGREED_AMONG = 5  # latest scored beats of which it counts whether the leads agree
MISSED = 1.25  # so many of the slowest run's intervals is the mean at most, as a beat may be missed
# What goes on with a run, and what ends it.
STAY = -1.0  # log odds of a beat, whatever it resembles; or it is ALIKE to the run's clearest
ALIKE = 0.8
PAUSE = 1.5  # no interval is longer than so many of the slowest run's


class Run(Struct):
    """An episode under way; ``clearest`` is the beat that looked most ventricular at its start.

    ``reported``, ``sustained``: its priority, and whether it was sustained, as of its latest event.
    ``missed``: beats that were not found.
    """

    episode: BeatEpisode
    clearest: Score
    priority: Priority = Priority.MEDIUM
    reported: Priority = Priority.MEDIUM
    sustained: bool = False
    missed: int = 0
    latest: list[bool] = field(default_factory=list)  # which of the latest beats were of the run
    row: list[Score] = field(default_factory=list)  # its latest beats, until it is a tachycardia

    def __post_init__(self) -> None:
        if self.episode.count is None:  # in a state of an earlier version, all of whose were high
            self.priority = self.reported = Priority.HIGH


class State(Struct):
    """What it remembers.

    ``row``: the latest beats, if they may be ventricular, one after another. ``agreed``,
    ``own_beats``: see `Row`.
    """

    row: list[Score] = field(default_factory=list)
    agreed: list[bool | None] = field(default_factory=list)
    own_beats: int = 0
    run: Run | None = None


MEMORY = np.dtype([("agreed", latest("f8", AGREED_AMONG)), ("own_beats", "i8")], align=True)


class Memory(Protocol):
    """A record of dtype MEMORY: what `State` says of the stream, in numbers."""

    agreed: Latest
    own_beats: int


@compiled
def take_beat(m: Memory, b: BeatNumbers) -> bool:
    """Whether the beat may be in a run; remembers what the stream is like up to a scored one."""
    if np.isnan(b.value):
        return False
    append(m.agreed, b.leads_agree)
    m.own_beats = counted(m.own_beats, b, MOST_OWN_BEATS)
    return may_be_in_run(b)


class VentricularRunDetector(AlarmDetector[State]):
    """Begins with `vt_beats` beats at `vt_rate`."""

    __slots__ = ("_looks", "_row", "_run", "_ventricular")
    bit: ClassVar[int] = VENTRICULAR_RUN

    def __init__(self, watch: Watching, ventricular: VentricularClassifier) -> None:
        super().__init__(watch)
        self._ventricular = ventricular
        self._row: list[Score] = []  # see `State`
        self._run: Run | None = None
        self._looks: tuple[tuple[int, Look], ...] = ()  # at beats of the latest row, by R peak

    @property
    def state(self) -> State:
        """See `AlarmDetector`."""
        agreed, own_beats = self._record.item()
        return State(self._row, _agreement(agreed), own_beats, self._run)

    @state.setter
    def state(self, state: State) -> None:
        kept = [AGREEMENT[each] for each in state.agreed[-AGREED_AMONG:]]
        record = self._record
        record["agreed"]["count"], record["own_beats"] = len(kept), state.own_beats
        record["agreed"]["values"][0, : len(kept)] = kept
        self._row, self._run = state.row, state.run
        self.listen(bool(state.row) or state.run is not None)

    def tell(self, event: AlarmInput) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`. While beats are remembered, it is asked about every one."""
        run = self._run
        if not isinstance(event, Score):
            return () if run is None else self._fade(run, event.known_at)
        return self._consider(event) if run is None else self._follow(run, event)

    def close(self, sample: int) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        return () if self._run is None else self._end(self._run, sample)

    @property
    def _record(self) -> Any:
        return self.watch.memory["run"]

    def _consider(self, score: Score) -> Sequence[AlarmEvent]:
        """Whether a run begins with the latest beats."""
        row = self._row
        if not self._ventricular.possible(score):
            row.clear()
            self.listen(False)
            return ()
        self.listen(True)
        row.append(score.with_own_arrays())
        needed = max(self.watch.limits.vt_beats, 2)  # one beat is no row
        del row[:-needed]
        if len(row) < needed or not self._is_fast(row):
            return ()
        return self._begin(score.known_at) if self._is_run(row) else ()

    def _is_run(self, row: Sequence[Score]) -> bool:
        """Whether a row is a ventricular run, as far as its beats' looks go."""
        agreed, own_beats = self._record.item()
        looks = self._looks_at(row)
        return self._ventricular.is_run(Row(row, _agreement(agreed), own_beats, looks))

    def _looks_at(self, row: Sequence[Score]) -> Sequence[Look]:
        """What there is to see of each beat: of most that is known of the row before."""
        before, look = dict(self._looks), self._ventricular.look
        r_peaks = [score.beat.sample for score in row]
        looks = [before.get(at) or look(score) for at, score in zip(r_peaks, row, strict=True)]
        self._looks = tuple(zip(r_peaks, looks, strict=True))
        return looks

    def _is_fast(self, row: Sequence[Score]) -> bool:
        """Whether a row's beats come fast enough: some interval is, and all nearly so.

        The one that leads to the first beat does not count: what was there may have been missed.
        """
        known = [score.beat.rr_ms for score in row[1:] if score.beat.rr_ms is not None]
        slowest = 60_000 / self.watch.limits.vt_rate
        if len(known) < len(row) - 1:
            return False
        return not known or (min(known) <= slowest and sum(known) <= MISSED * slowest * len(known))

    def _begin(self, known_at: int) -> Sequence[AlarmEvent]:
        row = self._row
        clearest = max(row, key=self._ventricular.beat_log_odds)
        run = self._run = Run(
            BeatEpisode.begin(row, known_at), clearest, row=[_for_its_row(score) for score in row]
        )
        self._row = []
        return (self._event(run, Phase.START, known_at),)

    def _follow(self, run: Run, score: Score) -> Sequence[AlarmEvent]:
        episode, known_at = run.episode, score.known_at
        if score.value is None:
            return self._fade(run, known_at)
        belongs = self._belongs(run, score)
        if is_over(run.latest, belongs):
            return self._end(run, known_at)
        if belongs:
            run.missed += _missed(score, run)
            episode.add(score)
            if run.priority is not Priority.HIGH:
                run.row.append(_for_its_row(score))
                del run.row[:-RUN_MOST]
                self._rise(run)
        due = known_at - episode.reported_at >= self.watch.limits.update_s * self.watch.fs
        if self._changed(run) or (due and episode.beats):
            return (self._event(run, Phase.UPDATE, known_at),)
        return ()

    def _fade(self, run: Run, known_at: int) -> Sequence[AlarmEvent]:
        faded = known_at - run.episode.last > FADED_S * self.watch.fs
        return self._end(run, known_at) if faded else ()

    def _belongs(self, run: Run, score: Score) -> bool:
        """Whether a beat goes on with a run.

        A long run becomes the patient's template, so that its beats are no longer unusual: then it
        counts that a beat resembles the run's beats more than what was normal before the run.
        """
        beat, clearest, likeness = score.beat, run.clearest.beat, self._ventricular.likeness
        if beat.rr_ms is not None and beat.rr_ms > PAUSE * 60_000 / self.watch.limits.vt_rate:
            return False
        if self._ventricular.beat_log_odds(score) > STAY:
            return True
        alike = likeness(beat.window, clearest.window)
        return alike >= ALIKE and alike > likeness(beat.window, clearest.template)

    def _end(self, run: Run, known_at: int) -> Sequence[AlarmEvent]:
        self._run, self._row, self._looks = None, [], ()
        self.listen(False)
        return (self._event(run, Phase.END, known_at),)

    # --- what a run is like -------------------------------------------------------------------

    def _beats(self, run: Run) -> int:
        """How many beats a run has, those included that were not found."""
        return (run.episode.count or 0) + run.missed

    def _rise(self, run: Run) -> None:
        """The run becomes a tachycardia, if it has."""
        if self._beats(run) <= RUN_MOST or len(run.row) < 2:
            return
        if self._is_run(run.row):
            run.priority, run.row = Priority.HIGH, []

    def _changed(self, run: Run) -> bool:
        """Whether a run has become a tachycardia, or sustained, since its latest event."""
        rose = run.priority is not run.reported
        return rose or self._is_sustained(run) != run.sustained

    def _is_sustained(self, run: Run) -> bool:
        if run.priority is not Priority.HIGH:
            return False
        return run.episode.last - run.episode.onset >= SUSTAINED_S * self.watch.fs

    def _event(self, run: Run, phase: Phase, known_at: int) -> AlarmEvent:
        """An event of a run, with what it is like as of then. A priority once high stays so."""
        beats = None if run.episode.count is None else self._beats(run)
        run.sustained, run.reported = self._is_sustained(run), run.priority
        subtype = Subtype.VENTRICULAR_TACHYCARDIA if run.priority is Priority.HIGH else None
        if run.sustained:
            subtype = Subtype.SUSTAINED_VENTRICULAR_TACHYCARDIA
        event = run.episode.event(CODE, phase, known_at)
        facts = replace(event.facts, beats=beats, heart_rate=run.episode.rate, subtype=subtype)
        return replace(event, priority=run.priority, facts=facts)


def _agreement(agreed: tuple[int, Doubles]) -> list[bool | None]:
    """Of the latest beats, of which a record holds numbers."""
    count, numbers = agreed
    return [None if isnan(each) else bool(each) for each in numbers[:count].tolist()]


def _for_its_row(score: Score) -> Score:
    """What a `Row` needs of a beat: an alarm's state is saved often."""
    beat = replace(score.beat, second_window=EMPTY, second_template=EMPTY)
    return replace(
        score, beat=beat, reconstruction=EMPTY, saliency=EMPTY, spread=EMPTY, terms=EMPTY
    )


def _missed(score: Score, run: Run) -> int:
    """How many more beats fit in before this one, at the rate of its run."""
    rr_ms, rate = score.beat.rr_ms, run.episode.rate
    return 0 if rr_ms is None or rate is None else max(0, round(rr_ms * rate / 60_000) - 1)
