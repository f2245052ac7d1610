"""Training beats: made by the front end alone, labelled one to one, split without a leak."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import astuple, replace
from rich.progress import Progress

from beatgan.ec57.annotations import Reference
from beatgan.errors import RecordError, UsageError
from beatgan.frontend import Frontend
from beatgan.records import read_recording
from beatgan.spec import PreprocessSpec
from beatgan.types import RHYTHM_SIZE, Beat, Floats, Ints, Quality
from beatgan_train.data.beat_set import BeatSet, Missed, beat_set, beats_of, join, load, locate
from beatgan_train.data.mitdb import DS1, DS2
from beatgan_train.data.splits import patient_folds, split
from beatgan_train.training.coefficients import coefficients_of

COEFFICIENTS = coefficients_of("full")

SPEC = PreprocessSpec()


@pytest.fixture(scope="module")
def toy(toy_data: Path) -> BeatSet:
    """All 44 synthetic patients."""
    return load(toy_data, DS1 + DS2, SPEC, COEFFICIENTS)


def beat(sample: int, quality: Quality = Quality.GOOD, **rest: Any) -> Beat:
    good = quality is not Quality.UNUSABLE
    wave: Floats = np.full(SPEC.length if good else 0, sample, np.float32)
    return Beat(
        n=0,
        sample=sample,
        known_at=sample,
        lead="II",
        rr_ms=sample / 4 if rest else None,
        quality=quality,
        window=wave,
        template=-wave,
        distance=0.5,
        prematurity=0.25,
        **rest,
    )


def identity(beat: Beat) -> list[object]:
    """All that a score may depend on."""
    comparable = replace(beat, n=0, known_at=0, lead="", leads_agree=None)
    return [v.tobytes() if isinstance(v, np.ndarray) else v for v in astuple(comparable)]


def reference(samples: list[int], labels: str) -> Reference:
    return Reference(1000.0, np.array(samples, np.int64), np.array(list(labels)), ())


def blank(records: tuple[str, ...], record: list[int], label: str) -> BeatSet:
    """A set of beats of which only record and label matter."""
    n = len(record)
    none: Ints = np.zeros(0, np.int64)
    zeros = np.zeros(n)
    wave = np.zeros((n, SPEC.length), np.float32)
    return BeatSet(
        records,
        np.array(record, np.int64),
        np.arange(n),
        np.array(list(label)),
        wave,
        wave,
        zeros,
        zeros,
        np.full(n, "good", "<U8"),
        zeros,
        np.zeros((n, RHYTHM_SIZE), np.float32),
        wave,
        wave,
        np.zeros((n, 2)),
        Missed(none, none, np.zeros(0, "<U1")),
    )


def test_labels_come_from_the_nearest_reference_beat_one_to_one() -> None:
    beats = [beat(1000), beat(1100), beat(3000, Quality.UNUSABLE), beat(9000)]
    found = beat_set("x", beats, reference([990, 1240, 3100, 5000], "NVSF"), SPEC)
    assert found.label.tolist() == ["N", "V", "S", ""]
    assert found.missed.sample.tolist() == [5000]
    assert found.missed.label.tolist() == ["F"]
    assert found.usable.tolist() == [True, True, False, True]
    assert found.normal.tolist() == [True, False, False, False]
    assert found.window.shape == (4, SPEC.length)
    assert not found.window[2].any()
    assert found.window[3, 0] == 9000
    assert found.reference[3, 0] == -9000


def test_a_row_is_the_beat_it_came_from() -> None:
    rhythm = np.arange(RHYTHM_SIZE, dtype=np.float32)
    second = np.full(SPEC.length, 7, np.float32)
    original = [
        beat(1000),
        beat(2000, Quality.UNUSABLE),
        beat(3000, rhythm=rhythm, lead_distances=(0.25, None)),
        beat(4000, second_window=second, second_template=-second, lead_distances=(0.75, 0.25)),
        beat(5000, Quality.UNUSABLE, rhythm=rhythm, lead_distances=(0.75, 0.25)),
    ]
    found = join([beat_set("x", original, reference([1000], "N"), SPEC)])
    found = found.take(np.arange(len(original)))
    for row, expected in enumerate(original):
        assert identity(found.beat(row)) == identity(expected)


def test_a_record_without_beats_is_an_empty_set() -> None:
    found = beat_set("x", [], reference([1000], "V"), SPEC)
    assert len(found) == 0
    assert found.window.shape == (0, SPEC.length)
    assert found.missed.label.tolist() == ["V"]


def test_joining_shifts_the_record_numbers() -> None:
    one = beat_set("x", [beat(1000)], reference([1000, 5000], "NV"), SPEC)
    two = beat_set("y", [beat(2000)], reference([2000, 7000], "SF"), SPEC)
    found = join([one, two])
    assert found.records == ("x", "y")
    assert found.record.tolist() == [0, 1]
    assert found.missed.record.tolist() == [0, 1]
    assert found.missed.label.tolist() == ["V", "F"]
    assert found.of(["y"]).tolist() == [False, True]
    assert found.take(np.array([1])).label.tolist() == ["S"]
    with pytest.raises(UsageError):
        join([])


def test_training_windows_are_the_front_ends_bit_for_bit(mitdb: Path) -> None:
    recording = read_recording(mitdb / "208")
    five_minutes = recording.samples[: 300 * 360]
    whole = Frontend(SPEC, COEFFICIENTS, recording.fs, recording.leads)
    events = [*whole.push(five_minutes), *whole.close()]
    expected = [event for event in events if isinstance(event, Beat)]
    found = load(mitdb, ["208"], SPEC, COEFFICIENTS)
    for row, live in enumerate(expected[:-2]):
        assert identity(found.beat(row)) == identity(live)
    assert len(expected) > 450


def test_loading_finds_and_labels_the_synthetic_beats(toy: BeatSet) -> None:
    assert toy.records == DS1 + DS2
    assert len(toy.missed.label) < 0.02 * len(toy)
    assert np.mean(toy.label == "") < 0.02
    assert set(toy.label.tolist()) >= set("NSVFQ")
    apart = toy.distance[(toy.label == "V") & toy.usable].min()
    assert apart > np.nanquantile(toy.distance[toy.normal], 0.9)


def test_loading_reports_its_progress(toy_data: Path) -> None:
    with Progress(disable=True) as progress:
        load(toy_data, DS1[:3], SPEC, COEFFICIENTS, progress)
        (task,) = progress.tasks
        assert (task.completed, task.total) == (3, 3)


def test_beats_of_ends_with_the_recording(toy_data: Path) -> None:
    beats = beats_of(read_recording(locate(toy_data, "100")), SPEC, COEFFICIENTS)
    samples = [b.sample for b in beats]
    assert samples == sorted(samples)
    assert samples[-1] < 60 * 360


def test_records_are_found_in_the_folder_or_below_it(toy_data: Path, tmp_path: Path) -> None:
    assert locate(toy_data, "100") == locate(toy_data / "mitdb", "100")
    with pytest.raises(RecordError, match=r"record 999: there is no 999\.hea in"):
        locate(toy_data, "999")
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.hea").touch()
    with pytest.raises(RecordError, match="ambiguous"):
        locate(tmp_path, "x")


def test_interpatient_split_never_mixes_patients(toy: BeatSet) -> None:
    held = []
    for fold in range(5):
        rows = split("interpatient", toy, fold)
        trained, chosen_by, tested = (
            {toy.records[i] for i in toy.record[part]}
            for part in (rows.train, rows.validation, rows.test)
        )
        assert trained | chosen_by == set(DS1)
        assert not trained & chosen_by
        assert tested == set(DS2)
        assert set(toy.label[rows.train].tolist()) == {"N"}
        assert toy.usable[rows.test].all()
        held += sorted(chosen_by)
    assert sorted(held) == sorted(DS1)  # each patient validates exactly once


def test_beatgan_split_shuffles_normal_beats_and_keeps_abnormal_ones_out(toy: BeatSet) -> None:
    tested: list[int] = []
    for fold in range(5):
        rows = split("beatgan", toy, fold)
        assert set(toy.label[rows.train].tolist()) == {"N"}
        parts = np.concatenate([rows.train, rows.validation, rows.test])
        assert len(np.unique(parts)) == len(parts)
        abnormal = toy.usable & np.isin(toy.label, list("SVFQ"))
        assert np.isin(np.flatnonzero(abnormal), parts).all()
        tested += rows.test[toy.label[rows.test] == "N"].tolist()
    normal = int(toy.normal.sum())
    assert len(tested) == len(set(tested)) == normal // 5 * 5
    assert len(rows.train) == pytest.approx(0.72 * normal, rel=0.01)
    assert np.mean(toy.label[rows.validation] == "N") > 0.5
    assert len(np.unique(toy.record[rows.train])) == 44


def test_splits_depend_on_the_seed_alone(toy: BeatSet) -> None:
    for protocol in ("beatgan", "interpatient"):
        once, again, other = (split(protocol, toy, 1, seed) for seed in (0, 0, 1))
        np.testing.assert_array_equal(once.train, again.train)
        np.testing.assert_array_equal(once.test, again.test)
        assert not np.array_equal(once.train, other.train)


def test_patient_folds_hold_out_whole_records() -> None:
    beats = blank(("a", "b", "c"), [0, 0, 1, 1, 2, 2], "NVNNNS")
    folds = patient_folds(beats, ["a", "b", "c"], 3, seed=4)
    assert sorted(row for _, inside in folds for row in inside.tolist()) == list(range(6))
    for train, inside in folds:
        assert not set(beats.record[train].tolist()) & set(beats.record[inside].tolist())
        assert set(beats.label[train].tolist()) == {"N"}


@pytest.mark.parametrize("fold", [-1, 5])
def test_there_are_five_folds(toy: BeatSet, fold: int) -> None:
    with pytest.raises(UsageError, match=r"0\.\.4"):
        split("beatgan", toy, fold)
