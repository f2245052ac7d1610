"""What a model says of a set's beats: its final scores, as the daemon's would be."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from beatgan.model.calibration import Calibration
from beatgan.model.model import Model
from beatgan.model.torch_modules.conversion import networks_of
from beatgan.model.torch_modules.networks import Student
from beatgan.spec import PreprocessSpec
from beatgan.types import RHYTHM_SIZE, Score
from beatgan_train.data.beat_set import BeatSet, Missed
from beatgan_train.evaluation.beat_scores import scores_of_model


class Interval(Model):
    """Its revised score is the interval to the next beat."""

    revises = True

    def revise(self, scores: Sequence[Score], next_rr_ms: Sequence[float]) -> list[Score]:
        return [replace(s, value=rr) for s, rr in zip(scores, next_rr_ms, strict=True)]


@pytest.fixture(scope="module")
def beats() -> BeatSet:
    """Two records of four beats, of which the third of the second is unusable."""
    spec, nan = PreprocessSpec(), np.nan
    rr_ms = np.array([nan, 801.0, 2500.0, 803.0, nan, 805.0, 806.0, 807.0])
    quality = np.where(np.arange(8) == 6, "unusable", "good")
    windows = np.random.default_rng(0).standard_normal((8, spec.length)).astype(np.float32)
    nothing = np.empty(0, np.int64)
    return BeatSet(
        ("100", "103"), np.repeat([0, 1], 4), np.arange(8), np.full(8, "N"), windows, windows,
        np.zeros(8), np.zeros(8), quality, rr_ms, np.zeros((8, RHYTHM_SIZE), np.float32), windows,
        windows, np.full((8, 2), nan), Missed(nothing, nothing, np.empty(0, "<U1")),
    )  # fmt: skip


def model(kind: type[Model]) -> Model:
    torch.manual_seed(0)
    calibration = Calibration({"error": 0.0}, {"error": 1.0}, {"error": 1.0}, {"error": 1e3}, 5.0)
    return kind(PreprocessSpec(), networks_of(Student(amplitude=8.0)), calibration)


def test_a_score_is_revised_by_the_next_row_of_the_record(beats: BeatSet) -> None:
    rows = np.array([0, 1, 2, 3, 4, 5, 6])  # the next row counts though it is not asked for
    first = scores_of_model(model(Model), beats, rows).value
    final = scores_of_model(model(Interval), beats, rows).value
    np.testing.assert_array_equal(final[[0, 2, 4, 5]], [801.0, 803.0, 805.0, 806.0])
    np.testing.assert_array_equal(final[[1, 3, 6]], first[[1, 3, 6]])  # late, last, without one
    off = scores_of_model(model(Interval), beats, rows, revise_within_s=0.0).value
    np.testing.assert_array_equal(off, first)
