"""What a model says of beats: a score each, and a class each where it has a class head."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from beatgan.ec57.annotations import Labels
from beatgan.model.model import Model
from beatgan.model.revision import REVISE_WITHIN_S, revisions
from beatgan.types import Beat, Doubles, Ints, Score
from beatgan_train.data.beat_set import BeatSet

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


def scores_of_rows(
    model: Model, beats: BeatSet, rows: Sequence[int], revise_within_s: float = REVISE_WITHIN_S
) -> list[Score]:
    """The final score of each of ``rows``, as the daemon's would be.

    ``beats`` are all of their records, in order: the row behind a beat is the next one.
    """
    scores = model.score([beats.beat(row) for row in rows])
    following = [_next(beats, row) if model.revises else None for row in rows]
    revised = revisions(model, scores, following, revise_within_s)
    return [first if last is None else last for first, last in zip(scores, revised, strict=True)]


def _next(beats: BeatSet, row: int) -> Beat | None:
    same = row + 1 < len(beats) and beats.record[row + 1] == beats.record[row]
    return beats.beat(row + 1) if same else None


def scores_of_model(
    model: Model, beats: BeatSet, rows: Ints, revise_within_s: float = REVISE_WITHIN_S
) -> BeatScores:
    """What the model says of each of ``rows``, see `scores_of_rows`."""
    found = BeatScores.empty(len(rows))
    for first in range(0, len(rows), BLOCK):
        block = rows[first : first + BLOCK].tolist()
        for k, score in enumerate(scores_of_rows(model, beats, block, revise_within_s), first):
            if score.value is not None:
                found.value[k] = score.value
                found.called[k] = score.beat_class or ""
    return found
