"""What a training may learn from: by protocol, by patient, and the same for teacher and student."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.progress import Progress

from beatgan.errors import UsageError
from beatgan_train.data.mitdb import DS1, DS2
from beatgan_train.data.training_set import Loaded, load_beats, material, refuse_other_data
from beatgan_train.training.coefficients import coefficients_of


@pytest.fixture(scope="module")
def own_beats(toy_data: Path) -> Loaded:
    """The synthetic database as though it were somebody's own, annotated."""
    return load_beats(
        toy_data / "mitdb", "full", "own", coefficients_of("full"), Progress(disable=True)
    )


def test_each_protocol_reads_its_own_records(toy_data: Path, own_beats: Loaded) -> None:
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
    stuff = material(known, "full", "interpatient", 0)
    alone = material(Loaded(known.beats), "full", "interpatient", 0)
    more = len(stuff.train) - len(alone.train)
    assert more == (known.other.normal & ~known.other.of([*stuff.source.held_out])).sum()
    assert len(stuff.held_out) == len(alone.held_out)
    assert stuff.source.beats == len(stuff.train)
    assert (
        load_beats(
            toy_data, "beat", "interpatient", coefficients_of("beat"), Progress(disable=True)
        ).other
        is None
    )


def test_own_material_keeps_patients_apart_and_anomalies_out(own_beats: Loaded) -> None:
    seen: list[str] = []
    for fold in range(5):
        stuff = material(own_beats, "full", "own", fold)
        inside = {stuff.train.records[i] for i in np.unique(stuff.train.record)}
        outside = {stuff.held_out.records[i] for i in np.unique(stuff.held_out.record)}
        assert not inside & outside
        assert outside == {*stuff.source.held_out}
        assert {*stuff.train.label, *stuff.held_out.label} == {"N"}
        assert stuff.source.beats == len(stuff.train)
        seen += outside
    assert sorted(seen) == sorted(own_beats.beats.records)


def test_only_own_recordings_are_called_so(own_beats: Loaded) -> None:
    mine = material(own_beats, "full", "own", 0).source
    theirs = material(own_beats, "full", "interpatient", 0).source
    assert mine.database.startswith("own recordings: 44 of 44 patients")
    assert theirs.database == "MIT-BIH Arrhythmia Database"


def test_a_student_learns_from_its_teachers_data(own_beats: Loaded) -> None:
    source = material(own_beats, "full", "own", 0).source
    refuse_other_data(source, material(own_beats, "full", "own", 0).source)
    beats = own_beats.beats
    fewer = Loaded(beats.take(beats.record > 3))
    for other in (
        material(fewer, "full", "own", 0).source,
        replace(source, held_out=source.held_out[1:]),
    ):
        with pytest.raises(UsageError, match="distil from the data that it was made of"):
            refuse_other_data(source, other)
