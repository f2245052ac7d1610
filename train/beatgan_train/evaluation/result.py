"""What an evaluation found, and the same as JSON.

Holds figures that were already computed; knows no data and not how they are shown.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from math import isfinite
from typing import Any

from beatgan.ec57.beat_matching import BeatCounts
from beatgan_train.evaluation.classification import Classification
from beatgan_train.evaluation.examples import WorstRecord
from beatgan_train.evaluation.metrics import Gain, RecordRow, Row
from beatgan_train.evaluation.timing import Speed


@dataclass(frozen=True, slots=True)
class DetectionRow:
    """Beat detection within one matching window, gross over records."""

    window_ms: float
    tp: int
    fp: int
    fn: int
    sensitivity: float
    ppv: float
    f1: float
    median_error_ms: float


@dataclass(frozen=True, slots=True)
class FalseDetections:
    """Detections that match no reference beat: how many, and how many of them were flagged."""

    count: int
    flagged: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything one run found; the first of ``rows`` is the model, the others baselines.

    What is named ``without_hard`` leaves record HARD out. Intervals are over ``patients``.
    ``protocol`` is None where a whole database was tested on. Of its records, ``left_out`` are of
    patients that the model has seen; ``seen`` are such that were tested all the same; ``paced``
    were not tested, as EC57 asks, nor those ``without_beats`` in their annotation. ``missing`` are
    records of the protocol that were not there. Annotated beats that lie ``outside`` the signal and
    annotations with ``unknown_symbols`` were not compared: how many, by record. The baselines were
    fitted to so many ``groups`` of patients, each without one; None: to the protocol's own.
    ``warnings`` and what is ``not_measured``, with the reason, are in words.
    ``classification`` is None for a model that gives no classes.
    """

    model: str
    tested_on: str
    protocol: str | None
    warnings: Sequence[str]
    not_measured: Mapping[str, str]
    patients_told_by: str
    left_out: Sequence[str]
    seen: Sequence[str]
    paced: Sequence[str]
    without_beats: Sequence[str]
    missing: Sequence[str]
    outside: Mapping[str, int]
    unknown_symbols: Mapping[str, int]
    groups: int | None
    one_lead: bool  # though the recordings may have more
    of_scores: bool  # of a file of the daemon's scores, not scored anew
    threshold: float
    provenance: Mapping[str, Any]
    patients: int
    detection: Sequence[DetectionRow]
    rows: Sequence[Row]
    rows_without_hard: Sequence[Row]
    over_template_and_rr: Sequence[Gain]
    gains: Sequence[Gain]
    gains_without_hard: Sequence[Gain]
    records: Sequence[RecordRow]
    classification: Classification | None
    compared_with: str  # the baseline beside each record
    worst: Sequence[WorstRecord]
    false_detections: FalseDetections
    speed: Sequence[Speed]

    @property
    def has_hard(self) -> bool:
        """Whether record HARD is among the tested."""
        return self.rows_without_hard[0].abnormal != self.rows[0].abnormal


def detection_row(found: BeatCounts, window_s: float) -> DetectionRow:
    """The figures of ``found`` as a row."""
    return DetectionRow(
        window_ms=1000 * window_s,
        tp=found.tp,
        fp=found.fp,
        fn=found.fn,
        sensitivity=found.sensitivity,
        ppv=found.ppv,
        f1=found.f1,
        median_error_ms=found.median_error_ms,
    )


def as_json(found: Evaluation) -> str:
    """All figures as JSON; what could not be measured is null."""
    return json.dumps(plain(found), indent=2, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """Values as JSON has them."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value
