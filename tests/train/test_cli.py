"""The command line, from recordings to a shipped student, and its exit codes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from beatgan.model.architectures import LABEL_FREE_LIMIT
from beatgan.model.artifact import Artifact, load, self_test
from beatgan_train import cli
from beatgan_train.data.beat_set import load as load_beats
from beatgan_train.data.mitdb import DS1, DS2

Command = Callable[..., int]


def command(*words: object) -> int:
    """Run ``beatgan-train`` with these words; its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("BEATGAN_DATA", raising=False)
        patch.setattr("sys.argv", ["beatgan-train", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
    return end.value.code if isinstance(end.value.code, int) else 0


@pytest.fixture(scope="module")
def folder(toy_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with teacher.pt and student.pt, made by the commands from synthetic patients."""
    made = tmp_path_factory.mktemp("made")
    common = ("--data", toy_data, "--threads", 1)
    assert command("teacher", *common, "--out", made / "teacher.pt", "--run", made / "teacher",
                   "--width", 2, "--bottleneck", 4, "--epochs", 2, "--rate", 1e-3) == 0  # fmt: skip
    assert command("distill", *common, "--teacher", made / "teacher.pt",
                   "--out", made / "student.pt", "--run", made / "student", "--hidden", 32,
                   "--bottleneck", 8, "--epochs", 3, "--hold-out-family", "noisy") == 0  # fmt: skip
    return made


def opened(path: Path) -> Artifact:
    with path.open("rb") as file:
        return load(file, str(path))


def test_a_teacher_says_what_it_was_made_of(folder: Path) -> None:
    teacher = opened(folder / "teacher.pt")
    made = teacher.provenance
    assert teacher.kind == "teacher"
    assert made["protocol"] == "interpatient"
    assert set(made["records"]) == set(DS1)
    assert 4 <= len(made["held_out"]) <= 5
    assert made["options"]["width"] == 2
    assert made["best"]["epoch"] in (1, 2)
    assert {"beatgan", "torch", "numpy"} <= set(made["packages"])
    self_test(teacher)


def test_a_training_leaves_history_and_pictures(folder: Path) -> None:
    for run, epochs in ((folder / "teacher", 2), (folder / "student" / "fold-3", 3)):
        lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
        assert [line["epoch"] for line in lines] == list(range(1, epochs + 1))
        assert all(np.isfinite(list(line.values())).all() for line in lines)
    for name in ("teacher/losses.png", "teacher/examples.png", "student/losses.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_the_student_is_small_tests_itself_and_knows_its_teacher(folder: Path) -> None:
    student = opened(folder / "student.pt")
    assert student.kind == "student"
    assert student.networks.beat.architecture == "ContextAutoencoder"
    assert student.networks.beat.parameters <= LABEL_FREE_LIMIT
    self_test(student)
    teacher = opened(folder / "teacher.pt")
    assert student.provenance["teachers"] == [teacher.digest]
    assert student.provenance["teacher"]["options"]["width"] == 2
    assert student.provenance["held_out"] == teacher.provenance["held_out"]
    assert student.spec == teacher.spec
    assert not set(student.provenance["records"]) & set(DS2)


def test_the_student_is_calibrated_on_every_patient_of_ds1(folder: Path, toy_data: Path) -> None:
    student = opened(folder / "student.pt")
    beats = load_beats(toy_data, DS1, student.spec, student.coefficients)
    assert student.provenance["calibrated_on"] == int(beats.normal.sum())
    normal = [beats.beat(row) for row in np.flatnonzero(beats.normal).tolist()]
    scores = self_test(student).score(normal)
    flagged = np.mean([score.anomalous for score in scores])
    assert 0 < flagged < 0.06  # chosen to be 2 %, of students that had not seen the patient


def test_families_held_out_of_training_are_reported_too(folder: Path) -> None:
    student = opened(folder / "student.pt")
    assert student.provenance["options"]["held_out_families"] == ["noisy"]
    pseudo_anomaly_auc = student.provenance["pseudo_anomaly_auc"]
    assert len(pseudo_anomaly_auc) == 10
    assert "noisy" in pseudo_anomaly_auc
    assert all(0 <= value <= 1 for row in pseudo_anomaly_auc.values() for value in row.values())
    assert pseudo_anomaly_auc["flipped"]["student"] > 0.8


def test_a_card_lies_beside_the_student(folder: Path) -> None:
    text = (folder / "student.md").read_text()
    student = opened(folder / "student.pt")
    for expected in (
        student.digest,
        f"{student.networks.beat.parameters:,} parameters",
        "## Limits",
        "not a medical device",
        "Moody",
        f"Threshold {student.calibration.threshold:.5g}: 1.5% of the normal beats",
        "| prematurity | 1 | 3 |",
        "| flipped |",
        " ".join(student.provenance["records"]),
        '"held_out_families"',
    ):
        assert expected in text


def test_a_finished_training_resumes_to_the_same_file(folder: Path, toy_data: Path) -> None:
    again = folder / "again.pt"
    words = ("teacher", "--data", toy_data, "--threads", 1, "--out", again,
             "--run", folder / "teacher", "--width", 2, "--bottleneck", 4, "--epochs", 2,
             "--rate", 1e-3)  # fmt: skip
    assert command(*words) == cli.USAGE
    assert command(*words, "--resume") == 0
    assert again.read_bytes() == (folder / "teacher.pt").read_bytes()


def test_the_beat_mode_and_the_beatgan_protocol(toy_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.pt"
    assert command("teacher", "--data", toy_data, "--out", out, "--run", tmp_path / "run",
                   "--mode", "beat", "--protocol", "beatgan", "--fold", 1, "--width", 1,
                   "--epochs", 1, "--threads", 1) == 0  # fmt: skip
    teacher = opened(out)
    assert teacher.spec.scale == "beat"
    assert dict(teacher.calibration.weight) == {"error": 1.0}
    assert set(teacher.provenance["records"]) == {*DS1, *DS2}
    assert (teacher.provenance["protocol"], teacher.provenance["fold"]) == ("beatgan", 1)


def test_a_student_is_evaluated(folder: Path, toy_data: Path) -> None:
    figures = folder / "figures.json"
    assert command("evaluate", "--model", folder / "student.pt", "--data", toy_data,
                   "--protocol", "interpatient", "--json", figures) == 0  # fmt: skip
    assert json.loads(figures.read_text())["protocol"] == "interpatient"


def test_beats_are_compared(toy_data: Path, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    assert command("bxb", toy_data / "mitdb" / "101", toy_data / "mitdb", "--test-annotator",
                   "atr", "--window-ms", 40, "--start", 10, "--json", figures) == 0  # fmt: skip
    found = json.loads(figures.read_text())
    assert (found["window_ms"], found["start_s"], found["gross"]["f1"]) == (40, 10, 1)


WRONG: list[tuple[tuple[object, ...], int, str]] = [
    (("teach",), cli.USAGE, "No such command 'teach'"),
    (("teacher", "--out", "x.pt"), cli.USAGE, "Missing option '--data'"),
    (("teacher", "--data", "{toy}", "--out", "x.pt", "--mode", "both"), cli.USAGE, "'both' is not"),
    (("teacher", "--data", "nowhere", "--out", "x.pt"), cli.USAGE, "'nowhere' does not exist"),
    (("teacher", "--data", "{made}", "--out", "x.pt"), cli.USAGE, "there is no 101.hea in"),
    (("teacher", "--data", "{toy}", "--out", "{made}/student.md/x.pt"), cli.USAGE, "student.md: "),
    (("teacher", "--data", "{toy}", "--out", "x.pt", "--fold", 7), cli.USAGE, "fold must be 0..4"),
    (
        ("teacher", "--data", "{toy}", "--out", "x.pt", "--device", "tpu"),
        cli.USAGE,
        "device must be auto, cpu or cuda[:N], got 'tpu'",
    ),
    (
        ("teacher", "--data", "{toy}", "--out", "x.pt", "--device", "cuda:99"),
        cli.USAGE,
        "device = 'cuda:99': ",
    ),
    (
        ("distill", "--data", "{toy}", "--teacher", "{made}/student.pt", "--out", "x.pt"),
        cli.REFUSED,
        "student.pt: is a student, not a teacher",
    ),
    (
        ("distill", "--data", "{toy}", "--teacher", "{made}/none.pt", "--out", "x.pt"),
        cli.REFUSED,
        "none.pt: No such file",
    ),
    (
        ("distill", "--data", "{toy}", "--teacher", "{made}/student.md", "--out", "x.pt"),
        cli.REFUSED,
        "student.md: not a beatgan model",
    ),
    (
        ("distill", "--data", "{toy}", "--teacher", "{made}/teacher.pt", "--out", "x.pt",
         "--hold-out-family", "fliped"),
        cli.USAGE,
        "no pseudo-anomaly 'fliped'",
    ),
    (
        ("distill", "--data", "{toy}", "--teacher", "{made}/teacher.pt", "--out", "x.pt",
         "--hidden", 500),
        cli.USAGE,
        "at most 95,440 parameters",
    ),
    (("bxb", "{toy}/mitdb"), cli.USAGE, "Missing argument"),
    (("bxb", "{toy}", "{made}/student.pt"), cli.USAGE, "no annotation file *.atr in this folder"),
    (("bxb", "{toy}/mitdb", "{made}/student.pt"), cli.USAGE, "student.pt: no text; expected the"),
    (("bxb", "{toy}/mitdb", "{made}/student.md"), cli.USAGE, "student.md: line 1 is no message of"),
    (("bxb", "{toy}/mitdb/none", "{made}/a.jsonl"), cli.USAGE, "a.jsonl: No such file"),
    (
        ("bxb", "{toy}/mitdb/101", "{toy}/mitdb", "--test-annotator", "atr", "--start", -1),
        cli.USAGE,
        "should be greater than or equal to 0",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("words", "code", "complaint"), WRONG)
def test_what_is_wrong_is_said_with_the_right_code(
    folder: Path,
    toy_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[object, ...],
    code: int,
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(*(str(word).format(toy=toy_data, made=folder) for word in words)) == code
    said = " ".join(capsys.readouterr().err.replace("│", " ").split())  # out of its box, unwrapped
    assert complaint in said
    assert not (tmp_path / "x.pt").exists()


def test_the_data_may_be_told_by_the_environment(
    toy_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "sys.argv", ["beatgan-train", "teacher", "--out", "x.pt", "--device", "tpu"]
    )
    monkeypatch.setenv("BEATGAN_DATA", str(toy_data))
    with pytest.raises(SystemExit):
        cli.main()
    assert "device must be" in capsys.readouterr().err


def test_a_retired_flag_still_works_and_says_so(
    folder: Path, toy_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--data", toy_data, "--teacher", folder / "none.pt", "--out", folder / "x.pt")
    assert command("distill", *words, "--run", folder / "x", "--kl-temperature", 3) == 3
    assert "--kl-temperature goes with the next release" in capsys.readouterr().err
    assert command("distill", *words, "--run", folder / "x") == 3
    assert "next release" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--database", "svdb", "--protocol", "beatgan"), "--database goes without --protocol"),
        (("--database", "svdb", "--card", "card.md"), "--database goes without --protocol"),
        (("--include-seen",), "go with --database"),
        (("--annotator", "ecg"), "go with --database"),
        (("--database", "nowhere"), "there is no folder"),
    ],
)
def test_what_does_not_go_together_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], reason: str
) -> None:
    model = tmp_path / "none.pt"
    assert command("evaluate", "--model", model, "--data", tmp_path, *words) == 2
    assert reason in capsys.readouterr().err
