"""Alarm `beat.anomalous`: k of the latest n beats are anomalous, by their final scores.

Knows scores and their beats' quality, not why a beat is anomalous. A pure fold.
"""

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct, field

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import (
    ANOMALOUS_BEATS,
    AlarmEvent,
    AlarmInput,
    BeatEpisode,
    DetectorWithState,
    FinalScore,
)
from beatgan.alarms.memory import FinalNumbers
from beatgan.jit import compiled
from beatgan.types import Phase, Quality, Score

CODE = AlarmCode.ANOMALOUS_BEATS
GOOD = Quality.GOOD  # looked up once: each beat is held against it


class State(Struct):
    """What it remembers.

    ``recent``: the latest scored beats from the first on that may begin an episode, None for one
    that may not; empty while one is under way.
    """

    recent: list[Score | None] = field(default_factory=list)
    episode: BeatEpisode | None = None


@compiled
def take_final(b: FinalNumbers) -> bool:
    """Whether the beat may begin an episode: beats of poor signal only prolong one."""
    return b.good and b.value > b.threshold


class AnomalousBeatsDetector(DetectorWithState[State]):
    """Begins with `anomalous_beats` of `among_beats`; ends after `clear_beats` normal ones."""

    __slots__ = ()
    bit: ClassVar[int] = ANOMALOUS_BEATS
    nothing: ClassVar[type[State]] = State

    def restored(self) -> None:
        """See `DetectorWithState`."""
        state = self._state
        if state.episode is not None:  # as an earlier version left it
            state.recent = []
        self.listen(state.episode is not None or any(state.recent))

    def tell(self, event: AlarmInput) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`. While beats are remembered, it is asked about every one."""
        if not isinstance(event, FinalScore) or (value := event.score.value) is None:
            return ()
        score, anomalous = event.score, value > event.score.threshold
        if self._state.episode is not None:
            return self._go_on(self._state.episode, score, anomalous, event.known_at)
        may_begin = anomalous and score.beat.quality is GOOD
        recent = self._state.recent
        recent.append(score.with_own_arrays() if may_begin else None)
        del recent[: -self.watch.limits.among_beats]
        return self._begin(recent, event.known_at) if may_begin else self._wait(recent)

    def close(self, sample: int) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        episode, self.state = self._state.episode, State()
        return () if episode is None else (episode.event(CODE, Phase.END, sample),)

    def _wait(self, recent: list[Score | None]) -> Sequence[AlarmEvent]:
        """Nothing to remember where none of the latest beats may begin an episode."""
        if not any(recent):
            self.state = State()
        return ()

    def _begin(self, recent: list[Score | None], known_at: int) -> Sequence[AlarmEvent]:
        self.listen(True)
        found = [each for each in recent if each is not None]
        if len(found) < self.watch.limits.anomalous_beats:
            return ()
        self._state = State(episode=(episode := BeatEpisode.begin(found, known_at)))
        return (episode.event(CODE, Phase.START, known_at),)

    def _go_on(
        self, episode: BeatEpisode, score: Score, anomalous: bool, known_at: int
    ) -> Sequence[AlarmEvent]:
        limits = self.watch.limits
        if anomalous:
            episode.add(score)
        else:
            episode.others += 1
            if episode.others >= limits.clear_beats:
                self.state = State()
                return (episode.event(CODE, Phase.END, known_at),)
        return episode.update(CODE, known_at, limits.update_s * self.watch.fs)
