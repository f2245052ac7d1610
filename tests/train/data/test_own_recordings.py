"""One's own recordings: what of them is learnt from, who is held out, and what is refused."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import wfdb
from edfio import Edf, EdfSignal
from rich.console import Console
from rich.progress import Progress

from beatgan.errors import RecordError, UsageError
from beatgan.model.artifact import load as load_artifact
from beatgan.model.artifact import self_test
from beatgan.model.synthetic_ecg import beat_times, synthetic_ecg
from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles
from beatgan_train import cli
from beatgan_train.data.beat_set import BeatSet
from beatgan_train.data.own_recordings import describe_patients, load, presumed_normal, split
from beatgan_train.training.coefficients import coefficients_of

COEFFICIENTS = coefficients_of("full")

SPEC = PreprocessSpec()
SECONDS, EVERY = 60.0, 9


def ecg(seed: int, fs: int) -> Doubles:
    """A synthetic patient every ninth of whose beats is ventricular."""
    return synthetic_ecg(SECONDS, fs, seed, 62.0 + seed, EVERY).astype(np.float64)


def write_wfdb(folder: Path, name: str, seed: int, fs: int = 250) -> None:
    folder.mkdir(exist_ok=True)
    wfdb.wrsamp(
        name,
        fs=fs,
        sig_name=["II"],
        units=["mV"],
        p_signal=ecg(seed, fs)[:, None],
        fmt=["16"],
        write_dir=str(folder),
    )


def annotate(folder: Path, name: str, seed: int, fs: int, extension: str = "atr") -> None:
    apexes = np.round(beat_times(SECONDS, seed, 62.0 + seed, EVERY) * fs).astype(np.int64)
    symbols = np.full(len(apexes), "N")
    symbols[EVERY - 1 :: EVERY] = "V"
    wfdb.wrann(name, extension, sample=apexes, symbol=symbols.tolist(), write_dir=str(folder))


def write_edf(folder: Path, name: str, seed: int, fs: int = 500) -> None:
    folder.mkdir(exist_ok=True)
    signal = EdfSignal(ecg(seed, fs) * 1000, fs, label="ECG II", physical_dimension="uV")
    Edf([signal]).write(folder / f"{name}.edf")


def write_csv(folder: Path, name: str, seed: int, fs: int = 200) -> None:
    folder.mkdir(exist_ok=True)
    with (folder / f"{name}.csv").open("w") as file:
        file.write(f"# fs={fs}\nlead II\n")
        np.savetxt(file, ecg(seed, fs), "%.4f")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six patients in three formats, nothing annotated; one of them with two recordings."""
    folder = tmp_path_factory.mktemp("mixed")
    write_wfdb(folder, "anna", 0)
    write_wfdb(folder, "bert", 1)
    write_edf(folder, "carl", 2)
    write_edf(folder, "dora", 3)
    write_csv(folder, "emil", 4)
    write_csv(folder / "fred", "monday", 5)
    write_edf(folder / "fred", "sunday", 6)
    return folder


@pytest.fixture(scope="module")
def beats(mixed: Path) -> BeatSet:
    return load(mixed, SPEC, COEFFICIENTS)


def test_all_formats_and_rates_are_read(beats: BeatSet) -> None:
    assert beats.records == (
        "anna", "bert", "carl.edf", "dora.edf", "emil.csv", "fred/monday.csv", "fred/sunday.edf"
    )  # fmt: skip
    assert min(np.bincount(beats.record)) > 55


def test_without_annotation_what_is_far_or_bad_is_put_aside(beats: BeatSet) -> None:
    """Of each patient's beats a ninth is ventricular and must not be learnt from."""
    assert set(beats.label) == {"N", ""}
    assert (beats.quality[beats.normal] == "good").all()
    for index in range(len(beats.records)):
        mine = beats.record == index
        assert 0.6 < beats.normal[mine].mean() <= 8 / 9
    far = beats.distance > -0.5  # the ventricular ones: nothing like their patients' own
    assert far.mean() > 0.08
    assert not (far & beats.normal).any()


def test_annotations_decide_where_there_are_any(tmp_path: Path) -> None:
    """Beside each format; an EDF or CSV file's count at its own rate."""
    write_wfdb(tmp_path, "anna", 0, 250)
    annotate(tmp_path, "anna", 0, 250)
    write_edf(tmp_path, "carl", 2, 500)
    annotate(tmp_path, "carl", 2, 500)
    write_csv(tmp_path, "emil", 4, 200)
    found = load(tmp_path, SPEC, COEFFICIENTS)
    annotated = found.record < 2
    assert set(found.label[annotated]) >= {"N", "V"}
    assert np.mean(found.label[annotated] == "V") == pytest.approx(1 / EVERY, abs=0.02)
    assert np.mean(found.label[annotated] == "") < 0.05
    assert set(found.label[~annotated]) == {"N", ""}


def test_annotations_without_a_beat_say_nothing_of_beats(tmp_path: Path) -> None:
    write_wfdb(tmp_path, "anna", 0)
    wfdb.wrann(
        "anna", "atr", np.array([5]), symbol=["+"], aux_note=["(AFIB"], write_dir=str(tmp_path)
    )
    assert load(tmp_path, SPEC, COEFFICIENTS).normal.any()


def test_another_annotator(tmp_path: Path) -> None:
    write_wfdb(tmp_path, "anna", 0)
    annotate(tmp_path, "anna", 0, 250, "qrs")
    assert "V" not in load(tmp_path, SPEC, COEFFICIENTS).label
    assert "V" in load(tmp_path, SPEC, COEFFICIENTS, "qrs").label
    with pytest.raises(UsageError, match=r"no recording has beats annotated in a file \.ecg"):
        load(tmp_path, SPEC, COEFFICIENTS, "ecg")


def test_the_counts_are_told(mixed: Path, beats: BeatSet) -> None:
    out = StringIO()
    with Progress(console=Console(file=out, width=200)) as bars:
        load(mixed, SPEC, COEFFICIENTS, progress=bars)
    assert f"0 recordings are annotated; {describe_patients(beats)}" in out.getvalue()
    text = describe_patients(beats)
    assert text.startswith(f"own recordings: 7 of 6 patients, {beats.normal.sum()} beats taken")
    aside = [int(word) for word in text.partition("aside")[2].split() if word.isdigit()]
    assert sum(aside) == len(beats) - beats.normal.sum()
    assert aside[0] == (beats.quality == "unusable").sum()


def test_usual_is_about_the_beats_among_alone(beats: BeatSet) -> None:
    some = beats.record == 0
    assert not (presumed_normal(beats, some) & ~some).any()
    assert not presumed_normal(beats, np.zeros(len(beats), dtype=np.bool_)).any()


def test_each_patient_is_held_out_once_with_all_recordings(beats: BeatSet) -> None:
    held: list[str] = []
    for fold in range(5):
        train, held_out = split(beats, fold, 0)
        inside = {beats.records[i].split("/")[0] for i in beats.record[held_out]}
        outside = {beats.records[i].split("/")[0] for i in beats.record[train]}
        assert not inside & outside
        assert len(train) + len(held_out) == beats.normal.sum()
        assert beats.normal[train].all()
        assert beats.normal[held_out].all()
        held += inside
    assert sorted(held) == ["anna", "bert", "carl.edf", "dora.edf", "emil.csv", "fred"]
    assert split(beats, 1, 0)[1].tolist() == split(beats, 1, 0)[1].tolist()


def test_too_few_patients_says_how_many_and_why(beats: BeatSet) -> None:
    few = beats.take(beats.record > 2)
    with pytest.raises(UsageError, match=r"3 patients .*\(dora, emil, fred\).* 5 are needed.*one"):
        split(few, 0, 0)
    nobody = replace(beats, label=np.full(len(beats), "", dtype="<U1"))
    with pytest.raises(UsageError, match=r"0 patients .*none"):
        split(nobody, 0, 0)
    with pytest.raises(UsageError, match=r"fold must be 0\.\.4"):
        split(beats, 5, 0)


def test_every_unreadable_file_is_named_at_once(tmp_path: Path) -> None:
    write_csv(tmp_path, "good", 0)
    (tmp_path / "a.csv").write_text("nonsense")
    (tmp_path / "b.edf").write_text("nonsense")
    (tmp_path / "c.csv").write_text("# fs=5\nII\n1\n2\n")
    with pytest.raises(RecordError) as caught:
        load(tmp_path, SPEC, COEFFICIENTS)
    text = str(caught.value)
    assert text.startswith("3 of 4 are unreadable")
    assert all(name in text for name in ("a.csv", "b.edf", "c.csv: fs must be 50 to 2000"))


def test_from_own_recordings_to_a_student(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher, student = tmp_path / "teacher.pt", tmp_path / "student.pt"

    def command(*words: object) -> None:
        monkeypatch.setattr("sys.argv", ["beatgan-train", *map(str, words), "--data", str(mixed)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert not end.value.code

    common = ("--epochs", 1, "--threads", 1, "--batch", 16)
    command("teacher", "--protocol", "own", "--out", teacher, "--run", tmp_path / "t",
            "--width", 2, "--bottleneck", 4, *common)  # fmt: skip
    command("distill", "--teacher", teacher, "--out", student, "--run", tmp_path / "s",
            "--hidden", 32, *common)  # fmt: skip
    with student.open("rb") as file:
        artifact = load_artifact(file, str(student))
    self_test(artifact)
    made = artifact.provenance
    assert made["protocol"] == "own"
    assert made["database"].startswith("own recordings: 7 of 6 patients")
    assert len(made["records"]) == 7
    assert "own recordings: 7 of 6 patients" in student.with_suffix(".md").read_text()
