"""How much a row of beats looks like a ventricular run, and how little like an artefact.

Knows the beats of the row, whether the leads agree on the latest ones, and how many of the
patient's own beats the stream has shown; knows no detector. Stateless.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import log, log1p
from operator import mul
from typing import NamedTuple

from beatgan.alarms import ventricular_beat
from beatgan.alarms.ventricular_beat import POSSIBLE, Shape
from beatgan.beats.window import CORE_AFTER, CORE_BEFORE
from beatgan.coefficients import VentricularRunCoefficients
from beatgan.errors import ArtifactError
from beatgan.spec import PreprocessSpec
from beatgan.types import Floats, Quality, Score

MOST_LIKENESS = 1.001  # no two beats are more alike
ROUNDING = 1e-6  # of log odds
AGREED_OF_OTHERS = 0.8  # share of agreement where only one lead is usable
UNKNOWN_DISTANCE = -3.0  # of a beat that cannot be compared: a normal one's
MOST_OWN_BEATS = 40  # more of the patient's own beats make a stream no better known


class Look(NamedTuple):
    """What there is to see of one scored beat, without the others of its row."""

    log_odds: float
    poor: bool
    distance: float
    shape: Shape


class Row(NamedTuple):
    """Beats in a row, two or more, each scored; and what the stream was like up to there.

    ``agreed``: of the stream's latest scored beats, whether another lead had each; None for a beat
    where no other lead was usable. ``own_beats``: how many beats of good signal were not anomalous.
    ``looks``: `VentricularClassifier.look` of each beat, where that is known already.
    """

    scores: Sequence[Score]
    agreed: Sequence[bool | None]
    own_beats: int
    looks: Sequence[Look] = ()


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
        self._most_likeness = MOST_LIKENESS if coefficients.likeness > 0 else -MOST_LIKENESS

    def possible(self, score: Score) -> bool:
        """Whether a beat may be in a run at all."""
        return ventricular_beat.log_odds(score) >= POSSIBLE

    def beat_log_odds(self, score: Score) -> float:
        """See `ventricular_beat.log_odds`."""
        return ventricular_beat.log_odds(score)

    def likeness(self, one: Floats, other: Floats) -> float:
        """See `ventricular_beat.likeness`."""
        found: float = ventricular_beat.likeness(one, other, self._r_peak)
        return found

    def look(self, score: Score) -> Look:
        """What there is to see of a beat alone: it goes for every row that the beat is in."""
        return Look(
            ventricular_beat.log_odds(score),
            score.beat.quality is not Quality.GOOD,
            _distance(score),
            ventricular_beat.shape(score, self._r_peak),
        )

    def is_run(self, row: Row) -> bool:
        """Whether `run_log_odds` are above 0. Of most rows that is known before beats are compared.

        Comparing them costs the most: first it is asked whether they could be alike enough.
        """
        most = self._log_odds(self._features(row, self._most_likeness))
        return most > -ROUNDING and self.run_log_odds(row) > 0

    def run_log_odds(self, row: Row) -> float:
        """Above 0 the row is more likely a ventricular run than not."""
        return self._log_odds(self.features(row))

    def _log_odds(self, features: Features) -> float:
        total: float = self._offset + sum(map(mul, self._weights, features))
        return total

    def features(self, row: Row) -> Features:
        """The features of a row of two beats or more."""
        windows = [score.beat.window for score in row.scores]
        return self._features(row, _mean([self.likeness(a, b) for a, b in pairwise(windows)]))

    def _features(self, row: Row, likeness: float) -> Features:
        """The features of a row with this likeness."""
        odds, poor, distances, shapes = zip(*(row.looks or map(self.look, row.scores)), strict=True)
        slowness, steepness, hf_noise = zip(*shapes, strict=True)
        return Features(
            min(odds),
            _mean(odds),
            likeness,
            _unevenness(row.scores),
            float(any(poor)),
            min(distances),
            _mean(slowness),
            _mean(steepness),
            _mean(hf_noise),
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
