"""The `bxb` command: what is paired, what is counted, what is reported."""

import io
import json
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb
from rich.console import Console

from beatgan.ec57.annotations import read_reference
from beatgan.errors import RecordError, UsageError
from beatgan.protocol.names import stream_of_record
from beatgan_train.commands.bxb import Comparison, run

FS = 360.0
BEATS = np.arange(1, 20) * 360


def annotated(folder: Path, name: str, seconds: int = 20, suffix: str = "atr") -> Path:
    """A record with a beat at each whole second, the fifth of them after a flutter."""
    wfdb.wrsamp(
        name,
        fs=FS,
        sig_name=["II"],
        units=["mV"],
        p_signal=np.sin(np.arange(seconds * FS))[:, None],
        fmt=["16"],
        write_dir=str(folder),
    )
    samples, symbols = [*BEATS.tolist(), 1500, 1700], [*("N" * len(BEATS)), "[", "]"]
    order = np.argsort(samples)
    wfdb.wrann(
        name,
        suffix,
        np.array(samples)[order],
        [symbols[i] for i in order],
        write_dir=str(folder),
    )
    return folder / name


def lines(stream: str, samples: list[int], fs: float = FS) -> str:
    messages = [
        {"type": "beat", "stream": stream, "epoch": 0, "sample": s, "time_ns": round(s * 1e9 / fs)}
        for s in samples
    ]
    return "".join(json.dumps(each) + "\n" for each in messages)


def quietly(reference: Path, test: Path, **options: Any) -> Comparison:
    return run(reference, test, console=Console(quiet=True), **options)


def test_records_gross_and_average(tmp_path: Path) -> None:
    annotated(tmp_path, "a")
    annotated(tmp_path, "b")
    annotated(tmp_path, "c")
    found = BEATS.tolist()
    moved = [*range(0, 1440, 300), 1600, *(each + 27 for each in found[4:])]
    test = tmp_path / "out.jsonl"
    test.write_text(lines("a", found) + lines("b", moved) + lines("z", found))
    comparison = quietly(tmp_path, test)
    assert list(comparison.records) == ["a", "b"]
    assert comparison.left_out == {"reference": ["c"], "test": ["z"]}
    a, b, gross = comparison.records["a"], comparison.records["b"], comparison.gross
    assert (a.wide.tp, a.wide.fp, a.wide.fn) == (19, 0, 0)
    # None of 0, 300, 600, 900 and 1200 is near one of 360, 720, 1080 and 1440; 1600 is in the
    # flutter; the others are 75 ms late.
    assert (b.wide.tp, b.wide.fp, b.wide.fn) == (15, 5, 4)
    assert (b.narrow.tp, b.narrow.fp, b.narrow.fn) == (0, 20, 19)
    assert b.wide.median_error_ms == pytest.approx(75.0)
    assert gross.wide.sensitivity == pytest.approx(34 / 38)
    assert comparison.average["sensitivity"] == pytest.approx((1 + 15 / 19) / 2)
    assert comparison.average["ppv"] == pytest.approx((1 + 15 / 20) / 2)
    assert isnan(b.narrow.median_error_ms)
    assert (gross.seconds, gross.shutdown_s) == (40.0, 0.0)


def test_a_shutdown_is_told_apart(tmp_path: Path) -> None:
    record = annotated(tmp_path, "a")
    alert = {"type": "alert", "stream": "a", "epoch": 0, "id": "1", "kind": "technical"}
    alert |= {"onset_sample": 2900}
    begins = alert | {"phase": "start", "end_sample": None, "sample": 3000, "suspended": True}
    ends = alert | {"phase": "end", "end_sample": 4440, "sample": 4440, "suspended": False}
    test = tmp_path / "out.jsonl"
    seen = [each for each in BEATS.tolist() if not 2900 < each < 5000]  # 9 to 13 s are missed
    test.write_text(lines("a", seen) + f"{json.dumps(begins)}\n{json.dumps(ends)}\n")
    found = quietly(record, test).records["a"]
    assert (found.wide.fn, found.wide.in_shutdown) == (5, 4)
    assert found.shutdown_s == pytest.approx(4.0)
    assert found.shutdown_share == pytest.approx(0.2)
    late = quietly(record, test, start_s=10.0).records["a"]
    assert (late.wide.fn, late.wide.in_shutdown) == (4, 3)
    assert late.shutdown_share == pytest.approx((4440 / 360 - 10) / 10)


def test_another_rate_is_converted(tmp_path: Path) -> None:
    record = annotated(tmp_path, "a")
    test = tmp_path / "out.jsonl"
    test.write_text(lines("a", [each * 125 // 360 for each in BEATS.tolist()], 125.0))
    found = quietly(record, test, window_s=0.02)
    assert (found.gross.wide.tp, found.gross.wide.fp) == (19, 0)
    assert found.gross.seconds == 20.0


def test_without_a_header_the_last_beat_ends_the_time(tmp_path: Path) -> None:
    wfdb.wrann("a", "atr", BEATS, ["N"] * len(BEATS), fs=FS, write_dir=str(tmp_path))
    test = tmp_path / "out.jsonl"
    test.write_text(lines("a", [*BEATS.tolist(), 9000]))
    assert quietly(tmp_path / "a", test).gross.seconds == 25.0


def test_annotations_against_annotations(tmp_path: Path) -> None:
    record = annotated(tmp_path, "a")
    annotated(tmp_path, "b", suffix="qrs")
    annotated(tmp_path, "a", suffix="qrs")
    found = quietly(record.with_suffix(".hea"), tmp_path, test_annotator="qrs")
    assert found.left_out == {"reference": [], "test": ["b"]}
    assert found.gross.wide.f1 == 1.0
    assert quietly(record, record.with_suffix(".qrs"), test_annotator="qrs").gross.wide.f1 == 1.0


def classified(folder: Path) -> tuple[Path, Path, Path]:
    """A record with a V and two S; lines with a false V and a revision; the same as WFDB."""
    symbols = [*"NNVSNSNNNNN"]
    places = np.arange(1, 1 + len(symbols)) * 360
    for suffix, marks in (("atr", symbols), ("bgn", [*"NNVSVSNNNN"])):
        at = places[: len(marks)]
        wfdb.wrann("a", suffix, at, marks, fs=FS, write_dir=str(folder))
    messages = [json.loads(line) for line in lines("a", places[:10].tolist()).splitlines()]
    for message, letter in zip(messages, "NNVSVNNNNN", strict=True):
        message["class"] = letter
    messages.insert(8, messages[5] | {"class": "S", "revised": True})
    test = folder / "out.jsonl"
    test.write_text("".join(json.dumps(each) + "\n" for each in messages))
    return folder / "a", test, folder / "a.bgn"


def test_classes_are_compared_where_beats_are_told_from_normal_ones(tmp_path: Path) -> None:
    record, test, annotations = classified(tmp_path)
    console = Console(record=True, width=160, file=io.StringIO())
    found = run(record, test, json_file=tmp_path / "f.json", console=console).classification
    assert found is not None
    assert [(e.name, e.tp, e.fp, e.fn) for e in found.ectopics] == [
        ("VEB", 1, 1, 0),
        ("SVEB", 2, 0, 0),
    ]
    written = json.loads((tmp_path / "f.json").read_text())["classification"]
    assert written["ectopics"][0]["ppv"]["value"] == 0.5
    said = console.export_text()
    assert "Confusion matrix" in said
    assert "SVEB" in said
    assert quietly(record, annotations, test_annotator="bgn").classification == found
    late = quietly(record, test, start_s=4.5).classification
    assert late is not None
    assert [(e.tp, e.fp, e.fn) for e in late.ectopics] == [(0, 1, 0), (1, 0, 0)]


def test_of_beats_that_were_found_only_no_class_is_told(tmp_path: Path) -> None:
    record = annotated(tmp_path, "a")
    annotated(tmp_path, "a", suffix="qrs")
    test = tmp_path / "out.jsonl"
    test.write_text(lines("a", BEATS.tolist()))
    assert quietly(record, test, json_file=tmp_path / "f.json").classification is None
    assert json.loads((tmp_path / "f.json").read_text())["classification"] is None
    assert quietly(record, tmp_path, test_annotator="qrs").classification is None


def test_the_table_and_the_file_tell_the_same(tmp_path: Path) -> None:
    record = annotated(tmp_path, "a")
    test = tmp_path / "out.jsonl"
    test.write_text(lines("a", BEATS[1:].tolist()) + lines("b", [1]))
    console = Console(record=True, width=160, quiet=False, file=(tmp_path / "said").open("w"))
    comparison = run(record, test, json_file=tmp_path / "new" / "f.json", console=console)
    console.file.close()
    said = console.export_text()
    figures = json.loads((tmp_path / "new" / "f.json").read_text())
    assert figures["gross"] == figures["records"]["a"]
    assert figures["gross"]["sensitivity"] == comparison.gross.wide.sensitivity
    assert (figures["gross"]["tp"], figures["gross"]["fn"]) == (18, 1)
    assert figures["average"]["f1_narrow"] == comparison.gross.narrow.f1
    assert figures["left_out"] == {"reference": [], "test": ["b"]}
    for expected in ("│ a ", "│ gross ", "│ average ", " 94.74 % ", " 97.30 % ",
                     "in the test only: 1 (b)", "within 150 ms"):  # fmt: skip
        assert expected in said


def test_what_cannot_be_measured_is_null(tmp_path: Path) -> None:
    record = annotated(tmp_path, "a")
    test = tmp_path / "out.jsonl"
    test.write_text(lines("a", [1]))
    quietly(record, test, json_file=tmp_path / "f.json", start_s=1.0)
    gross = json.loads((tmp_path / "f.json").read_text())["gross"]
    assert (gross["ppv"], gross["median_error_ms"], gross["sensitivity"]) == (None, None, 0.0)


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    record = annotated(tmp_path, "a")
    test = tmp_path / "out.jsonl"
    test.write_text(lines("b", [1]))
    with pytest.raises(UsageError, match=r"no record is in both .*\(a\) and .*out.jsonl \(b\)"):
        quietly(record, test)
    test.write_text(lines("a", [1]))
    with pytest.raises(UsageError, match="no reference beat after 90 s"):
        quietly(record, test, start_s=90.0)
    with pytest.raises(UsageError, match="window must be a positive number"):
        quietly(record, test, window_s=float("nan"))
    with pytest.raises(UsageError, match=r"no annotation file \*\.xyz"):
        quietly(tmp_path, test, annotator="xyz")
    with pytest.raises(RecordError, match=r"a\.xyz: no such annotation file"):
        quietly(record, test, annotator="xyz")
    with pytest.raises(UsageError, match=r"f\.json: File exists"):
        quietly(record, test, json_file=test / "f.json")


def test_a_real_record_against_itself(mitdb: Path) -> None:
    found = quietly(mitdb / "207", mitdb, test_annotator="atr")
    assert list(found.records) == [stream_of_record("207")]
    assert found.gross.wide.f1 == 1.0
    assert found.gross.wide.tp == len(read_reference(mitdb / "207").sample)
    assert found.gross.seconds == pytest.approx(650_000 / 360)
