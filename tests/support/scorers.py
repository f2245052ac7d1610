"""Stand-ins for a model."""

from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace

from beatgan.types import Beat, Quality, Score


class SaysAllAtOnce:
    """A scorer that has nothing to add when the next beat is known."""

    revises = False

    def revise(self, scores: Sequence[Score], next_rr_ms: Sequence[float]) -> list[Score]:
        """The scores as they are."""
        assert len(next_rr_ms) == len(scores)
        return list(scores)


class DistanceScorer(SaysAllAtOnce):
    """Scores a beat by its distance to the patient's own reference: no network, no torch."""

    threshold = -1.5

    def __init__(self) -> None:
        self.batches: list[int] = []

    def score(self, beats: Sequence[Beat]) -> list[Score]:
        self.batches.append(len(beats))
        return [self._score(beat) for beat in beats]

    def _score(self, beat: Beat) -> Score:
        apart = -4.0 if beat.distance is None else beat.distance
        value = None if beat.quality is Quality.UNUSABLE else apart + 0.1 * beat.prematurity
        error = (beat.window - beat.template) ** 2
        terms = np.array([np.nan, apart, 0.1 * beat.prematurity, np.nan], np.float32)
        score = Score(beat, value, self.threshold, beat.template, error)
        return score if value is None else replace(score, terms=terms)


class ClassifyingScorer(DistanceScorer):
    """The same, and the beat's class: S where it comes early, V where it is far from the usual."""

    def _score(self, beat: Beat) -> Score:
        score = super()._score(beat)
        if score.value is None:
            return score
        odds = np.exp([0.0, 3 * beat.prematurity - 3, 4 * (score.value + 1), -4.0, -6.0])
        n, s, v, f, q = (odds / odds.sum()).tolist()
        return replace(score, probabilities=(n, s, v, f, q))


class RevisingScorer(ClassifyingScorer):
    """The same, and by the interval to the next beat: higher the longer that is.

    A pause behind it makes a beat that was normal anomalous; one on time makes it normal again.
    """

    revises = True

    def __init__(self) -> None:
        super().__init__()
        self.revisions: list[int] = []

    def revise(self, scores: Sequence[Score], next_rr_ms: Sequence[float]) -> list[Score]:
        self.revisions.append(len(scores))
        return [
            replace(score, value=None if score.value is None else score.value + (rr - 850) / 100)
            for score, rr in zip(scores, next_rr_ms, strict=True)
        ]
