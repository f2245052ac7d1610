"""Which files of a folder are recordings, and whose."""

from pathlib import Path

import pytest

from beatgan.errors import UsageError
from beatgan_train.data.recordings import find, patient_in_database, patient_of


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x 1 250\n")


def test_recordings_of_three_formats_are_found_in_all_folders(tmp_path: Path) -> None:
    touch(tmp_path, "b.hea", "b.dat", "b.atr", "a.EDF", "c.csv", "p1/night.edf", "p1/x.y.hea")
    touch(tmp_path, "notes.txt", "p1/c.csv")
    (tmp_path / "p1" / "deeper").mkdir()
    touch(tmp_path / "p1" / "deeper", "more.csv")
    found = find(tmp_path)
    expected = ["a.EDF", "b", "c.csv", "p1/c.csv", "p1/deeper/more.csv", "p1/night.edf", "p1/x.y"]
    assert list(found) == expected
    assert found["p1/x.y"] == tmp_path / "p1" / "x.y.hea"


def test_segments_of_a_record_are_no_recordings(tmp_path: Path) -> None:
    touch(tmp_path, "layout.hea", "part1.hea", "part2.hea", "other.hea")
    (tmp_path / "long.hea").write_text(
        "# a remark\nlong/4 1 250 2050\nlayout 0\npart1 1000\n~ 50\npart2 1000\n"
    )
    assert list(find(tmp_path)) == ["long", "other"]


def test_nothing_found_says_what_was_sought(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no recording \(\.hea, \.edf, \.csv\)"):
        find(tmp_path)


@pytest.mark.parametrize(
    ("name", "patient"),
    [("p7.edf", "p7"), ("p7.CSV", "p7"), ("100", "100"), ("x.y", "x.y"), ("p8/n1.edf", "p8")],
)
def test_a_file_is_a_patient_unless_it_lies_in_a_folder(name: str, patient: str) -> None:
    assert patient_of(name) == patient


def test_records_of_the_databases_that_are_of_one_patient() -> None:
    names = ("201", "202", "118", "118e24", "118e_6", "119e06", "x.edf", "p1/202")
    patients = ["201", "201", "118", "118", "118", "119", "x", "p1"]
    assert [patient_in_database(name) for name in names] == patients
