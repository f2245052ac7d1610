"""Which scores are revised, and that a model's self-test holds the final ones."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from beatgan.model.calibration import Calibration
from beatgan.model.model import Model
from beatgan.model.revision import final_scores, revisable_until, revisions
from beatgan.model.self_test import RecordedAlert, SelfTest
from beatgan.model.torch_modules.conversion import networks_of
from beatgan.model.torch_modules.networks import Student
from beatgan.spec import PreprocessSpec
from beatgan.types import EMPTY, Beat, Quality, Score
from beatgan_train.training.coefficients import coefficients_of


class Interval:
    """Scores 1; the revised value is the interval to the next beat."""

    threshold, revises = 1.5, True

    def __init__(self) -> None:
        self.batches: list[int] = []

    def score(self, beats: Sequence[Beat]) -> list[Score]:
        values = [None if beat.quality is Quality.UNUSABLE else 1.0 for beat in beats]
        return [Score(b, v, 1.5, EMPTY, EMPTY) for b, v in zip(beats, values, strict=True)]

    def revise(self, scores: Sequence[Score], next_rr_ms: Sequence[float]) -> list[Score]:
        self.batches.append(len(scores))
        return [replace(s, value=rr) for s, rr in zip(scores, next_rr_ms, strict=True)]


def beat(rr_ms: float | None, quality: Quality = Quality.GOOD) -> Beat:
    return Beat(0, 720, 900, "II", rr_ms, quality, EMPTY, EMPTY, None, 0.0)


@pytest.mark.parametrize(
    ("following", "value"),
    [
        (beat(800.0), 800.0),
        (beat(800.0, Quality.UNUSABLE), 800.0),
        (beat(2000.0), 2000.0),
        (beat(2000.1), 1.0),  # too late
        (beat(None), 1.0),  # behind a gap
        (None, 1.0),
    ],
)
def test_a_score_is_revised_with_a_next_beat_at_a_known_interval_within_the_bound(
    following: Beat | None, value: float
) -> None:
    scorer = Interval()
    scores = scorer.score([beat(None)])
    (revised,) = revisions(scorer, scores, [following], 2.0)
    assert (scores[0] if revised is None else revised).value == value


def test_none_is_revised_without_a_score_or_when_switched_off() -> None:
    scorer = Interval()
    (unusable,) = scorer.score([beat(None, Quality.UNUSABLE)])
    (good,) = scorer.score([beat(None)])
    assert revisions(scorer, [unusable, None], [beat(800.0)] * 2, 2.0) == [None, None]
    assert revisions(scorer, [good], [beat(800.0)], 0.0) == [None]
    assert scorer.batches == []
    assert revisable_until(scorer, good, 360.0, 2.0) == 720 + 3 * 360
    assert revisable_until(scorer, good, 360.0, 0.0) is None
    assert revisable_until(scorer, unusable, 360.0, 2.0) is None
    scorer.revises = False
    assert revisable_until(scorer, good, 360.0, 2.0) is None
    assert revisions(scorer, [good], [beat(800.0)], 2.0) == [None]


def test_final_scores_are_revised_in_batches() -> None:
    scorer = Interval()
    beats = [beat(800.0 + n) for n in range(7)]
    assert [each.value for each in final_scores(scorer, beats)] == [*range(801, 807), 1.0]
    assert scorer.batches == [6]
    revisions(scorer, scorer.score(beats), beats, 2.0, batch_size=3)
    assert scorer.batches == [6, 3, 3, 1]
    assert final_scores(scorer, []) == []


class Pausing(Model):
    """A model in whose eyes a beat is the more anomalous the later the next one comes."""

    revises = True

    def revise(self, scores: Sequence[Score], next_rr_ms: Sequence[float]) -> list[Score]:
        rows = zip(scores, next_rr_ms, strict=True)
        return [replace(s, value=(s.value or 0.0) + (rr - 700) / 10) for s, rr in rows]


def model(kind: type[Model]) -> Model:
    torch.manual_seed(0)
    calibration = Calibration({"error": 0.0}, {"error": 1.0}, {"error": 1.0}, {"error": 1e3}, 9.0)
    return kind(PreprocessSpec(), networks_of(Student(amplitude=8.0)), calibration)


def split(
    alerts: tuple[RecordedAlert, ...] | None,
) -> tuple[list[RecordedAlert], list[RecordedAlert]]:
    """Those of `beat.anomalous`, and all others."""
    assert alerts
    own = [each for each in alerts if each[0] == "beat.anomalous"]
    return own, [each for each in alerts if each not in own]


def test_a_self_test_records_final_scores_and_the_alerts_that_follow() -> None:
    spec, coefficients = PreprocessSpec(), coefficients_of("full")
    plain = SelfTest.record(spec, coefficients, model(Model))
    revised = SelfTest.record(spec, coefficients, model(Pausing))
    assert revised.r_peaks == plain.r_peaks
    changed = np.not_equal(revised.scores, plain.scores)
    assert changed.mean() > 0.8
    own, others = zip(*(split(test.alerts) for test in (plain, revised)), strict=True)
    assert own[0] != own[1]
    assert others[0] == others[1]
    assert revised.differences(spec, coefficients, model(Pausing)) == []
    assert revised.differences(spec, coefficients, model(Model))
