"""How much a row of beats looks like a ventricular run, and how little like an artefact.

Knows the beats of the row, whether the leads agree on the latest ones, and how many of the
patient's own beats the stream has shown; knows no detector. Stateless.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import log, log1p
from typing import NamedTuple

from beatgan.alarms import ventricular_beat
from beatgan.beats.window import CORE_AFTER, CORE_BEFORE
from beatgan.coefficients import VentricularRunCoefficients
from beatgan.errors import ArtifactError
from beatgan.spec import PreprocessSpec
from beatgan.types import Floats, Quality, Score

POSSIBLE = -3.0  # log odds of a beat below which it is in no run
AGREED_OF_OTHERS = 0.8  # share of agreement where only one lead is usable
UNKNOWN_DISTANCE = -3.0  # of a beat that cannot be compared: a normal one's
MOST_OWN_BEATS = 40  # more of the patient's own beats make a stream no better known


class Row(NamedTuple):
    """Beats in a row, two or more, each scored; and what the stream was like up to there.

    ``agreed``: of the stream's latest scored beats, whether another lead had each; None for a beat
    where no other lead was usable. ``own_beats``: how many beats of good signal were not anomalous.
    """

    scores: Sequence[Score]
    agreed: Sequence[bool | None]
    own_beats: int


class Features(NamedTuple):
    """What a row is judged by, in the order of `VentricularRunCoefficients`.

    ``least``, ``mean``: of the beats' log odds of being ventricular. ``likeness``: the mean
    correlation of neighbours' QRS. ``unevenness``: log of the longest interval between the beats
    over the shortest. ``poor``: 1 where a beat is of poor signal. ``distance``: the least distance
    of a beat from its template on either lead. ``slowness``, ``steepness``, ``hf_noise``: means of
    `ventricular_beat.Shape`. ``agreement``: the share of the latest beats that another lead had.
    ``own_beats``: log of one more than the patient's own beats, MOST_OWN_BEATS at the most.
    """

    least: float
    mean: float
    likeness: float
    unevenness: float
    poor: float
    distance: float
    slowness: float
    steepness: float
    hf_noise: float
    agreement: float
    own_beats: float


class VentricularClassifier:
    """Says of a model's beats how ventricular they look, alone and in a row."""

    def __init__(self, spec: PreprocessSpec, coefficients: VentricularRunCoefficients) -> None:
        """Raises ArtifactError where the spec's windows are too short for a QRS."""
        before, after = CORE_BEFORE + ventricular_beat.SHIFT, CORE_AFTER + ventricular_beat.SHIFT
        if spec.before < before or spec.after < after:
            raise ArtifactError(
                f"spec: ventricular beats are recognised by {before} samples before the R peak "
                f"and {after} after it, a window has {spec.before} and {spec.after}"
            )
        self._r_peak = spec.before
        self._weights = tuple(getattr(coefficients, name) for name in Features._fields)
        self._offset = coefficients.offset

    def beat_log_odds(self, score: Score) -> float:
        """See `ventricular_beat.log_odds`."""
        return ventricular_beat.log_odds(score)

    def likeness(self, one: Floats, other: Floats) -> float:
        """See `ventricular_beat.likeness`."""
        found: float = ventricular_beat.likeness(one, other, self._r_peak)
        return found

    def run_log_odds(self, row: Row) -> float:
        """Above 0 the row is more likely a ventricular run than not."""
        parts = zip(self._weights, self.features(row), strict=True)
        total: float = self._offset + sum(weight * each for weight, each in parts)
        return total

    def features(self, row: Row) -> Features:
        """The features of a row of two beats or more."""
        scores = row.scores
        odds = [ventricular_beat.log_odds(score) for score in scores]
        alike = [self.likeness(a.beat.window, b.beat.window) for a, b in pairwise(scores)]
        shapes = [ventricular_beat.shape(score, self._r_peak) for score in scores]
        return Features(
            min(odds),
            _mean(odds),
            _mean(alike),
            _unevenness(scores),
            float(any(score.beat.quality is not Quality.GOOD for score in scores)),
            min(map(_distance, scores)),
            _mean([each.slowness for each in shapes]),
            _mean([each.steepness for each in shapes]),
            _mean([each.hf_noise for each in shapes]),
            _mean([AGREED_OF_OTHERS if each is None else float(each) for each in row.agreed]),
            log1p(min(row.own_beats, MOST_OWN_BEATS)),
        )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _unevenness(scores: Sequence[Score]) -> float:
    """Of the intervals between the scores' beats, as far as they are known."""
    known = [score.beat.rr_ms for score in scores[1:] if score.beat.rr_ms is not None]
    return log(max(known) / min(known)) if known else 0.0


def _distance(score: Score) -> float:
    """On the lead where the beat is more like its template."""
    known = [each for each in score.beat.lead_distances if each is not None]
    return min(known, default=UNKNOWN_DISTANCE)
