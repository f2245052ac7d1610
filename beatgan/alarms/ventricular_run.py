"""Judges whether ventricular beats come in a row and fast: `rhythm.ventricular-run`.

Knows beats one after another and how ventricular each looks; no signal between them. A pure fold.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import inf
from statistics import median

from msgspec import Struct, field

from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.ventricular_beat import VentricularClassifier
from beatgan.types import Evidence, Phase, Priority, Quality, RhythmStatus, Score, Turn

CODE = "rhythm.ventricular-run"
# What may begin a run. Chosen with `beatgan-train coefficients`: the laxest that tell of the
# least that is no run, there and in nstdb's noise, of those that lose none of DS1's runs; SURE, so
# that DS1's couplets pass too.
LEAST = 0.0  # log odds of each beat
PAUSE = 1.5  # no interval is longer than so many of the slowest run's, ...
UNEVEN = 1.9  # ... nor, between the run's beats, than so many of the shortest
ALIKE = 0.8  # likeness of any two neighbours, as noise does not repeat itself; or, ...
SIMILAR = 0.3  # ... where the signal is good, with the next beat too, of the two most alike; or ...
SURE = 3.0  # ... log odds of each beat: a polymorphic tachycardia's do not resemble one another
# What goes on with it, and what ends it.
STAY = -1.0  # log odds of a beat, whatever it resembles; or it is ALIKE to the run's clearest
CLEAR = 2  # beats in a row that are not of the run end it ...
FADED_S = 10.0  # ... and so does this time without one that is


class Run(Struct):
    """An episode under way."""

    onset: int
    spoke_at: int  # sample count at which its last message was due
    last: int  # apex of its latest beat
    clearest: Score  # the beat that looked most ventricular when it began
    untold: list[int]  # apexes since its last message ...
    worst: Score | None  # ... and the highest score among them
    peak: float = -inf  # the highest score told so far
    others: int = 0  # beats in a row that are not of it


class State(Struct):
    """What it remembers: the latest beats, if they looked ventricular, one after another."""

    row: list[Score] = field(default_factory=list)
    waits: bool = False  # whether they are a run if what follows is no noise
    run: Run | None = None


class Runs:
    """The judge of ventricular runs."""

    def __init__(self, limits: AlarmLimits, ventricular: VentricularClassifier, fs: float) -> None:
        self.limits, self._ventricular, self._fs = limits, ventricular, fs
        self.state = State()

    def push(self, event: Evidence) -> Sequence[Turn]:
        """What is to be told after this event."""
        told = self._confirm(event) if self.state.waits else ()
        if self.state.run is not None:
            return (*told, *self._follow(self.state.run, event))
        return self._consider(event) if isinstance(event, Score) else ()

    def close(self, sample: int) -> Sequence[Turn]:
        """The stream ends at ``sample``: nothing can speak against a row that still waits."""
        told = self._begin(sample) if self.state.waits else ()
        return told if self.state.run is None else (*told, *self._end(self.state.run, sample))

    def _consider(self, score: Score) -> Sequence[Turn]:
        """Whether a run begins with the latest beats, or whether that is for the next to say."""
        row = self.state.row
        if self._ventricular.log_odds(score) <= LEAST:
            row.clear()
            return ()
        row.append(score.kept())
        del row[: -self.limits.run_beats]
        if len(row) < self.limits.run_beats or not self._fast(row):
            return ()
        alike = self._neighbours(row)
        if min(alike, default=1) > ALIKE:
            return self._begin(score.beat.known_at)
        likely = max(alike) > SIMILAR or min(map(self._ventricular.log_odds, row)) > SURE
        self.state.waits = likely and not _poor(row)
        return ()

    def _neighbours(self, row: Sequence[Score]) -> list[float]:
        """How much each beat of a row resembles the next."""
        likeness = self._ventricular.likeness
        return [likeness(a.beat.window, b.beat.window) for a, b in pairwise(row)]

    def _confirm(self, event: Evidence) -> Sequence[Turn]:
        self.state.waits = False
        return self._begin(event.known_at) if _well(event) else ()

    def _begin(self, known_at: int) -> Sequence[Turn]:
        row = self.state.row
        beats = [score.beat.sample for score in row]
        run = Run(
            onset=beats[0],
            spoke_at=known_at,
            last=beats[-1],
            clearest=max(row, key=self._ventricular.log_odds),
            untold=beats,
            worst=max(row, key=lambda score: score.height),
        )
        self.state = State(run=run)
        return (self._tell(run, Phase.START, known_at),)

    def _fast(self, row: Sequence[Score]) -> bool:
        """Whether a row's beats come fast enough, and evenly enough for one rhythm.

        Their rate is that of the median interval, the one that leads to the first beat included: it
        is no slower for one interval of three that is longer, up to PAUSE. Where the signal is poor
        that interval must be like the others too: T waves taken for beats make short ones by turns.
        """
        intervals = [score.beat.rr_ms for score in row]
        known = [interval for interval in intervals if interval is not None]
        slowest = 60_000 / self.limits.run_rate
        if len(known) < len(row) or median(known) > slowest or max(known) > PAUSE * slowest:
            return False
        compared = known if _poor(row) else known[1:]
        return not compared or max(compared) <= UNEVEN * min(compared)

    def _follow(self, run: Run, event: Evidence) -> Sequence[Turn]:
        if isinstance(event, Score):
            return self._go_on(run, event)
        return self._fade(run, event.known_at)

    def _go_on(self, run: Run, score: Score) -> Sequence[Turn]:
        known_at = score.beat.known_at
        if score.value is None:
            return self._fade(run, known_at)
        if self._belongs(run, score):
            run.others = 0
            run.last = score.beat.sample
            run.untold.append(run.last)
            if run.worst is None or score.height > run.worst.height:
                run.worst = score.kept()
        else:
            run.others += 1
        if run.others >= CLEAR:
            return self._end(run, known_at)
        due = known_at - run.spoke_at >= self.limits.update_s * self._fs
        return (self._tell(run, Phase.UPDATE, known_at),) if due and run.untold else ()

    def _belongs(self, run: Run, score: Score) -> bool:
        """Whether a beat goes on with a run.

        A long run becomes the patient's reference, so that its beats are no longer strange: then it
        counts that a beat resembles the run's beats, more than what was normal before the run.
        """
        beat, clearest, likeness = score.beat, run.clearest.beat, self._ventricular.likeness
        if beat.rr_ms is not None and beat.rr_ms > PAUSE * 60_000 / self.limits.run_rate:
            return False
        alike = likeness(beat.window, clearest.window)
        if alike >= ALIKE and alike > likeness(beat.window, clearest.template):
            return True
        return self._ventricular.log_odds(score) > STAY

    def _fade(self, run: Run, known_at: int) -> Sequence[Turn]:
        """Nothing that can be judged was heard for long: the run is over, for all that is known."""
        faded = known_at - run.last > FADED_S * self._fs
        return self._end(run, known_at) if faded else ()

    def _end(self, run: Run, known_at: int) -> Sequence[Turn]:
        self.state = State()
        return (self._tell(run, Phase.END, known_at),)

    def _tell(self, run: Run, phase: Phase, known_at: int) -> Turn:
        """What is new since the last message."""
        beats, worst = tuple(run.untold), run.worst
        run.untold, run.worst, run.spoke_at = [], None, known_at
        explains = worst is not None and worst.height > run.peak
        if worst is not None:
            run.peak = max(run.peak, worst.height)
        return Turn(
            code=CODE,
            phase=phase,
            priority=Priority.HIGH,
            onset=run.onset,
            at=run.onset if phase is Phase.START else run.last,
            known_at=known_at,
            end=run.last if phase is Phase.END else None,
            lead=None if worst is None else worst.beat.lead,
            beats=beats,
            worst=worst,
            explains=explains,
        )


def _poor(row: Sequence[Score]) -> bool:
    return any(score.beat.quality is not Quality.GOOD for score in row)


def _well(event: Evidence) -> bool:
    """Whether what follows a row shows that noise has not set in: a good beat, or just silence."""
    if isinstance(event, Score):
        return event.beat.quality is Quality.GOOD
    return isinstance(event, RhythmStatus)
