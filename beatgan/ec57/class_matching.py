"""Beat-by-beat comparison of classes with a reference, after ANSI/AAMI EC57.

Works on sample indices and class letters alone; it knows neither waveforms nor scores, and no file.
"""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from beatgan.beat_classes import CLASSES
from beatgan.ec57.annotations import Labels, Reference
from beatgan.ec57.beat_matching import WINDOW_S, BeatCounts, match
from beatgan.types import Ints

LETTERS = tuple(str(each) for each in CLASSES)
NO_BEAT, NO_CLASS, MISSED = "no beat", "no class", "missed"
ROWS = (*LETTERS, NO_BEAT)  # what the reference has; NO_BEAT: nothing, a false detection
COLUMNS = (*LETTERS, NO_CLASS, MISSED)  # what was found; NO_CLASS: a beat that was not classified

ECTOPICS = {"VEB": "V", "SVEB": "S"}
# Calling an F or Q beat ventricular, or a Q beat supraventricular, is no false positive.
NOT_COUNTED = {"V": ("F", "Q"), "S": ("Q",)}


@dataclass(frozen=True, slots=True, eq=False)
class ClassCounts:
    """How many beats of each of `ROWS` were found as each of `COLUMNS`: the confusion matrix."""

    matrix: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros((len(ROWS), len(COLUMNS)), np.int64)
    )

    def of(self, label: str) -> BeatCounts:
        """How well the ectopic beats of class ``label`` ("V" or "S") were told from all others.

        After ANSI/AAMI EC57, 4.3, with the formulas of WFDB's ``bxb``. Hits are beats of the class
        that were called so. Misses are all its others, whether called otherwise, not classified or
        not found. False positives are beats of other classes that were called so, and false
        detections that were; except that an F or a Q beat called V counts neither for nor against
        the VEB figures, and a Q beat called S neither for nor against the SVEB figures. (An F beat
        called S is a false positive.)
        """
        row, column = ROWS.index(label), COLUMNS.index(label)
        hits = int(self.matrix[row, column])
        against = [i for i, name in enumerate(ROWS) if name not in (label, *NOT_COUNTED[label])]
        return BeatCounts(
            tp=hits,
            fp=int(self.matrix[against, column].sum()),
            fn=int(self.matrix[row].sum()) - hits,
        )

    def __add__(self, other: Self) -> Self:
        """The counts of two records together."""
        return type(self)(self.matrix + other.matrix)


def compare_classes(
    reference: Reference,
    detected: Ints,
    called: Labels,
    window_s: float = WINDOW_S,
    *,
    start_s: float = 0.0,
) -> ClassCounts:
    """Compare detections of class ``called`` with the reference beats of the same record.

    ``called`` has an AAMI class for each of ``detected``, or is empty where none was given. Beats
    are matched as `beat_matching.compare` matches them; what lies in flutter is not counted, nor
    are beats before ``start_s`` (seconds): those of a pair are where the reference has them.
    """
    outside = np.flatnonzero(~reference.in_flutter(detected))
    order = outside[np.argsort(detected[outside], kind="stable")]
    pairs = match(reference.sample, detected[order], window_s * reference.fs)
    row = np.full(len(order), ROWS.index(NO_BEAT))
    row[pairs.detected] = _indices(reference.label[pairs.reference], ROWS)
    place, start = detected[order].copy(), start_s * reference.fs
    place[pairs.detected] = reference.sample[pairs.reference]
    counted = place >= start
    counts = ClassCounts()
    np.add.at(counts.matrix, (row[counted], _indices(called[order][counted], COLUMNS)), 1)
    alone = np.delete(np.arange(len(reference.sample)), pairs.reference)
    missed = reference.label[alone[reference.sample[alone] >= start]]
    counts.matrix[:, COLUMNS.index(MISSED)] += np.bincount(
        _indices(missed, ROWS), minlength=len(ROWS)
    )
    return counts


def _indices(labels: Labels, names: tuple[str, ...]) -> Ints:
    """Where in ``names`` each label stands; an empty one is NO_CLASS."""
    named = [str(label) or NO_CLASS for label in labels.tolist()]
    return np.array([names.index(name) for name in named], dtype=np.int64)
