"""Alarm `beat.anomalous`: k of the latest n beats are anomalous, by their final scores.

Knows scores and their beats' quality, not why a beat is anomalous. A pure fold.
"""

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct, field

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import AlarmEvent, AlarmInput, BeatEpisode, FinalScore, InputKind
from beatgan.alarms.limits import AlarmLimits
from beatgan.types import Phase, Quality, Score

CODE = AlarmCode.ANOMALOUS_BEATS
GOOD = Quality.GOOD  # looked up once: each beat is held against it


class State(Struct):
    """What it remembers: the latest scored beats, None for one that cannot begin an episode."""

    recent: list[Score | None] = field(default_factory=list)
    episode: BeatEpisode | None = None


class AnomalousBeatsDetector:
    """Begins with `anomalous_beats` of `among_beats`; ends after `clear_beats` normal ones."""

    takes: ClassVar[frozenset[InputKind]] = frozenset({FinalScore})

    def __init__(self, limits: AlarmLimits, fs: float) -> None:
        self.limits, self._fs = limits, fs
        self.state = State()

    def push(self, event: AlarmInput) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        if not isinstance(event, FinalScore) or event.score.value is None:
            return ()
        score, recent, may_begin = event.score, self.state.recent, _may_begin(event.score)
        recent.append(score.with_own_arrays() if may_begin else None)
        while len(recent) > self.limits.among_beats:
            del recent[0]
        if self.state.episode is None:
            return self._begin(event.known_at) if may_begin else ()
        return self._go_on(self.state.episode, score, event.known_at)

    def close(self, sample: int) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        episode, self.state.episode = self.state.episode, None
        return () if episode is None else (episode.event(CODE, Phase.END, sample),)

    def _begin(self, known_at: int) -> Sequence[AlarmEvent]:
        found = [recent for recent in self.state.recent if recent is not None]
        if len(found) < self.limits.anomalous_beats:
            return ()
        self.state.episode = BeatEpisode.begin(found, known_at)
        return (self.state.episode.event(CODE, Phase.START, known_at),)

    def _go_on(self, episode: BeatEpisode, score: Score, known_at: int) -> Sequence[AlarmEvent]:
        if score.anomalous:
            episode.add(score)
        else:
            episode.others += 1
        if episode.others >= self.limits.clear_beats:
            self.state = State()
            return (episode.event(CODE, Phase.END, known_at),)
        return episode.update(CODE, known_at, self.limits.update_s * self._fs)


def _may_begin(score: Score) -> bool:
    """Whether the beat may begin an episode: beats of poor signal only prolong one."""
    return score.anomalous and score.beat.quality is GOOD
