"""Alarm `rhythm.idioventricular`: ventricular beats in a row, too slow for a run.

An accelerated idioventricular rhythm, after an infarction or its treatment; below 50 beats a minute
an idioventricular rhythm, which stands in for the patient's own. Knows beats one after another,
their quality and their probability of class V. A pure fold.
"""

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct, field
from msgspec.structs import replace

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import (
    FADED_S,
    IDIOVENTRICULAR,
    AlarmEvent,
    AlarmInput,
    BeatEpisode,
    DetectorWithState,
    FinalScore,
    is_over,
)
from beatgan.alarms.facts import Subtype
from beatgan.alarms.memory import FinalNumbers, Limits
from beatgan.beat_classes import CLASSES, BeatClass
from beatgan.jit import compiled
from beatgan.types import Phase, Quality, Score

CODE = AlarmCode.IDIOVENTRICULAR
GOOD = Quality.GOOD  # looked up once: each beat is held against it
VENTRICULAR = CLASSES.index(BeatClass.VENTRICULAR)
LIKELY = 0.5  # probability of class V above which a beat counts as ventricular
LEAST_BEATS = 5  # in a row: fewer are escape beats
ACCELERATED = 50.0  # beats a minute from which on the rhythm is called so


class State(Struct):
    """What it remembers: the latest beats, if they belong together, and the episode under way."""

    row: list[Score] = field(default_factory=list)
    episode: BeatEpisode | None = None
    latest: list[bool] = field(default_factory=list)  # which of the latest beats belong to it


@compiled
def take_final(limits: Limits, b: FinalNumbers) -> bool:
    """Whether a beat is ventricular, of good signal, and no faster than a run is slow."""
    return b.good and b.ventricular > LIKELY and b.rr_ms * limits.vt_rate > 60_000


class IdioventricularDetector(DetectorWithState[State]):
    """Begins with LEAST_BEATS ventricular beats slower than `vt_rate`."""

    __slots__ = ()
    bit: ClassVar[int] = IDIOVENTRICULAR
    nothing: ClassVar[type[State]] = State

    def restored(self) -> None:
        """See `DetectorWithState`."""
        self.listen(bool(self._state.row) or self._state.episode is not None)

    def tell(self, event: AlarmInput) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`. While beats are remembered, it is asked about every one."""
        state = self._state
        if not isinstance(event, FinalScore):
            episode = state.episode
            return () if episode is None else self._fade(episode, event.known_at)
        belongs = self._belongs(event.score)
        if state.episode is not None:
            return self._follow(state.episode, event, belongs)
        if not belongs:
            self.state = State()
            return ()
        self.listen(True)
        state.row.append(event.score.with_own_arrays())
        if len(state.row) < LEAST_BEATS:
            return ()
        state.episode = BeatEpisode.begin(state.row, event.known_at)
        state.row = []
        return (self._event(state.episode, Phase.START, event.known_at),)

    def close(self, sample: int) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        episode, self.state = self._state.episode, State()
        return () if episode is None else (self._event(episode, Phase.END, sample),)

    def _fade(self, episode: BeatEpisode, known_at: int) -> Sequence[AlarmEvent]:
        faded = known_at - episode.last > FADED_S * self.watch.fs
        return self.close(known_at) if faded else ()

    def _belongs(self, score: Score) -> bool:
        """See `take_final`."""
        probabilities, rr_ms = score.probabilities, score.beat.rr_ms
        if probabilities is None or probabilities[VENTRICULAR] <= LIKELY:
            return False
        slow = rr_ms is not None and rr_ms * self.watch.limits.vt_rate > 60_000
        return slow and score.beat.quality is GOOD

    def _follow(
        self, episode: BeatEpisode, event: FinalScore, belongs: bool
    ) -> Sequence[AlarmEvent]:
        state, known_at = self._state, event.known_at
        faded = event.score.beat.sample - episode.last > FADED_S * self.watch.fs
        if is_over(state.latest, belongs) or faded:
            self.state = State()
            return (self._event(episode, Phase.END, known_at),)
        if belongs:
            episode.add(event.score)
        updates = episode.update(CODE, known_at, self.watch.limits.update_s * self.watch.fs)
        return [self._described(update, episode) for update in updates]

    def _event(self, episode: BeatEpisode, phase: Phase, known_at: int) -> AlarmEvent:
        return self._described(episode.event(CODE, phase, known_at), episode)

    def _described(self, event: AlarmEvent, episode: BeatEpisode) -> AlarmEvent:
        """The event with what the rhythm is like as of then."""
        rate = episode.rate
        accelerated = rate is not None and rate >= ACCELERATED
        subtype = Subtype.ACCELERATED_IDIOVENTRICULAR if accelerated else None
        return replace(event, facts=replace(event.facts, heart_rate=rate, subtype=subtype))
