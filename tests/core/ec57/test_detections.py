"""What a detector said: the daemon's JSON Lines and annotation files, and what is neither."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb

from beatgan.ec57.detections import END, read_annotations, read_streams
from beatgan.errors import RecordError, UsageError
from beatgan.protocol.messages import BeatMessage, encode_json

FS = 250.0


def beat(sample: int, stream: str = "100", epoch: int = 0, **more: Any) -> str:
    message = BeatMessage(
        stream=stream,
        epoch=epoch,
        n=0,
        sample=sample,
        time_ns=7 + round(sample * 1e9 / FS),
        lead="II",
        rr_ms=None,
        score=None,
        threshold=None,
        anomalous=False,
        quality="unusable",
        **more,
    )
    return encode_json(message).decode()


def alert(phase: str, **keys: Any) -> str:
    message: dict[str, Any] = {
        "v": 1, "type": "alert", "id": "a", "stream": "100", "epoch": 0, "kind": "technical",
        "code": "signal.flat", "phase": phase, "onset_sample": 1000, "end_sample": None,
    }  # fmt: skip
    return json.dumps(message | keys)


def written(folder: Path, lines: Iterable[str]) -> Path:
    file = folder / "scores.jsonl"
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file


def test_beats_of_several_streams_and_their_rate(tmp_path: Path) -> None:
    lines = [beat(10), beat(400), beat(5, "p_7"), alert("start"), beat(800)]
    found = read_streams(written(tmp_path, lines))
    assert found["100"].sample.tolist() == [10, 400, 800]
    assert found["100"].fs == pytest.approx(FS)
    assert found["100"].shutdowns == ()
    assert found["p_7"].sample.tolist() == [5]
    assert found["p_7"].fs is None


def test_a_beat_that_is_revised_is_one_beat(tmp_path: Path) -> None:
    """Its revision may come when the next beat is known already."""
    lines = [beat(10, beat_class="N"), beat(400), beat(10, beat_class="S", revised=True), beat(800)]
    found = read_streams(written(tmp_path, lines))["100"]
    assert found.sample.tolist() == [10, 400, 800]
    assert found.label.tolist() == ["S", "", ""]
    assert found.classified


def test_who_finds_beats_alone_has_not_classified_them(tmp_path: Path) -> None:
    lines = [beat(10, beat_class="N"), beat(400)]
    assert not read_streams(written(tmp_path, lines))["100"].classified


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"beat_class": "X"}, r"line 2 .*class 'X': expected one of N S V F Q"),
        ({"beat_class": "V", "revised": True}, r"revises a beat at sample 400 that is not there"),
    ],
)
def test_what_is_said_of_a_class_must_be_understood(
    more: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=reason):
        read_streams(written(tmp_path, [beat(10), beat(400, **more)]))


def test_a_status_message_may_stand_between(tmp_path: Path) -> None:
    status = json.dumps({"v": 1, "type": "status", "stream": "100", "epoch": 0, "state": "gap"})
    assert read_streams(written(tmp_path, [status, beat(3)]))["100"].sample.tolist() == [3]


SHUTDOWNS: list[tuple[str, list[str], list[tuple[int, int]]]] = [
    (
        "from the sample that it holds from to its end",
        [alert("start", suspended=True, sample=1100), alert("end", end_sample=2000, sample=2000)],
        [(1100, 2000)],
    ),
    (
        "from the update that suspends to the one that resumes",
        [
            alert("start", suspended=False, sample=1100),
            alert("update", suspended=True, sample=1500),
            alert("update", suspended=True, sample=1600),
            alert("update", suspended=False, sample=1800),
            alert("end", end_sample=9000, sample=9000, suspended=True),
        ],
        [(1500, 1800)],
    ),
    ("never ended", [alert("start", suspended=True, sample=1100)], [(1100, END)]),
    (
        "two alerts at once",
        [
            alert("start", suspended=True, sample=1000),
            alert("start", suspended=True, id="b", onset_sample=1200, sample=1200),
            alert("end", id="b", end_sample=1500, sample=1500),
            alert("end", end_sample=1400, sample=1500),
        ],
        [(1200, 1500), (1000, 1400)],
    ),
    ("of the patient", [alert("start", kind="physiological", suspended=True, sample=1100)], []),
    ("never suspended", [alert("start"), alert("end", end_sample=1300)], []),
]


@pytest.mark.parametrize(
    ("lines", "expected"), [each[1:] for each in SHUTDOWNS], ids=[each[0] for each in SHUTDOWNS]
)
def test_declared_shutdowns(
    tmp_path: Path, lines: list[str], expected: list[tuple[int, int]]
) -> None:
    assert list(read_streams(written(tmp_path, lines))["100"].shutdowns) == expected


WRONG: list[tuple[list[str], str]] = [
    ([], "empty; expected the JSON Lines of beatgan-daemon score"),
    ([beat(1), "{"], "line 2 is no message of beatgan-daemon score"),
    ([beat(1), ""], "line 2 is no message"),
    (["[1]"], "line 1 is no message"),
    (['{"type":"beat","stream":"100","epoch":0,"time_ns":1}'], "`sample`"),
    (['{"type":"beat","stream":"100","epoch":0,"time_ns":1,"sample":"1"}'], "`$.sample`"),
    (['{"type":"song"}'], "'song'"),
    ([beat(9), beat(10), beat(9)], "line 3 is no message of beatgan-daemon score (stream 100 goes"),
    ([beat(9), beat(10, epoch=5)], "a second epoch"),
    ([alert("update", suspended=True)], "alert a changes `suspended` but has no `sample`"),
]


@pytest.mark.parametrize(("lines", "complaint"), WRONG)
def test_what_is_no_output_of_the_daemon_is_refused(
    tmp_path: Path, lines: list[str], complaint: str
) -> None:
    file = written(tmp_path, lines)
    with pytest.raises(UsageError) as error:
        read_streams(file)
    assert str(error.value).startswith(f"{file}: ")
    assert complaint in str(error.value)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "100.qrs").write_bytes(b"\xff\xfe\x00")
    for name, complaint in (("100.qrs", "no text"), ("none", "No such file"), (".", "directory")):
        with pytest.raises(UsageError, match=f"{complaint}.*--test-annotator"):
            read_streams(tmp_path / name)


def test_annotations_give_their_beats_alone(tmp_path: Path) -> None:
    samples = np.array([100, 150, 400, 700])
    symbols = ["N", "+", "V", "~"]
    wfdb.wrann("100", "qrs", samples, symbols, fs=FS, write_dir=str(tmp_path))
    found = read_annotations({"100": tmp_path / "100"}, "qrs")["100"]
    assert found.sample.tolist() == [100, 400]
    assert (found.fs, found.shutdowns) == (FS, ())
    with pytest.raises(RecordError, match=r"100\.ari: no such annotation file"):
        read_annotations({"100": tmp_path / "100"}, "ari")
