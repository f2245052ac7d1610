"""Which beats a page shows: chosen by score, shared out among records."""

import numpy as np
import pytest
import torch

from beatgan.model.calibration import Calibration
from beatgan.model.model import Model
from beatgan.model.torch_modules.conversion import networks_of
from beatgan.model.torch_modules.networks import Student
from beatgan.spec import PreprocessSpec
from beatgan.types import RHYTHM_SIZE
from beatgan_train.data.beat_set import BeatSet, Missed
from beatgan_train.evaluation.examples import RankedBeats, galleries, spread_out, worst_records
from beatgan_train.evaluation.metrics import Scored
from beatgan_train.evaluation.model_set import ModelSet

THRESHOLD = 5.0


def chosen() -> RankedBeats:
    """Three records of 20 beats; of the last the V are all missed, of the first some N flagged."""
    spec = PreprocessSpec()
    record = np.repeat(np.arange(3), 20)
    label = np.where(np.arange(60) % 4 == 0, "V", "N")
    values = np.where(label == "V", 8.0, 1.0) + np.arange(60) / 1000
    values[(label == "V") & (record == 2)] -= 5
    values[1:8:2] += 6  # four N of record 100
    windows = np.random.default_rng(0).standard_normal((60, spec.length)).astype(np.float32)
    nothing = np.empty(0, np.int64)
    beats = BeatSet(
        ("100", "103", "105"), record, np.arange(60), label, windows, windows, np.zeros(60),
        np.full(60, 0.5), np.full(60, "good"), np.full(60, np.nan),
        np.zeros((60, RHYTHM_SIZE), np.float32), windows, windows, np.full((60, 2), np.nan),
        Missed(nothing, nothing, np.empty(0, "<U1")),
    )  # fmt: skip
    return RankedBeats(beats, np.arange(60), values, THRESHOLD)


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    calibration = Calibration(
        {"error": 0.0}, {"error": 1.0}, {"error": 1.0}, {"error": 1e3}, THRESHOLD
    )
    return Model(PreprocessSpec(), networks_of(Student(amplitude=8.0)), calibration)


def scored(choice: RankedBeats) -> Scored:
    beats = choice.beats
    return Scored(beats.records, beats.record, beats.label, choice.values)


def test_the_worst_records_are_those_with_the_most_errors() -> None:
    flagged, missed = worst_records(scored(chosen()), THRESHOLD)
    assert (flagged.label, flagged.record, flagged.count, flagged.beats) == ("N", "100", 4, 15)
    assert flagged.share == 1.0
    assert (missed.label, missed.record, missed.count, missed.beats) == ("V", "105", 5, 5)


def test_of_the_missed_those_without_a_score_are_told_apart() -> None:
    beats = Scored(("a",), np.zeros(3, np.int64), np.full(3, "F"), np.array([-np.inf, 1.0, 9.0]))
    (row,) = worst_records(beats, THRESHOLD)
    assert (row.count, row.beats, row.unscored) == (2, 3, 1)


def test_at_most_three_records_a_kind() -> None:
    record = np.repeat(np.arange(5), [1, 5, 2, 4, 3])
    beats = Scored(tuple("abcde"), record, np.full(15, "V"), np.zeros(15))
    found = worst_records(beats, THRESHOLD)
    assert [(row.record, row.count) for row in found] == [("b", 5), ("d", 4), ("e", 3)]


def test_the_galleries_follow_their_rules(model: Model) -> None:
    choice = chosen()
    found = galleries(ModelSet([model], {}), choice, worst_records(scored(choice), THRESHOLD))
    assert set(found) == {"typical", "alarms", "missed V", "worst N", "worst V"}
    alarms = found["alarms"].examples
    assert [e.record for e in alarms] == ["100"] * 3  # three of its four: no more of one record
    assert [e.sample for e in alarms] == [7, 5, 3]
    missed = [e.sample for e in found["missed V"].examples]
    assert missed == [40, 44, 48]
    typical = found["typical"].examples
    assert [(e.label, e.record) for e in typical[:3]] != [("N", typical[0].record)] * 3
    assert len({(e.label, e.record) for e in typical}) == len(typical) == 6
    assert [e.sample for e in found["worst V"].examples] == [52, 48, 44]
    assert {e.value > THRESHOLD for e in found["worst N"].examples} == {True}


def test_an_example_holds_what_the_model_says_of_the_very_beat(model: Model) -> None:
    choice = chosen()
    example = galleries(ModelSet([model], {}), choice, [])["alarms"].examples[0]
    assert example.score.beat.sample == example.sample == 7
    assert example.value == choice.values[7]
    assert (example.distance, example.prematurity) == (0.0, 0.5)
    assert np.array_equal(example.score.beat.window, choice.beats.window[7])


def test_no_record_takes_more_than_its_part() -> None:
    record = np.array([0, 0, 0, 1, 2])
    assert spread_out([0, 1, 2, 3, 4], record, 3, 2) == [0, 1, 3]
    assert spread_out([0, 1, 2, 3, 4], record, 9, 1) == [0, 3, 4]
    assert spread_out([], record, 3, 2) == []
