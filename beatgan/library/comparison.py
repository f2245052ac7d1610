"""What was found beside what somebody annotated, after ANSI/AAMI EC57."""

from dataclasses import dataclass
from math import nan
from pathlib import Path

import numpy as np

from beatgan.beat_classes import CLASSES
from beatgan.ec57.annotations import ANNOTATOR, Reference, read_reference
from beatgan.ec57.beat_matching import WINDOW_S, BeatFigures, compare_record, match
from beatgan.ec57.class_matching import ClassCounts, compare_classes
from beatgan.ec57.detections import shutdowns_of
from beatgan.ec57.roc import auc
from beatgan.library.result import Result
from beatgan.types import Bools


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """How right a result is.

    ``beats``: how well beats were found. ``classes``: the confusion matrix; ``classes.of("V")`` are
    the figures for ventricular beats, ``of("S")`` for supraventricular ones. ``auc``: how well the
    score ranks abnormal beats (S, V, F, Q) above normal ones, among the beats that were found and
    scored; nan where there are none of either. ``anomalous``: the share of the abnormal ones that
    were called anomalous, and of the normal ones; nan without any.
    """

    beats: BeatFigures
    classes: ClassCounts
    auc: float
    anomalous: tuple[float, float]

    @property
    def sensitivity(self) -> float:
        """The share of the reference beats that were found, within 150 ms; nan without any."""
        return self.beats.wide.sensitivity

    @property
    def ppv(self) -> float:
        """The share of the beats found that are reference beats; nan without any."""
        return self.beats.wide.ppv

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        return self.beats.wide.f1

    def __str__(self) -> str:
        """In a few lines, for people."""
        wide = self.beats.wide
        abnormal, normal = self.anomalous
        area = "- (one class alone)" if np.isnan(self.auc) else f"{self.auc:.4f}"
        lines = [
            f"beats: {wide.tp} found, {wide.fn} missed, {wide.fp} false; "
            f"Se {_percent(self.sensitivity)}, PPV {_percent(self.ppv)}",
            f"score: AUC {area}; called anomalous: {_percent(abnormal)} of the abnormal, "
            f"{_percent(normal)} of the normal beats",
        ]
        for name, label in (("VEB", "V"), ("SVEB", "S")):
            of = self.classes.of(label)
            lines.append(f"{name}: Se {_percent(of.sensitivity)}, PPV {_percent(of.ppv)}")
        return "\n".join(lines)


def compare(
    result: Result, reference: str | Path | Reference, annotator: str = ANNOTATOR
) -> Comparison:
    """``result`` beside the annotations of the same recording.

    ``reference``: a WFDB record, whose annotations have the suffix ``annotator``, or what
    `read_reference` gave. Ventricular flutter is left out, as EC57 asks, and what lies outside the
    signal. Raises RecordError naming
    the file where it is missing or unreadable.
    """
    if not isinstance(reference, Reference):
        base = Path(reference)
        base = base.with_suffix("") if base.suffix in (".hea", f".{annotator}") else base
        reference = read_reference(base, annotator, result.fs)
    reference = reference.at(result.fs).within(len(result.ecg))
    found = result.beats
    sample, called = found["sample"], found["class"].astype(np.str_)
    seconds = len(result.ecg) / result.fs
    shutdowns = shutdowns_of(result.messages)
    return Comparison(
        compare_record(reference, sample, seconds, shutdowns=shutdowns),
        compare_classes(reference, sample, called),
        *_of_scores(reference, result),
    )


def _of_scores(reference: Reference, result: Result) -> tuple[float, tuple[float, float]]:
    """The score's AUC, and how many abnormal and normal beats were called anomalous."""
    beats = result.beats[~reference.in_flutter(result.beats["sample"])]
    pairs = match(reference.sample, beats["sample"], WINDOW_S * reference.fs)
    matched = beats[pairs.detected]
    abnormal = reference.label[pairs.reference] != CLASSES[0]
    scored = ~np.isnan(matched["score"])
    area = auc(matched["score"][scored], abnormal[scored])
    return area, (_share(matched["anomalous"][abnormal]), _share(matched["anomalous"][~abnormal]))


def _share(flags: Bools) -> float:
    return float(flags.mean()) if len(flags) else nan


def _percent(share: float) -> str:
    return "-" if np.isnan(share) else f"{100 * share:.2f} %"
