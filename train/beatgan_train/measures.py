"""What is reported of one score over labelled beats: overall, by class, by record.

Pure figures from labels and scores; it knows neither how the scores came about nor how they are
shown. Every figure is nan where there is nothing to measure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from beatgan.types import Doubles, Ints
from beatgan_train.annotations import ABNORMAL, Labels
from beatgan_train.ranking import auc, average_precision, best_f1, flagged


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Reference beats with a score each, -inf for a beat that was not detected or not judged.

    ``record`` indexes ``records``; ``label`` is an AAMI class.
    """

    records: tuple[str, ...]
    record: Ints
    label: Labels
    score: Doubles

    @property
    def abnormal(self) -> NDArray[np.bool_]:
        """Which beats are not of class N."""
        return np.not_equal(self.label, "N")

    def where(self, mask: NDArray[np.bool_]) -> Self:
        """Only some of the beats."""
        return type(self)(self.records, self.record[mask], self.label[mask], self.score[mask])

    def without(self, name: str) -> Self:
        """The beats of all records but ``name``."""
        others = [i for i, other in enumerate(self.records) if other != name]
        return self.where(np.isin(self.record, others))


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One abnormal class against N. ``flagged`` is its sensitivity at the threshold, if any."""

    label: str
    beats: int
    auc: float
    ap: float
    flagged: float | None


@dataclass(frozen=True, slots=True)
class Row:
    """One score's figures. ``flagged_normal`` is the share of N above the threshold, if any."""

    name: str
    normal: int
    abnormal: int
    auc: float
    ap: float
    best_f1: float
    best_threshold: float
    flagged_normal: float | None
    classes: tuple[ClassFigures, ...]


@dataclass(frozen=True, slots=True)
class RecordRow:
    """One record's figures; ``sensitivity`` over all its abnormal beats."""

    record: str
    beats: dict[str, int]
    unscored: int
    auc: float
    ap: float
    flagged_normal: float
    sensitivity: float


def measure(name: str, beats: Scored, threshold: float | None = None) -> Row:
    """All figures of one score; those at a threshold only where one is given."""
    abnormal = beats.abnormal
    best, best_threshold = best_f1(beats.score, abnormal)
    normal = beats.score[~abnormal]
    return Row(
        name=name,
        normal=len(normal),
        abnormal=int(abnormal.sum()),
        auc=auc(beats.score, abnormal),
        ap=average_precision(beats.score, abnormal),
        best_f1=best,
        best_threshold=best_threshold,
        flagged_normal=None if threshold is None else flagged(normal, threshold),
        classes=tuple(
            _one_class(label, beats, threshold) for label in ABNORMAL if label in beats.label
        ),
    )


def by_record(beats: Scored, threshold: float) -> list[RecordRow]:
    """The figures of each record that has beats, in the order of ``beats.records``."""
    present = np.unique(beats.record)
    return [
        _one_record(beats.records[i], beats.where(beats.record == i), threshold) for i in present
    ]


def class_counts(label: Labels, classes: Sequence[str] = ("N", *ABNORMAL)) -> dict[str, int]:
    """How many beats there are of each class."""
    return {name: int(np.count_nonzero(label == name)) for name in classes}


def _one_class(label: str, beats: Scored, threshold: float | None) -> ClassFigures:
    pair = beats.where(np.isin(beats.label, ["N", label]))
    members = pair.score[pair.abnormal]
    return ClassFigures(
        label=label,
        beats=len(members),
        auc=auc(pair.score, pair.abnormal),
        ap=average_precision(pair.score, pair.abnormal),
        flagged=None if threshold is None else flagged(members, threshold),
    )


def _one_record(name: str, beats: Scored, threshold: float) -> RecordRow:
    abnormal = beats.abnormal
    return RecordRow(
        record=name,
        beats=class_counts(beats.label),
        unscored=int(np.isneginf(beats.score).sum()),
        auc=auc(beats.score, abnormal),
        ap=average_precision(beats.score, abnormal) if (~abnormal).any() else float("nan"),
        flagged_normal=flagged(beats.score[~abnormal], threshold),
        sensitivity=flagged(beats.score[abnormal], threshold),
    )
