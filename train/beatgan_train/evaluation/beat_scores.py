"""What a model says of beats: a score each, and a class each where it has a class head."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from beatgan.model.model import Model
from beatgan.types import Doubles, Ints
from beatgan_train.data.beat_set import BeatSet
from beatgan_train.ec57.annotations import Labels

BLOCK = 4096  # beats scored at a time: a score carries its pictures, which take memory


@dataclass(frozen=True, slots=True, eq=False)
class BeatScores:
    """One row a beat: its score ``value``, or -inf, and its AAMI class ``called``, or empty."""

    value: Doubles
    called: Labels

    @classmethod
    def empty(cls, count: int) -> Self:
        """So many beats of which nothing is said."""
        return cls(np.full(count, -np.inf), np.zeros(count, "<U1"))

    @property
    def classified(self) -> bool:
        """Whether any beat was given a class."""
        return bool(np.not_equal(self.called, "").any())

    def put(self, rows: Ints, others: Self) -> None:
        """Set ``rows`` to what ``others`` say."""
        self.value[rows], self.called[rows] = others.value, others.called


def scores_of_model(model: Model, beats: BeatSet, rows: Ints) -> BeatScores:
    """What the model says of each of ``rows``."""
    found = BeatScores.empty(len(rows))
    for first in range(0, len(rows), BLOCK):
        block = [beats.beat(i) for i in rows[first : first + BLOCK].tolist()]
        for k, score in enumerate(model.score(block), first):
            if score.value is not None:
                found.value[k] = score.value
                found.called[k] = score.beat_class or ""
    return found
