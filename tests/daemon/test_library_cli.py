"""The command `beatgan`: recordings, folders of them, a bad one among them, what is written."""

import os
from pathlib import Path

import numpy as np
import pytest
import wfdb
from typer.testing import CliRunner

from beatgan.model.synthetic_ecg import beat_times, synthetic_ecg
from beatgan_daemon.library_cli import app

SECONDS, FS = 30.0, 360


def run(*arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    done = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two records, one in a folder of its own, a spoilt one and a text that is none."""
    folder = tmp_path / "study"
    (folder / "p8").mkdir(parents=True)
    for place, name, seed in ((folder, "100", 1), (folder / "p8", "night", 2)):
        ecg = synthetic_ecg(SECONDS, FS, seed)[:, None].astype(float)
        wfdb.wrsamp(name, FS, ["mV"], ["II"], p_signal=ecg, fmt=["16"], write_dir=str(place))
    (folder / "README.txt").write_text("Two nights in May.\n")
    return folder


def test_a_recording_is_told_with_its_episodes() -> None:
    code, out, err = run("score", "sample")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert "360 Hz" in lines[0]
    assert "503 beats" in lines[1]
    assert len(lines) == 2 + 6
    assert "rhythm.ventricular-run" in out
    assert "[1/1]" not in out


def test_names_that_are_no_text_and_headers_that_are_none_stop_nothing(
    folder: Path, tmp_path: Path
) -> None:
    odd = folder / os.fsdecode(b"\xff.csv")
    ecg = synthetic_ecg(SECONDS, FS, 1)
    odd.write_text(f"# fs={FS}\nII (mV)\n" + "".join(f"{value:.3f}\n" for value in ecg))
    (folder / "bad.hea").write_text("bad/2 1 360 20\nsub/seg 10\n.. 10\n")
    for name in ("b.csv", "b.parquet", "b.jsonl"):
        if name == "b.parquet":
            pytest.importorskip("pyarrow")
        code, out, err = run("score", folder, "--out", tmp_path / name)
        assert code == 2
        assert "bad.hea" in err
        assert "1 of 5 failed" in err
        assert "p8/night: WFDB" in out
        assert "\\udcff.csv: text" in out
        assert (tmp_path / name).stat().st_size > 1000


def test_a_folder_is_scored_whole(folder: Path, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    code, out, err = run("score", folder, "--out", tmp_path / "b.csv", "--annotations", "bg")
    assert (code, err) == (0, "")
    assert "[1/3] 100: WFDB, 360 Hz" in out
    assert "left out: " in out
    table = pandas.read_csv(tmp_path / "b.csv")
    assert set(table["record"].astype(str)) == {"100", "p8/night"}
    for record in ("100", "p8/night"):
        marks = wfdb.rdann(str(folder / record), "bg")
        of = table[table["record"].astype(str) == record]
        assert marks.sample.tolist() == of["sample"].tolist()
        expected = np.round(beat_times(SECONDS, 1 if record == "100" else 2) * FS)
        assert abs(len(expected) - len(of)) < 3


def test_a_recording_that_cannot_be_read_stops_no_other(folder: Path, tmp_path: Path) -> None:
    (folder / "050.hea").write_text("050 1 360 100\n050.dat 16 200 16 0 0 0 0 II\n")
    code, out, err = run("score", folder, "--out", tmp_path / "b.jsonl")
    assert code == 2
    assert "050.dat: the signal file is missing" in err
    assert "1 of 4 failed" in err
    assert "100: WFDB, 360 Hz" in out
    streams = {line.partition('"stream":"')[2].partition('"')[0]
               for line in (tmp_path / "b.jsonl").read_text().splitlines()}  # fmt: skip
    assert streams == {"100", "p8_night"}


def test_annotations_are_not_written_over_unless_that_is_wanted(folder: Path) -> None:
    wfdb.wrann("100", "atr", np.array([1]), ["N"], fs=FS, write_dir=str(folder))
    before = (folder / "100.atr").read_bytes()
    code, _, err = run("score", folder / "100", "--annotations", "atr")
    assert (code, (folder / "100.atr").read_bytes()) == (2, before)
    assert "100.atr: is there already; --overwrite writes over it" in err
    code, _, _ = run("score", folder / "100.hea", "--annotations", "atr", "--overwrite")
    assert code == 0
    assert (folder / "100.atr").read_bytes() != before


def test_two_recordings_of_one_name_are_two_streams(folder: Path, tmp_path: Path) -> None:
    code, out, _ = run("score", folder / "100", folder / "100", "--out", tmp_path / "b.csv")
    assert code == 0
    names = {line.partition(",")[0] for line in (tmp_path / "b.csv").read_text().splitlines()[1:]}
    assert names == {"100", "100:2"}
    assert "2 recordings" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sample", "--out", "b.xls"], "expected a file of .csv"),
        (["sample", "--model", "none.pt"], "none.pt"),
        (["sample", "--lead", "V5"], "there is no lead 'V5'"),
        (["sample", "--device", "tpu"], "device must be"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from beatgan.errors import BeatganError

    monkeypatch.chdir(tmp_path)
    try:
        code, _, said = run("score", *arguments)
        assert code == 2
    except BeatganError as error:  # `main` says it
        said = str(error)
    assert message in said
    assert not list(tmp_path.iterdir())
