"""The command line: names, codes and one-line messages. What commands do is tested elsewhere."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from beatgan.model.loading import Loaded
from beatgan.model.scorer import Scorer
from beatgan.model.synthetic_ecg import synthetic_ecg
from beatgan.records import SAMPLE
from beatgan.spec import PreprocessSpec
from beatgan_daemon import cli
from beatgan_daemon.exit_codes import Exit
from beatgan_daemon.settings import Settings
from beatgan_train.training.coefficients import coefficients_of

COEFFICIENTS = coefficients_of("full")


def outcome(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["beatgan-daemon", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"beatgan-daemon {version('beatgan')}\n"


def test_help_lists_the_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(monkeypatch, "--help") == 0
    shown = capsys.readouterr().out
    for command in ("run", "score", "replay", "watch", "demo", "check"):
        assert f" {command} " in shown


@pytest.mark.parametrize("command", ["run", "score", "replay", "watch", "demo", "check"])
def test_every_command_explains_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert outcome(monkeypatch, command, "--help") == 0
    assert "--help" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["fly"], 2, "No such command"),
        (["run", "--fast"], 2, "No such option"),
        (["run", "--model", "m.pt", "--device", "gpu"], 2, "command line: model.device = 'gpu'"),
        (["run", "--model", "m.pt", "--http", "here"], 2, "http.listen = 'here': expected HOST"),
        (["run", "--model", "m.pt", "--set", "batch.sise=1"], 2, "did you mean 'batch.size'?"),
        (["run", "--model", "m.pt", "--set", "batch.size"], 2, "expected KEY=VALUE"),
        (["run", "--model", "m.pt", "--ingest-bind", ""], 2, "no ECG could ever arrive"),
        (["run", "--model", "none.pt"], 3, "none.pt: cannot open the model"),
        (["run", "--model", "m.pt", "--config", "none.toml"], 3, "none.toml: cannot read"),
        (["check", "--model", "none.pt"], 3, "none.pt: cannot open the model"),
        (["score", "--model", "none.pt", "sample"], 3, "none.pt: cannot open the model"),
        (["replay", "none", "--bind", "tcp://127.0.0.1:*"], 2, "none"),
        (["watch", "--connect", "nonsense"], 2, "'nonsense'"),
        (["demo", "--model", "none.pt"], 2, "--model: there is no file none.pt"),
    ],
)
def test_refusals_are_one_line_with_their_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert outcome(monkeypatch, *arguments) == code
    shown = capsys.readouterr().err
    assert words in shown
    assert "Traceback" not in shown
    if shown.startswith("beatgan-daemon: "):
        assert shown.count("\n") == 1


def test_check_warns_of_a_former_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(monkeypatch, "check", "--model", "none.pt", "--set", "alarms.run_beats=5") == 3
    warning = capsys.readouterr().err.splitlines()[0]
    assert warning.startswith(
        "beatgan-daemon: command line: alarms.run_beats is now called alarms.vt_beats"
    )


def test_run_logs_a_warning_of_a_former_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(settings: Settings, read: Callable[[], Settings]) -> Exit:
        assert settings.alarms.vt_beats == 5
        assert read() == settings  # and warns again
        return Exit.DONE

    monkeypatch.setattr("beatgan_daemon.service.run", run)
    flags = ["--set", "alarms.run_beats=5", "--set", "log.format=json"]
    assert outcome(monkeypatch, "run", "--model", "m.pt", *flags) == 0
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["setting renamed"] * 2
    assert "alarms.run_beats is now called alarms.vt_beats" in lines[0]["why"]


def test_flags_reach_the_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[Settings] = []

    def run(settings: Settings, read: Callable[[], Settings]) -> Exit:
        assert read() == settings  # as it will be read again on SIGHUP
        seen.append(settings)
        return Exit.DONE

    monkeypatch.setattr("beatgan_daemon.service.run", run)
    config = tmp_path / "daemon.toml"
    config.write_text('[ingest]\nbind = ["tcp://127.0.0.1:1"]\n[batch]\nsize = 5\n')
    arguments = ["run", "--config", str(config), "--model", "m.pt", "--device", "cpu"]
    arguments += ["--ingest-bind", "tcp://127.0.0.1:2", "--ingest-bind", "tcp://127.0.0.1:3"]
    arguments += ["--ingest-connect", "ipc:///x", "--publish-bind", "tcp://127.0.0.1:4"]
    arguments += ["--http", "127.0.0.1:5", "--set", "batch.age_ms=7"]
    assert outcome(monkeypatch, *arguments) == 0
    settings = seen[0]
    assert settings.ingest.bind == ("tcp://127.0.0.1:2", "tcp://127.0.0.1:3")
    assert settings.ingest.connect == ("ipc:///x",)
    assert (settings.publish.bind, settings.http.listen.port) == ("tcp://127.0.0.1:4", 5)
    assert (settings.batch.size, settings.batch.age_ms) == (5, 7.0)


def test_an_output_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    new_scorer: Callable[[], Scorer],
) -> None:
    loaded = Loaded("student", "d1gest", PreprocessSpec(), COEFFICIENTS, new_scorer(), "cpu")
    monkeypatch.setattr("beatgan_daemon.model_loading.load_model", lambda *_: loaded)
    out = tmp_path / "nowhere" / "x.jsonl"
    assert outcome(monkeypatch, "score", "--model", "m.pt", SAMPLE, "--out", str(out)) == 2
    expected = f"beatgan-daemon: --out {out}: No such file or directory\n"
    assert capsys.readouterr().err == expected


def test_score_writes_beats_and_alerts_as_json_lines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, new_scorer: Callable[[], Scorer]
) -> None:
    loaded = Loaded("student", "d1gest", PreprocessSpec(), COEFFICIENTS, new_scorer(), "cpu")
    monkeypatch.setattr("beatgan_daemon.model_loading.load_model", lambda *_: loaded)
    out = tmp_path / "x.jsonl"
    assert outcome(monkeypatch, "score", "--model", "m.pt", SAMPLE, "--out", str(out)) == 0
    found = Counter(json.loads(line)["type"] for line in out.read_text().splitlines())
    assert set(found) == {"beat", "alert"}
    assert found["beat"] > 400


def test_score_writes_each_beats_class(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, new_classifying_scorer: Callable[[], Scorer]
) -> None:
    scorer = new_classifying_scorer()
    loaded = Loaded("student", "d1gest", PreprocessSpec(), COEFFICIENTS, scorer, "cpu")
    monkeypatch.setattr("beatgan_daemon.model_loading.load_model", lambda *_: loaded)
    out = tmp_path / "x.jsonl"
    assert outcome(monkeypatch, "score", "--model", "m.pt", SAMPLE, "--out", str(out)) == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    classes = Counter(line.get("class") for line in lines if line["type"] == "beat")
    assert classes["N"] > 200
    assert classes["V"] > 20
    assert any(line.get("class") == "V" for line in lines if line["type"] == "alert")


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, new_scorer: Callable[[], Scorer]) -> None:
    loaded = Loaded("student", "d1gest", PreprocessSpec(), COEFFICIENTS, new_scorer(), "cpu")
    monkeypatch.setattr("beatgan_daemon.model_loading.load_model", lambda *_: loaded)


def test_an_output_stays_as_it_was_where_scoring_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: None
) -> None:
    """Whether the recording cannot be opened, or the second of two."""
    out = tmp_path / "x.jsonl"
    out.write_text("of yesterday")
    for recordings in (["nowhere.edf"], [SAMPLE, "nowhere.edf"]):
        assert outcome(monkeypatch, "score", "--model", "m.pt", *recordings, "--out", str(out)) == 2
        assert out.read_text() == "of yesterday"
        assert list(tmp_path.iterdir()) == [out]


def test_an_output_takes_the_place_of_the_one_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: None
) -> None:
    out, link = tmp_path / "x.jsonl", tmp_path / "link"
    out.write_text("of yesterday")
    out.chmod(0o640)
    link.symlink_to(out)
    assert outcome(monkeypatch, "score", "--model", "m.pt", SAMPLE, "--out", str(link)) == 0
    assert link.is_symlink()
    assert json.loads(out.read_text().splitlines()[0])["type"] == "beat"
    assert out.stat().st_mode & 0o777 == 0o640
    assert sorted(tmp_path.iterdir()) == [link, out]


def test_a_recording_is_no_output(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    model: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "x.csv"
    file.write_text("time,II\n0,0\n")
    before = file.read_text()
    assert outcome(monkeypatch, "score", "--model", "m.pt", str(file), "--out", str(file)) == 2
    assert "is one of the recordings to be read" in capsys.readouterr().err
    assert file.read_text() == before


@pytest.mark.parametrize("out", ["rec.dat", "rec.hea", "link"])
def test_no_file_of_a_record_is_an_output(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    model: None,
    capsys: pytest.CaptureFixture[str],
    out: str,
) -> None:
    """A WFDB record is named without an ending: its files are others than its name."""
    (tmp_path / "rec.hea").write_text("rec 1 360 4\n# 80 M\nrec.dat 16 200 16 0 0 0 0 II\n")
    (tmp_path / "rec.dat").write_bytes(b"12345678")
    (tmp_path / "link").symlink_to("rec.dat")
    for name in ("rec", "rec.hea"):
        arguments = ["score", "--model", "m.pt", str(tmp_path / name)]
        assert outcome(monkeypatch, *arguments, "--out", str(tmp_path / out)) == 2
        assert "is one of the recordings to be read" in capsys.readouterr().err
    assert (tmp_path / "rec.dat").read_bytes() == b"12345678"


@pytest.mark.parametrize("command", ["--help", "--version"])
def test_an_output_that_cannot_be_written_is_one_line(command: str) -> None:
    with open("/dev/full", "wb") as full:
        run = subprocess.run(
            [sys.executable, "-m", "beatgan_daemon", command],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    text = "beatgan-daemon: cannot write the output: No space left on device\n"
    assert (run.returncode, run.stderr) == (2, text)


def test_score_takes_one_lead_if_told_which(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    new_scorer: Callable[[], Scorer],
    capsys: pytest.CaptureFixture[str],
) -> None:
    loaded = Loaded("student", "d1gest", PreprocessSpec(), COEFFICIENTS, new_scorer(), "cpu")
    monkeypatch.setattr("beatgan_daemon.model_loading.load_model", lambda *_: loaded)
    ecg = synthetic_ecg(30, 250.0)
    file, out = tmp_path / "two.csv", tmp_path / "x.jsonl"
    rows = [f"{i / 250:.3f},{a:.4f},{-a:.4f}" for i, a in enumerate(ecg)]
    file.write_text("time,II,V1\n" + "\n".join(rows) + "\n")
    arguments = ["score", "--model", "m.pt", str(file), "--out", str(out), "--lead"]
    assert outcome(monkeypatch, *arguments, "V1") == 0
    assert {json.loads(line)["lead"] for line in out.read_text().splitlines()} == {"V1"}
    assert "not used" not in capsys.readouterr().err
    assert outcome(monkeypatch, *arguments, "V5") == 2
    assert "there is no lead 'V5'; it has II, V1" in capsys.readouterr().err


def test_what_of_a_recording_is_not_used_is_told(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    new_scorer: Callable[[], Scorer],
    capsys: pytest.CaptureFixture[str],
) -> None:
    loaded = Loaded("student", "d1gest", PreprocessSpec(), COEFFICIENTS, new_scorer(), "cpu")
    monkeypatch.setattr("beatgan_daemon.model_loading.load_model", lambda *_: loaded)
    file = tmp_path / "x.csv"
    rows = [f"{i / 250:.3f},{a:.4f},1" for i, a in enumerate(synthetic_ecg(10, 250.0))]
    file.write_text("time,II (adu),Resp\n" + "\n".join(rows) + "\n")
    assert outcome(monkeypatch, "score", "--model", "m.pt", str(file), "--out", "/dev/null") == 0
    told = capsys.readouterr().err.splitlines()
    assert [line.partition("x.csv: ")[2] for line in told] == [
        "CSV, 250 Hz (column 'time'), II in adu, 10 s, start not known, no gap",
        "not used: Resp (not an ECG, by its name)",
        "II has no voltage, scaled to a usual one",
    ]
