"""What a score means, stated once. Any object with these members can stand in for a model."""

from collections.abc import Sequence
from typing import Protocol

from beatgan.types import Beat, Score


class Scorer(Protocol):
    """Scores beats; stateless, so one scorer serves every stream.

    Laws: higher is more anomalous; a value is finite, or None exactly when the beat's quality is
    unusable; it depends on that beat alone, not on what else is in the batch, to the bit. So do the
    probabilities of its classes, where the model has such: finite numbers, Python's own.
    """

    @property
    def threshold(self) -> float:
        """Beats with a higher value are anomalous."""

    @property
    def revises(self) -> bool:
        """Whether `revise` can say more than `score` did."""

    def score(self, beats: Sequence[Beat]) -> list[Score]:
        """One score for each beat, in the same order."""

    def revise(self, scores: Sequence[Score], next_rr_ms: Sequence[float]) -> list[Score]:
        """The same beats' scores, now that the RR interval to the next beat is known, in ms.

        In the same order. What is said of a beat depends on its score and its interval alone, to
        the bit; a value stays None where it was. A score that this model cannot revise stays the
        same object: above all one of another model, in whose place this one has come meanwhile.
        """
