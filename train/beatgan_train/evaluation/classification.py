"""How right the classes are that beats were given: VEB, SVEB and the confusion matrix, after EC57.

Pure figures from counts; it knows neither how the classes came about nor how they are shown.
Every figure is nan where there is nothing to measure. Intervals are over patients.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isnan, nan
from statistics import fmean

import numpy as np

from beatgan.ec57.beat_matching import BeatCounts
from beatgan.ec57.class_matching import COLUMNS, ECTOPICS, ROWS, ClassCounts
from beatgan.types import Doubles
from beatgan_train.data.recordings import patient_in_database
from beatgan_train.evaluation.bootstrap import draw, interval, ratios
from beatgan_train.evaluation.metrics import Measured

RATES: Mapping[str, Callable[[BeatCounts], float]] = {
    "sensitivity": lambda of: of.sensitivity,
    "ppv": lambda of: of.ppv,
    "f1": lambda of: of.f1,
}


@dataclass(frozen=True, slots=True)
class EctopicFigures:
    """The figures of one kind of ectopic beat, "VEB" or "SVEB".

    Gross: every beat of every record counted alike. ``average``: the mean of each of `RATES` over
    the records that have it; ``averaged``: how many those are.
    """

    name: str
    tp: int
    fp: int
    fn: int
    sensitivity: Measured
    ppv: Measured
    f1: Measured
    average: Mapping[str, float]
    averaged: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RecordEctopics:
    """One record's figures, by `ECTOPICS` and `RATES`; ``beats``: how many it has of each kind."""

    record: str
    beats: Mapping[str, int]
    rates: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Classification:
    """All that was found of the classes; ``matrix`` has a row for each of ``rows``."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...]
    ectopics: tuple[EctopicFigures, ...]
    records: tuple[RecordEctopics, ...]


def classification(
    records: Mapping[str, ClassCounts], patient_of: Callable[[str], str] = patient_in_database
) -> Classification:
    """The figures of the counts of some records, by name; ``patient_of`` a name is whose it is."""
    total = sum(records.values(), ClassCounts())
    return Classification(
        rows=ROWS,
        columns=COLUMNS,
        matrix=tuple(tuple(row) for row in total.matrix.tolist()),
        ectopics=tuple(_ectopics(name, records, patient_of) for name in ECTOPICS),
        records=tuple(_one_record(name, counts) for name, counts in records.items()),
    )


def _ectopics(
    name: str, records: Mapping[str, ClassCounts], patient_of: Callable[[str], str]
) -> EctopicFigures:
    of = {record: counts.of(ECTOPICS[name]) for record, counts in records.items()}
    gross = sum(of.values(), BeatCounts())
    tp, fp, fn = (_by_patient({r: getattr(c, part) for r, c in of.items()}, patient_of)
                  for part in ("tp", "fp", "fn"))  # fmt: skip
    wholes = {"sensitivity": (tp, tp + fn), "ppv": (tp, tp + fp), "f1": (2 * tp, 2 * tp + fp + fn)}
    times = draw(len(tp))
    measured = {
        rate: Measured(RATES[rate](gross), interval(ratios(part, whole, times)))
        for rate, (part, whole) in wholes.items()
    }
    known = {
        rate: [value for c in of.values() if not isnan(value := figure(c))]
        for rate, figure in RATES.items()
    }
    return EctopicFigures(
        name=name,
        tp=gross.tp,
        fp=gross.fp,
        fn=gross.fn,
        **measured,
        average={rate: fmean(values) if values else nan for rate, values in known.items()},
        averaged={rate: len(values) for rate, values in known.items()},
    )


def _by_patient(counts: Mapping[str, int], patient_of: Callable[[str], str]) -> Doubles:
    """The sum of each patient's ``counts``, which are by record."""
    _, owner = np.unique([patient_of(record) for record in counts], return_inverse=True)
    return np.bincount(owner, np.array([*counts.values()], np.float64)).astype(np.float64)


def _one_record(record: str, counts: ClassCounts) -> RecordEctopics:
    of = {name: counts.of(label) for name, label in ECTOPICS.items()}
    return RecordEctopics(
        record=record,
        beats={name: each.tp + each.fn for name, each in of.items()},
        rates={name: {r: figure(c) for r, figure in RATES.items()} for name, c in of.items()},
    )
