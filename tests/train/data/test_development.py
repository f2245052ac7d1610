"""What is learnt from: whose beats, of which database, divided by patient."""

from pathlib import Path

import numpy as np
import pytest

from beatgan.errors import RecordError, UsageError
from beatgan.spec import PreprocessSpec
from beatgan_train.data import development
from beatgan_train.data.development import DevelopmentSet, handheld_normals, load, next_rr_ms
from beatgan_train.data.mitdb import DS1, DS2
from beatgan_train.training.coefficients import coefficients_of
from tests.train.conftest import write_patient

SPEC, COEFFICIENTS = PreprocessSpec(), coefficients_of("full")


@pytest.fixture(scope="module")
def data(toy_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy mitdb, two patients of svdb and four hand-held recordings."""
    folder = tmp_path_factory.mktemp("databases")
    (folder / "mitdb").symlink_to(toy_data / "mitdb")
    for database, names in (("svdb", ("800", "801")), ("cinc2017", ("A1", "A2", "A3", "A4"))):
        (folder / database).mkdir()
        for seed, name in enumerate(names):
            write_patient(folder / database, name, 50 + seed)
    rhythms = "A1,N\nA2,A\nA3,N\nA4,N\n"
    (folder / "cinc2017" / "REFERENCE.csv").write_text(rhythms, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def loaded(data: Path) -> DevelopmentSet:
    """All of it."""
    return load(data, development.DATABASES, SPEC, COEFFICIENTS)


def test_it_holds_nothing_of_the_test_set(loaded: DevelopmentSet) -> None:
    names = {name.partition("/")[2] for name in loaded.beats.records}
    assert {*DS1} <= names
    assert not {*DS2} & names


def test_normal_recordings_are_normal_and_every_second_is_left(loaded: DevelopmentSet) -> None:
    handheld = loaded.database == "cinc2017"
    assert set(loaded.beats.label[handheld].tolist()) == {"N"}
    assert [n for n in loaded.beats.records if n.startswith("cinc")] == [
        "cinc2017/A1",
        "cinc2017/A4",
    ]


def test_a_patient_is_in_one_group_and_each_database_in_all(loaded: DevelopmentSet) -> None:
    folds = loaded.folds(3, 0)
    assert np.array_equal(np.sum(folds, axis=0), np.ones(len(loaded.beats)))
    for inside in folds:
        records = set(loaded.beats.record[inside].tolist())
        assert not records & set(loaded.beats.record[~inside].tolist())
    for database, patients in (("mitdb", 22), ("svdb", 2)):
        sizes = [
            len(np.unique(loaded.beats.record[inside & (loaded.database == database)]))
            for inside in folds
        ]
        assert sum(sizes) == patients
        assert max(sizes) - min(sizes) <= 1


def test_the_next_interval_is_of_the_same_record_and_within_the_bound(
    loaded: DevelopmentSet,
) -> None:
    beats = loaded.beats
    following = next_rr_ms(beats, 2.0)
    last = np.append(np.diff(beats.record) != 0, True)
    assert np.isnan(following[last]).all()
    first = np.flatnonzero(~last & ~np.isnan(beats.rr_ms))[0]
    assert following[first] == beats.rr_ms[first + 1]
    assert np.isnan(next_rr_ms(beats, 0.1)).all()


def test_what_cannot_be_learnt_from_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no database 'afdb'"):
        load(data, ["mitdb", "afdb"], SPEC, COEFFICIENTS)
    with pytest.raises(UsageError, match="nothing to learn classes from"):
        load(data, ["cinc2017"], SPEC, COEFFICIENTS)
    with pytest.raises(RecordError, match="svdb: no such folder; beatgan-train fetch svdb"):
        load(tmp_path, ["svdb"], SPEC, COEFFICIENTS)
    (tmp_path / "svdb").mkdir()
    with pytest.raises(RecordError, match="no annotated record"):
        load(tmp_path, ["svdb"], SPEC, COEFFICIENTS)
    (tmp_path / "REFERENCE.csv").write_text("A1\n", encoding="utf-8")
    with pytest.raises(RecordError, match="expected RECORD,RHYTHM"):
        handheld_normals(tmp_path)
    (tmp_path / "REFERENCE.csv").write_text("A1,O\n", encoding="utf-8")
    with pytest.raises(RecordError, match=r"REFERENCE\.csv: no recording of normal rhythm"):
        handheld_normals(tmp_path)
    with pytest.raises(RecordError, match="training set of beatgan-train fetch challenge-2017"):
        load(tmp_path, ["cinc2017", "svdb"], SPEC, COEFFICIENTS)


def test_a_recording_that_is_listed_twice_is_not_both_learnt_from_and_tested(
    tmp_path: Path,
) -> None:
    (tmp_path / "REFERENCE.csv").write_text("A2,N\nA1,N\nA1,N\n", encoding="utf-8")
    assert handheld_normals(tmp_path) == ["A1", "A2"]
