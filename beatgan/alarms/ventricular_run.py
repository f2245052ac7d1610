"""Alarm `rhythm.ventricular-run`: ventricular beats in a row, and fast.

Knows beats one after another and how ventricular each looks; no signal between them. A pure fold.
"""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from msgspec import Struct, field
from msgspec.structs import replace

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import AlarmEvent, AlarmInput, BeatEpisode
from beatgan.alarms.facts import Subtype
from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.ventricular_beat import VentricularClassifier
from beatgan.types import Phase, Quality, RhythmStatus, Score

CODE = AlarmCode.VENTRICULAR_RUN
RUN_MOST = 5  # beats of a run; more are called ventricular tachycardia
# What may begin a run. Chosen with `beatgan-train coefficients`: of those that lose none of
# DS1's runs, the laxest that report the least that is no run, there and in nstdb's noise; LIKELY,
# so that DS1's couplets pass too.
LEAST = 0.0  # log odds of each beat
PAUSE = 1.5  # no interval is longer than so many of the slowest run's, ...
UNEVEN = 1.9  # ... nor, between the run's beats, than so many of the shortest
ALIKE = 0.8  # likeness of any two neighbours, as noise does not repeat itself; or, ...
SIMILAR = 0.3  # ... where the signal is good, with the next beat too, of the two most alike; or ...
LIKELY = 3.0  # ... log odds of each beat: a polymorphic tachycardia's do not resemble one another
# What goes on with it, and what ends it.
STAY = -1.0  # log odds of a beat, whatever it resembles; or it is ALIKE to the run's clearest
CLEAR = 2  # scored beats in a row that are not of the run end it ...
FADED_S = 10.0  # ... and so does this time without one that is


class Run(Struct):
    """An episode under way; ``clearest`` is the beat that looked most ventricular at its start."""

    episode: BeatEpisode
    clearest: Score


class State(Struct):
    """What it remembers: the latest beats, if they looked ventricular, one after another."""

    row: list[Score] = field(default_factory=list)
    pending: bool = False  # whether they are a run if what follows is no noise
    run: Run | None = None


class VentricularRunDetector:
    """Begins with `vt_beats` beats at `vt_rate`."""

    def __init__(self, limits: AlarmLimits, ventricular: VentricularClassifier, fs: float) -> None:
        self.limits, self._ventricular, self._fs = limits, ventricular, fs
        self.state = State()

    def push(self, event: AlarmInput) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        events = self._confirm(event) if self.state.pending else ()
        if self.state.run is not None:
            return (*events, *self._follow(self.state.run, event))
        return self._consider(event) if isinstance(event, Score) else ()

    def close(self, sample: int) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`. Nothing can contradict a row that is still pending."""
        events = self._begin(sample) if self.state.pending else ()
        run = self.state.run
        return events if run is None else (*events, *self._end(run.episode, sample))

    def _consider(self, score: Score) -> Sequence[AlarmEvent]:
        """Whether a run begins with the latest beats, or is pending until the next input."""
        row, log_odds = self.state.row, self._ventricular.log_odds
        if log_odds(score) <= LEAST:
            row.clear()
            return ()
        row.append(score.with_own_arrays())
        del row[: -self.limits.vt_beats]
        if len(row) < self.limits.vt_beats or not self._is_fast(row):
            return ()
        alike = self._neighbours(row)
        if min(alike, default=1) > ALIKE:
            return self._begin(score.known_at)
        likely = max(alike) > SIMILAR or min(map(log_odds, row)) > LIKELY
        self.state.pending = likely and not _any_poor(row)
        return ()

    def _neighbours(self, row: Sequence[Score]) -> list[float]:
        """How much each beat of a row resembles the next."""
        likeness = self._ventricular.likeness
        return [likeness(a.beat.window, b.beat.window) for a, b in pairwise(row)]

    def _confirm(self, event: AlarmInput) -> Sequence[AlarmEvent]:
        self.state.pending = False
        return self._begin(event.known_at) if _shows_no_noise(event) else ()

    def _begin(self, known_at: int) -> Sequence[AlarmEvent]:
        row = self.state.row
        run = Run(BeatEpisode.begin(row, known_at), max(row, key=self._ventricular.log_odds))
        self.state = State(run=run)
        return (_described(run.episode.event(CODE, Phase.START, known_at), run.episode),)

    def _is_fast(self, row: Sequence[Score]) -> bool:
        """Whether a row's beats come fast enough, and evenly enough for one rhythm.

        Their rate is that of the median interval, the one that leads to the first beat included: it
        is no slower for one interval of three that is longer, up to PAUSE. Where the signal is poor
        that interval must be like the others too: T waves taken for beats make every other interval
        short.
        """
        intervals = [score.beat.rr_ms for score in row]
        known = [interval for interval in intervals if interval is not None]
        slowest = 60_000 / self.limits.vt_rate
        if len(known) < len(row) or median(known) > slowest or max(known) > PAUSE * slowest:
            return False
        compared = known if _any_poor(row) else known[1:]
        return not compared or max(compared) <= UNEVEN * min(compared)

    def _follow(self, run: Run, event: AlarmInput) -> Sequence[AlarmEvent]:
        episode, known_at = run.episode, event.known_at
        if not isinstance(event, Score) or event.value is None:
            faded = known_at - episode.last > FADED_S * self._fs
            return self._end(episode, known_at) if faded else ()
        if self._belongs(run, event):
            episode.add(event)
        else:
            episode.others += 1
        if episode.others >= CLEAR:
            return self._end(episode, known_at)
        updates = episode.update(CODE, known_at, self.limits.update_s * self._fs)
        return [_described(event, episode) for event in updates]

    def _belongs(self, run: Run, score: Score) -> bool:
        """Whether a beat goes on with a run.

        A long run becomes the patient's template, so that its beats are no longer unusual: then it
        counts that a beat resembles the run's beats more than what was normal before the run.
        """
        beat, clearest, likeness = score.beat, run.clearest.beat, self._ventricular.likeness
        if beat.rr_ms is not None and beat.rr_ms > PAUSE * 60_000 / self.limits.vt_rate:
            return False
        alike = likeness(beat.window, clearest.window)
        if alike >= ALIKE and alike > likeness(beat.window, clearest.template):
            return True
        return self._ventricular.log_odds(score) > STAY

    def _end(self, episode: BeatEpisode, known_at: int) -> Sequence[AlarmEvent]:
        self.state = State()
        return (_described(episode.event(CODE, Phase.END, known_at), episode),)


def _described(event: AlarmEvent, episode: BeatEpisode) -> AlarmEvent:
    """The event with what the run is like as of then."""
    many = episode.count is not None and episode.count > RUN_MOST
    subtype = Subtype.VENTRICULAR_TACHYCARDIA if many else None
    return replace(event, facts=replace(event.facts, heart_rate=episode.rate, subtype=subtype))


def _any_poor(row: Sequence[Score]) -> bool:
    return any(score.beat.quality is not Quality.GOOD for score in row)


def _shows_no_noise(event: AlarmInput) -> bool:
    """Whether what follows a row shows that noise has not set in: a good beat, or just a pause."""
    if isinstance(event, Score):
        return event.beat.quality is Quality.GOOD
    return isinstance(event, RhythmStatus)
