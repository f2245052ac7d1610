"""What a score means, stated once. Any object with these two members can stand in for a model."""

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

    def score(self, beats: Sequence[Beat]) -> list[Score]:
        """One score for each beat, in the same order."""
