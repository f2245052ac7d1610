"""What a training may learn from: by protocol, by patient, and the same for teacher and student."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.progress import Progress

from beatgan.errors import UsageError
from beatgan_train.data.mitdb import DS1, DS2
from beatgan_train.data.training_set import (
    LoadedBeats,
    load_beats,
    make_training_set,
    refuse_other_data,
)
from beatgan_train.training.coefficients import coefficients_of


@pytest.fixture(scope="module")
def own_beats(toy_data: Path) -> LoadedBeats:
    """The synthetic database as though it were somebody's own, annotated."""
    return load_beats(
        toy_data / "mitdb", "full", "own", coefficients_of("full"), Progress(disable=True)
    )


def test_each_protocol_reads_its_own_records(toy_data: Path, own_beats: LoadedBeats) -> None:
    known = load_beats(
        toy_data, "full", "interpatient", coefficients_of("full"), Progress(disable=True)
    )
    assert set(known.beats.records) == {*DS1}
    assert set(own_beats.beats.records) == {*DS1, *DS2}


def test_the_other_lead_is_learnt_from_and_nothing_else(toy_data: Path) -> None:
    known = load_beats(
        toy_data, "full", "interpatient", coefficients_of("full"), Progress(disable=True)
    )
    assert known.other is not None
    training_set = make_training_set(known, "full", "interpatient", 0)
    alone = make_training_set(LoadedBeats(known.beats), "full", "interpatient", 0)
    more = len(training_set.train) - len(alone.train)
    assert more == (known.other.normal & ~known.other.of([*training_set.source.held_out])).sum()
    assert len(training_set.held_out) == len(alone.held_out)
    assert training_set.source.beats == len(training_set.train)
    assert (
        load_beats(
            toy_data, "beat", "interpatient", coefficients_of("beat"), Progress(disable=True)
        ).other
        is None
    )


def test_own_material_keeps_patients_apart_and_anomalies_out(own_beats: LoadedBeats) -> None:
    seen: list[str] = []
    for fold in range(5):
        training_set = make_training_set(own_beats, "full", "own", fold)
        inside = {training_set.train.records[i] for i in np.unique(training_set.train.record)}
        outside = {
            training_set.held_out.records[i] for i in np.unique(training_set.held_out.record)
        }
        assert not inside & outside
        assert outside == {*training_set.source.held_out}
        assert {*training_set.train.label, *training_set.held_out.label} == {"N"}
        assert training_set.source.beats == len(training_set.train)
        seen += outside
    assert sorted(seen) == sorted(own_beats.beats.records)


def test_who_is_a_patient_is_the_protocol_s_but_of_own_recordings(tmp_path: Path) -> None:
    coefficients, bars = coefficients_of("full"), Progress(disable=True)
    with pytest.raises(UsageError, match="go with --protocol own"):
        load_beats(tmp_path, "full", "interpatient", coefficients, bars, test_fold=0)


def test_only_own_recordings_are_called_so(own_beats: LoadedBeats) -> None:
    mine = make_training_set(own_beats, "full", "own", 0).source
    theirs = make_training_set(own_beats, "full", "interpatient", 0).source
    assert mine.database.startswith("own recordings: 44 of 43 patients")  # 201, 202: one man
    assert theirs.database == "MIT-BIH Arrhythmia Database"


def test_a_student_learns_from_its_teachers_data(own_beats: LoadedBeats) -> None:
    source = make_training_set(own_beats, "full", "own", 0).source
    refuse_other_data(source, make_training_set(own_beats, "full", "own", 0).source)
    beats = own_beats.beats
    fewer = LoadedBeats(beats.take(beats.record > 3))
    for other in (
        make_training_set(fewer, "full", "own", 0).source,
        replace(source, held_out=source.held_out[1:]),
    ):
        with pytest.raises(UsageError, match="distil from the data that it was made of"):
            refuse_other_data(source, other)
