"""What is reported of one score over labelled beats: overall, by class, by record.

Pure figures from labels and scores; it knows neither how the scores came about nor how they are
shown. Every figure is nan where there is nothing to measure. Intervals are over patients.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from beatgan.beat_classes import ABNORMAL, CLASSES
from beatgan.ec57.annotations import Labels
from beatgan.types import Doubles, Ints
from beatgan_train.data.recordings import patient_in_database
from beatgan_train.evaluation.bootstrap import (
    Interval,
    aucs,
    average_precisions,
    draw,
    interval,
    shares,
)
from beatgan_train.evaluation.ranking import auc, average_precision, best_f1, flagged

Figure = Literal["AUC", "AP"]
FIGURES: tuple[Figure, ...] = ("AUC", "AP")
POINT = {"AUC": auc, "AP": average_precision}
DRAWN = {"AUC": aucs, "AP": average_precisions}


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Reference beats with a score each, -inf for a beat that was not detected or not scored.

    ``record`` indexes ``records``; ``label`` is an AAMI class. ``owners`` says whose each of
    ``records`` is; without it their names do.
    """

    records: tuple[str, ...]
    record: Ints
    label: Labels
    score: Doubles
    owners: tuple[str, ...] = ()

    @property
    def abnormal(self) -> NDArray[np.bool_]:
        """Which beats are not of class N."""
        return np.not_equal(self.label, "N")

    @property
    def patient(self) -> Ints:
        """Whose beat each is: a number from 0 for each patient that has beats."""
        owners = self.owners or [patient_in_database(name) for name in self.records]
        return np.unique(np.array(owners)[self.record], return_inverse=True)[1].astype(np.int64)

    @property
    def patients(self) -> int:
        """How many patients have beats."""
        return len(np.unique(self.patient))

    def where(self, mask: NDArray[np.bool_]) -> Self:
        """Only some of the beats."""
        return replace(
            self, record=self.record[mask], label=self.label[mask], score=self.score[mask]
        )

    def without(self, name: str) -> Self:
        """The beats of all records but ``name``."""
        others = [i for i, other in enumerate(self.records) if other != name]
        return self.where(np.isin(self.record, others))

    def against_normal(self, label: str) -> NDArray[np.bool_]:
        """Which beats are of class N or ``label``; every beat if that is "all"."""
        return np.isin(self.label, ["N", label]) | (label == "all")


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure, and where it would lie with other patients of the kind."""

    value: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One abnormal class against N. ``flagged`` is its sensitivity at the threshold, if any."""

    label: str
    beats: int
    auc: float
    auc_interval: Interval
    ap: float
    ap_interval: Interval
    flagged: float | None
    flagged_interval: Interval | None


@dataclass(frozen=True, slots=True)
class Row:
    """One score's figures. ``flagged_normal`` is the share of N above the threshold, if any."""

    name: str
    normal: int
    abnormal: int
    auc: float
    auc_interval: Interval
    ap: float
    ap_interval: Interval
    best_f1: float
    best_threshold: float
    flagged_normal: float | None
    flagged_normal_interval: Interval | None
    classes: tuple[ClassFigures, ...]


@dataclass(frozen=True, slots=True)
class Gain:
    """One figure of the model, of the best of the baselines, and their difference draw by draw.

    ``label`` is a class ranked against N, or "all" for every abnormal beat. The best baseline is
    the one that did best in this very figure on these very beats: the hardest to beat.
    """

    label: str
    figure: Figure
    model: Measured
    baseline: str
    best: Measured
    difference: Measured


@dataclass(frozen=True, slots=True)
class RecordRow:
    """One record's figures; ``sensitivity`` over all its abnormal beats.

    ``flagged`` counts the beats of each class above the threshold; ``baseline_auc`` is that of the
    score which it is compared with.
    """

    record: str
    beats: dict[str, int]
    flagged: dict[str, int]
    unscored: int
    auc: float
    baseline_auc: float
    ap: float
    flagged_normal: float
    sensitivity: float


def measure(name: str, beats: Scored, threshold: float | None = None) -> Row:
    """All figures of one score; those at a threshold only where one is given."""
    abnormal, times = beats.abnormal, _times(beats)
    best, best_threshold = best_f1(beats.score, abnormal) if not abnormal.all() else (nan, nan)
    area, precision = (ranked(figure, beats, times) for figure in FIGURES)
    share, share_interval = _flagged(~abnormal, beats, threshold, times)
    return Row(
        name=name,
        normal=int((~abnormal).sum()),
        abnormal=int(abnormal.sum()),
        auc=area.value,
        auc_interval=area.interval,
        ap=precision.value,
        ap_interval=precision.interval,
        best_f1=best,
        best_threshold=best_threshold,
        flagged_normal=share,
        flagged_normal_interval=share_interval,
        classes=tuple(
            _one_class(label, beats, threshold, times) for label in ABNORMAL if label in beats.label
        ),
    )


def ranked(figure: Figure, beats: Scored, times: Ints, label: str = "all") -> Measured:
    """How well ``beats`` are ranked, class ``label`` against N, over the draws ``times``."""
    drawn = _over_draws(figure, beats, times, label)
    return Measured(_value(figure, beats, label), interval(drawn))


def gains(scored: Mapping[str, Scored]) -> list[Gain]:
    """What the first of ``scored`` has before the best of the others, if any, figure by figure."""
    model, *others = scored
    if not others:
        return []
    times = _times(scored[model])
    labels = [label for label in ABNORMAL if label in scored[model].label]
    return [
        _gain(figure, label, model, others, scored, times)
        for label in ("all", *labels)
        for figure in FIGURES
    ]


def gains_over(baseline: str, scored: Mapping[str, Scored]) -> list[Gain]:
    """What the first of ``scored`` has before ``baseline``, over all abnormal beats."""
    model = next(iter(scored))
    times = _times(scored[model])
    return [_gain(figure, "all", model, [baseline], scored, times) for figure in FIGURES]


def by_record(beats: Scored, threshold: float, beside: Scored | None = None) -> list[RecordRow]:
    """The figures of each record that has beats, in the order of ``beats.records``.

    ``beside`` has the same beats with the scores of a baseline.
    """
    beside = beside or beats
    return [
        _one_record(
            beats.records[i], beats.where(mask := beats.record == i), beside.where(mask), threshold
        )
        for i in np.unique(beats.record)
    ]


def class_counts(label: Labels, classes: Sequence[str] = CLASSES) -> dict[str, int]:
    """How many beats there are of each class."""
    return {name: int(np.count_nonzero(label == name)) for name in classes}


def _times(beats: Scored) -> Ints:
    return draw(beats.patients)


def _over_draws(figure: Figure, beats: Scored, times: Ints, label: str) -> Doubles:
    # Patients are numbered before the class is chosen: not every patient has beats of the class.
    members = beats.against_normal(label)
    score, positive = beats.score[members], beats.abnormal[members]
    return DRAWN[figure](score, positive, beats.patient[members], times)


def _value(figure: Figure, beats: Scored, label: str) -> float:
    members = beats.against_normal(label)
    positive = beats.abnormal[members]
    return nan if positive.all() else POINT[figure](beats.score[members], positive)


def _gain(
    figure: Figure,
    label: str,
    model: str,
    others: Sequence[str],
    scored: Mapping[str, Scored],
    times: Ints,
) -> Gain:
    values = {name: _value(figure, scored[name], label) for name in (model, *others)}
    best = max(others, key=lambda name: np.nan_to_num(values[name], nan=-1.0))
    mine, theirs = (_over_draws(figure, scored[name], times, label) for name in (model, best))
    return Gain(
        label=label,
        figure=figure,
        model=Measured(values[model], interval(mine)),
        baseline=best,
        best=Measured(values[best], interval(theirs)),
        difference=Measured(values[model] - values[best], interval(mine - theirs)),
    )


def _one_class(label: str, beats: Scored, threshold: float | None, times: Ints) -> ClassFigures:
    area, precision = (ranked(figure, beats, times, label) for figure in FIGURES)
    members = np.equal(beats.label, label)
    share, share_interval = _flagged(members, beats, threshold, times)
    return ClassFigures(
        label=label,
        beats=int(members.sum()),
        auc=area.value,
        auc_interval=area.interval,
        ap=precision.value,
        ap_interval=precision.interval,
        flagged=share,
        flagged_interval=share_interval,
    )


def _flagged(
    members: NDArray[np.bool_], beats: Scored, threshold: float | None, times: Ints
) -> tuple[float | None, Interval | None]:
    if threshold is None:
        return None, None
    score = beats.score[members]
    drawn = shares(score > threshold, beats.patient[members], times)
    return flagged(score, threshold), interval(drawn)


def _one_record(name: str, beats: Scored, beside: Scored, threshold: float) -> RecordRow:
    abnormal = beats.abnormal
    return RecordRow(
        record=name,
        beats=class_counts(beats.label),
        flagged=class_counts(beats.label[beats.score > threshold]),
        unscored=int(np.isneginf(beats.score).sum()),
        auc=auc(beats.score, abnormal),
        baseline_auc=auc(beside.score, abnormal),
        ap=average_precision(beats.score, abnormal) if (~abnormal).any() else float("nan"),
        flagged_normal=flagged(beats.score[~abnormal], threshold),
        sensitivity=flagged(beats.score[abnormal], threshold),
    )
