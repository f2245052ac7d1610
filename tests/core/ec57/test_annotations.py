"""Reference beats, their classes, the lists of records, and flutter."""

from pathlib import Path

import numpy as np
import pytest
import wfdb

from beatgan.beat_classes import CLASS_OF
from beatgan.ec57.annotations import flutter_spans, read_reference
from beatgan.errors import RecordError
from beatgan_train.data.mitdb import DS1, DS2, PACED
from beatgan_train.evaluation.metrics import class_counts

# From the description of the databases: beats by class.
COUNTS = {
    DS1: {"N": 45_866, "S": 944, "V": 3_788, "F": 415, "Q": 8},
    DS2: {"N": 44_259, "S": 1_837, "V": 3_221, "F": 388, "Q": 7},
    PACED: {"N": 506, "S": 0, "V": 227, "F": 0, "Q": 8_028},
}


def test_every_symbol_of_the_mit_bih_database_has_its_aami_class() -> None:
    table = {"N": "NLRej", "S": "AaJS", "V": "VE", "F": "F", "Q": "/fQ"}
    for label, symbols in table.items():
        for symbol in symbols:
            assert CLASS_OF[symbol] == label
    for symbol in '+~|![]x"':
        assert symbol not in CLASS_OF


def test_no_record_is_in_two_lists() -> None:
    assert len(DS1) == len(DS2) == 22
    assert len({*DS1, *DS2, *PACED}) == 48


@pytest.mark.parametrize("names", [DS1, DS2, PACED], ids=["DS1", "DS2", "paced"])
def test_beats_by_class_of_the_whole_database(mitdb: Path, names: tuple[str, ...]) -> None:
    total = dict.fromkeys("NSVFQ", 0)
    for name in names:
        for label, count in class_counts(read_reference(mitdb / name).label).items():
            total[label] += count
    assert total == COUNTS[names]


def test_flutter_of_record_207(mitdb: Path) -> None:
    found = read_reference(mitdb / "207")
    assert found.fs == 360
    assert len(found.flutter) == 6
    assert not found.in_flutter(found.sample).any()
    assert found.in_flutter(np.array([15_000, 19_000])).tolist() == [True, False]


def test_flutter_without_an_end_lasts() -> None:
    spans = flutter_spans(np.array([5, 10, 20, 30]), np.array(["]", "[", "]", "["]))
    assert spans[0] == (10, 20)
    assert spans[1][0] == 30
    assert spans[1][1] > 10**12


def test_beats_inside_flutter_are_no_reference(tmp_path: Path) -> None:
    wfdb.wrann(
        "x",
        "atr",
        sample=np.array([100, 200, 250, 300, 400]),
        symbol=["N", "[", "N", "]", "V"],
        fs=250,
        write_dir=str(tmp_path),
    )
    found = read_reference(tmp_path / "x")
    assert (found.fs, found.sample.tolist()) == (250, [100, 400])
    assert found.label.tolist() == ["N", "V"]
    assert found.flutter == ((200, 300),)


def test_missing_and_broken_annotations_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"x\.atr: no such annotation"):
        read_reference(tmp_path / "x")
    (tmp_path / "x.atr").write_bytes(b"\x01\x02\x03")
    with pytest.raises(RecordError, match=r"x\.atr"):
        read_reference(tmp_path / "x")


def test_a_reference_in_samples_of_another_rate(tmp_path: Path) -> None:
    wfdb.wrann(
        "x",
        "atr",
        sample=np.array([100, 200, 300, 401, 500]),
        symbol=["N", "[", "]", "V", "["],
        fs=250,
        write_dir=str(tmp_path),
    )
    found = read_reference(tmp_path / "x").at(500)
    assert (found.fs, found.sample.tolist(), found.label.tolist()) == (500, [200, 802], ["N", "V"])
    assert found.flutter[0] == (400, 600)
    assert found.flutter[1] == (1000, int(np.iinfo(np.int64).max))
    assert found.at(500) is found


def test_annotations_without_a_rate_take_the_recordings(tmp_path: Path) -> None:
    wfdb.wrann("x", "qrs", sample=np.array([100]), symbol=["N"], write_dir=str(tmp_path))
    assert read_reference(tmp_path / "x", "qrs", 500.0).fs == 500
    with pytest.raises(RecordError, match=r"x\.qrs"):
        read_reference(tmp_path / "x", "qrs")
