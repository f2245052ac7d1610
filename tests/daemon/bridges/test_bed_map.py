"""The file of places and patients: what is wrong with it is said, and it never says yesterday's."""

import os
from pathlib import Path

import pytest

from beatgan.errors import UsageError
from beatgan_daemon.bridges.bed_map import Bed, BedMap, Beds, read_beds

TEXT = """
[system]
sending_facility = "ST MARY"
receiving_application = "ENGINE"

[stream.bed-7]
point_of_care = "ICU"
bed = "7"
patient_id = "4711"
"""


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_what_it_says(tmp_path: Path) -> None:
    beds = read_beds(written(tmp_path / "beds.toml", TEXT))
    assert beds.system.sending_facility == "ST MARY"
    assert beds.system.sending_application == "BEATGAN"
    assert beds.of("bed-7") == Bed(point_of_care="ICU", bed="7", patient_id="4711")
    assert beds.of("bed-8") == Bed(bed="bed-8")
    assert beds.of("") == Bed()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[stream.bed-7]\nname = 'Jane'", "name"),
        ("[streams.bed-7]\n", "streams"),
        ("[stream.bed-7]\nbed = 7", r"\$\.stream"),
        ("[stream.'bed 7']\n", "key"),
        ("[system]\nprocessing_id = 'X'", "processing_id"),
        ('[stream.bed-7]\nbed = "a\\u0000b"', r"\$\.stream"),
        ("[stream.bed-7\n", "line 1"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, word: str) -> None:
    path = written(tmp_path / "beds.toml", text)
    with pytest.raises(UsageError, match=word) as raised:
        read_beds(path)
    assert str(path) in str(raised.value)
    assert "Jane" not in str(raised.value)


def test_one_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nobody\.toml"):
        BedMap(tmp_path / "nobody.toml")


def test_without_a_file() -> None:
    assert BedMap(None).beds() == Beds()


def test_it_is_read_anew_when_it_has_changed(tmp_path: Path) -> None:
    path = written(tmp_path / "beds.toml", TEXT)
    beds = BedMap(path)
    assert beds.beds().of("bed-7").patient_id == "4711"
    new = written(tmp_path / "new", TEXT.replace("4711", "0815"))
    os.replace(new, path)
    assert beds.beds().of("bed-7").patient_id == "0815"


@pytest.mark.parametrize("text", ["[stream.bed-7", None])
def test_while_it_cannot_be_read_nobody_is_named(tmp_path: Path, text: str | None) -> None:
    path = written(tmp_path / "beds.toml", TEXT)
    told: list[str] = []
    beds = BedMap(path, told.append)
    if text is None:
        path.unlink()
    else:
        written(path, text)
    assert beds.beds().of("bed-7") == Bed(bed="bed-7")
    assert beds.beds().system.sending_facility == "ST MARY"
    assert len(told) == 1
    written(path, TEXT)
    assert beds.beds().of("bed-7").patient_id == "4711"
