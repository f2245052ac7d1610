"""Models of a cross-validation as one: each scores the patients whom it has not seen.

Of several models' scores each is moved so that its model's threshold is the first one's.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from beatgan.model.model import Model
from beatgan.types import Ints, Score
from beatgan_train.data.beat_set import BeatSet
from beatgan_train.evaluation.beat_scores import BeatScores, scores_of_model, scores_of_rows


class ModelSet:
    """One model, or several, of which ``of_record`` says which scores a recording (default: the
    first)."""

    def __init__(self, models: Sequence[Model], of_record: Mapping[str, int]) -> None:
        self._models, self._of_record = models, of_record

    def scores(self, beats: BeatSet, rows: Ints) -> BeatScores:
        """What is said of each of ``rows``, see `scores_of_model`."""
        found = BeatScores.empty(len(rows))
        first = self._models[0].calibration.threshold
        for number, places in self._by_model(beats, rows):
            model = self._models[number]
            said = scores_of_model(model, beats, rows[places])
            moved = said.value + (first - model.calibration.threshold)
            found.put(places, BeatScores(moved, said.called))
        return found

    def scores_of_rows(self, beats: BeatSet, rows: Sequence[int]) -> list[Score]:
        """The score of each of ``rows`` with its explanation, as its model gives it."""
        found: dict[int, Score] = {}
        for number, places in self._by_model(beats, np.array(rows, np.int64)):
            chosen = [rows[place] for place in places]
            found.update(
                zip(places, scores_of_rows(self._models[number], beats, chosen), strict=True)
            )
        return [found[place] for place in range(len(rows))]

    def _by_model(self, beats: BeatSet, rows: Ints) -> Iterable[tuple[int, Ints]]:
        """Each model's number, and which of ``rows`` it scores."""
        of_record = np.array([self._of_record.get(name, 0) for name in beats.records])
        whose = of_record[beats.record[rows]]
        for number in np.unique(whose).tolist():
            yield number, np.flatnonzero(whose == number).astype(np.int64)
