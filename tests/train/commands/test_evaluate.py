"""The evaluation as a whole, on synthetic patients: what is counted, shown and refused."""

import io
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import wfdb
from rich.console import Console

from beatgan.ec57.annotations import NO_BEATS
from beatgan.errors import ArtifactError, UsageError
from beatgan.model import artifact
from beatgan.model.calibration import Calibration
from beatgan.model.torch_modules.conversion import networks_of
from beatgan.model.torch_modules.networks import Student
from beatgan.spec import PreprocessSpec
from beatgan.types import RHYTHM_SIZE
from beatgan_train.commands import evaluate
from beatgan_train.commands.evaluate import refuse_leak, score_test_beats
from beatgan_train.data.beat_set import BeatSet, Missed, load
from beatgan_train.data.evaluation_set import Database, EvaluationSet, of_database
from beatgan_train.data.mitdb import DS1, DS2
from beatgan_train.data.patients import patient_rule
from beatgan_train.data.source import Protocol
from beatgan_train.data.splits import RECORDS_OF
from beatgan_train.evaluation import timing
from beatgan_train.evaluation.baselines import TEMPLATE_AND_RR, UNFITTED
from beatgan_train.evaluation.bootstrap import Interval
from beatgan_train.evaluation.caveats import no_advantage
from beatgan_train.evaluation.metrics import Gain, Measured, measure
from beatgan_train.evaluation.result import as_json
from beatgan_train.evaluation.score_file import read_scores
from beatgan_train.report.model_card import fill_in, write_card
from beatgan_train.report.tables import remarks
from beatgan_train.training.coefficients import coefficients_of
from beatgan_train.training.model_file import read, save
from tests.train.conftest import write_patient

COEFFICIENTS = coefficients_of("full")

INTERPATIENT = {"protocol": "interpatient", "records": list(DS1), "fold": 0, "split_seed": 0}
MADE = INTERPATIENT | {
    "options": {"flagged": 0.02, "seed": 0}, "packages": {}, "database": "toys", "mode": "full",
    "beats": 1, "calibrated_on": 1, "held_out": ["101"], "teachers": [], "teacher": {"options": {}},
}  # fmt: skip
SHUFFLED = {"protocol": "beatgan", "records": [*DS1, *DS2], "fold": 2, "split_seed": 7}


def silent_console() -> Console:
    return Console(file=io.StringIO(), width=160)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "BUDGET_S", 0.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained student, so its score is the distance to the reference with some noise."""
    return write_model(tmp_path_factory.mktemp("model") / "student.pt", INTERPATIENT)


def write_model(path: Path, provenance: dict[str, Any], seed: int = 0) -> Path:
    torch.manual_seed(seed)
    calibration = Calibration(
        {"error": 0.0, "distance": -3.0}, {"error": 1.0, "distance": 1.0},
        {"error": 0.01, "distance": 1.0}, {"error": 1e3, "distance": 1e3}, 2.0,
    )  # fmt: skip
    built = artifact.build(
        "student",
        PreprocessSpec(),
        networks_of(Student(amplitude=8.0)),
        calibration,
        COEFFICIENTS,
        provenance,
    )
    with path.open("wb") as file:
        save(file, built)
    return path


def beats_of(toy_data: Path, *names: str) -> BeatSet:
    return load(toy_data, names, PreprocessSpec(), COEFFICIENTS)


def daemon_lines(model: Path, beats: BeatSet) -> Iterator[str]:
    """What `beatgan-daemon score` writes, as far as it is read here."""
    with model.open("rb") as file:
        scorer = artifact.self_test(artifact.load(file, "model"))
    yield json.dumps({"v": 1, "type": "status", "stream": "100"})
    for row, score in enumerate(scorer.score([beats.beat(i) for i in range(len(beats))])):
        yield json.dumps(
            {
                "v": 1,
                "type": "beat",
                "stream": beats.records[beats.record[row]],
                "sample": int(beats.sample[row]),
                "score": score.value,
                "quality": str(beats.quality[row]),
            }
        )


def test_figures_json_and_page(model: Path, toy_data: Path, tmp_path: Path) -> None:
    console = silent_console()
    found = evaluate.run(
        model,
        toy_data,
        "interpatient",
        json_file=tmp_path / "figures.json",
        report_dir=tmp_path / "report",
        console=console,
    )
    mine, *baselines = found.rows
    assert mine.auc > 0.5
    assert [c.label for c in mine.classes] == ["S", "V", "F", "Q"]
    ventricular = next(c for c in mine.classes if c.label == "V")
    assert ventricular.auc > 0.98  # V is wide in the synthetic patients; S, F and Q look normal
    assert [row.name for row in baselines][-1] == "template + RR"
    assert all(row.flagged_normal is None for row in baselines)
    assert mine.flagged_normal is not None
    without = found.rows_without_hard[0]
    assert 0 < mine.normal - without.normal < 100
    assert {row.record for row in found.records} == set(DS2)
    wide, narrow = found.detection
    assert (wide.window_ms, narrow.window_ms) == (150, 50)
    assert wide.f1 > 0.98
    assert wide.f1 >= narrow.f1
    assert wide.median_error_ms < 6
    student, published = found.speed
    assert (student.parameters, published.parameters) == (92_848, 1_908_800)
    assert set(student.network_us) == {1, 64}
    assert found.patients == 22
    assert mine.auc_interval.low < mine.auc < mine.auc_interval.high
    gain = found.gains[0]
    assert (gain.label, gain.figure, gain.model.value) == ("all", "AUC", mine.auc)
    assert gain.best.value == max(row.auc for row in baselines)
    assert gain.baseline == found.compared_with
    assert {row.label for row in found.worst} >= {"S", "F"}

    stored = json.loads((tmp_path / "figures.json").read_text())
    assert stored["rows"][0]["auc"] == mine.auc
    assert stored["provenance"]["records"] == list(DS1)
    assert (tmp_path / "report" / "evaluation.json").read_text() == as_json(found)
    assert stored["gains"][0]["difference"]["interval"]["low"] is not None
    page = (tmp_path / "report" / "index.html").read_text()
    assert_whole(page)
    assert "<td>221</td>" in page
    assert "Typical beats" in page
    shown = console.file.getvalue() if isinstance(console.file, io.StringIO) else ""
    assert "Each record" in shown
    assert "template + RR" in shown


def assert_whole(page: str) -> None:
    """Well-formed, with every link's target, and nothing from elsewhere."""
    assert "http" not in page
    clips = set(re.findall(r"url\((.*?)\)", page))
    assert clips <= {f"#{name}" for name in re.findall(r'<clipPath id="(.*?)"', page)}
    assert " src=" not in page
    checked = Balance()
    checked.feed(page)
    checked.close()
    assert checked.open == []
    assert checked.links
    assert checked.links <= checked.anchors


class Balance(HTMLParser):
    """Which elements are still open, where links within the page lead, and what they may reach."""

    VOID = frozenset({"meta", "br", "path", "line", "circle"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: set[str] = set()
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        if target := attributes.get("href"):
            self.links.add(target.removeprefix("#"))
        if anchor := attributes.get("id"):
            self.anchors.add(anchor)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_card_receives_the_figures(model: Path, toy_data: Path, tmp_path: Path) -> None:
    found = evaluate.run(model, toy_data, "interpatient", console=silent_console())
    other = write_model(tmp_path / "other.pt", MADE, seed=1)
    card, other_card = tmp_path / "student.md", tmp_path / "other.md"
    write_card(replace(read(other), digest=read(model).digest), card)
    write_card(read(other), other_card)
    fill_in(card, found)
    fill_in(card, found)  # in place of what is there
    text = card.read_text()
    interval = found.rows[0].auc_interval
    cell = f"{found.rows[0].auc:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
    assert text.count(f"| {found.model} | {cell} |") == 1
    assert "| V missed |" in text or "| S missed |" in text
    assert text.index("## Figures") < text.index("worst three records") < text.index("## Score")
    with pytest.raises(UsageError, match=r"other\.md is not the card"):
        fill_in(other_card, found)


def test_scores_of_the_daemon_give_the_same_figures(
    model: Path, toy_data: Path, tmp_path: Path
) -> None:
    lines = tmp_path / "beats.jsonl"
    lines.write_text("\n".join(daemon_lines(model, beats_of(toy_data, *DS2))) + "\n")
    own = evaluate.run(model, toy_data, "interpatient", console=silent_console())
    theirs = evaluate.run(model, toy_data, "interpatient", scores=lines, console=silent_console())
    assert own.rows[0].classes == theirs.rows[0].classes
    assert own.records == theirs.records
    assert theirs.model.endswith("as the daemon scored it")


def test_beatgan_protocol_takes_its_fold_from_the_model(toy_data: Path, tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.pt", SHUFFLED)
    found = evaluate.run(path, toy_data, "beatgan", console=silent_console())
    whole = load(toy_data, RECORDS_OF["beatgan"], PreprocessSpec(), COEFFICIENTS)
    assert found.rows[0].normal == int(whole.normal.sum()) // 5
    assert len({row.record for row in found.records}) == 44


@pytest.mark.parametrize(
    ("provenance", "protocol", "reason"),
    [
        ({}, "interpatient", "does not say"),
        ({"protocol": "interpatient"}, "interpatient", "does not say"),
        ({"records": list(DS1)}, "interpatient", "does not say"),
        (INTERPATIENT | {"records": [*DS1, "100", "234"]}, "interpatient", "100, 234"),
        (SHUFFLED, "interpatient", "test set"),
        (INTERPATIENT | {"teacher": SHUFFLED}, "interpatient", "test set"),
        (INTERPATIENT | {"teachers": [INTERPATIENT, SHUFFLED]}, "interpatient", "test set"),
        (INTERPATIENT, "beatgan", "--protocol beatgan"),
        (SHUFFLED | {"teacher": INTERPATIENT}, "beatgan", "--protocol beatgan"),
        (SHUFFLED | {"teacher": SHUFFLED | {"fold": 1}}, "beatgan", "different folds"),
        (SHUFFLED | {"teacher": SHUFFLED | {"split_seed": 1}}, "beatgan", "different folds"),
        ({k: v for k, v in SHUFFLED.items() if k != "fold"}, "beatgan", "which fold"),
    ],
)
def test_a_model_that_saw_the_test_set_is_refused(
    provenance: dict[str, Any], protocol: Protocol, reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        refuse_leak(provenance, protocol)


def test_an_honest_model_is_not_refused() -> None:
    assert refuse_leak(INTERPATIENT | {"teacher": INTERPATIENT}, "interpatient") == (0, 0)
    assert refuse_leak(SHUFFLED | {"teacher": SHUFFLED}, "beatgan") == (2, 7)


def test_no_model_file(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"none\.pt"):
        evaluate.run(tmp_path / "none.pt", tmp_path, "interpatient", console=silent_console())


def small_set(test: list[int], *, whole: bool = True) -> EvaluationSet:
    """Records 101 (DS1) and 100 (DS2): found, unusable, unmatched and missed beats."""
    n = 6
    wave = np.zeros((n, 320), np.float32)
    beats = BeatSet(
        ("101", "100"),
        np.array([0, 1, 1, 1, 1, 1]),
        np.arange(n),
        np.array(["N", "N", "V", "S", "", ""]),
        wave,
        wave,
        np.zeros(n),
        np.zeros(n),
        np.array(["good", "good", "good", "unusable", "good", "unusable"]),
        np.full(n, np.nan),
        np.zeros((n, RHYTHM_SIZE), np.float32),
        wave,
        wave,
        np.full((n, 2), np.nan),
        Missed(np.array([0, 1, 1]), np.array([50, 60, 70]), np.array(["V", "F", "N"])),
    )
    names = ("100",) if whole else ("100", "101")
    references = dict.fromkeys(names, NO_BEATS)
    return EvaluationSet(beats, references, np.array(test), whole=whole)


def test_missed_and_unusable_beats_count_as_the_lowest_score() -> None:
    values = np.array([9.0, 0.0, 5.0, -np.inf, 3.0, -np.inf])
    found = score_test_beats(small_set([1, 2]), values)
    assert sorted(zip(found.label.tolist(), found.score.tolist(), strict=True)) == [
        ("F", -np.inf),
        ("N", -np.inf),
        ("N", 0.0),
        ("S", -np.inf),
        ("V", 5.0),
    ]
    assert set(found.record.tolist()) == {1}
    row = measure("x", found, 1.0)
    assert [(c.label, c.flagged) for c in row.classes] == [("S", 0.0), ("V", 1.0), ("F", 0.0)]
    assert row.flagged_normal == 0.0


def test_under_the_beatgan_protocol_no_normal_beat_is_added() -> None:
    values = np.array([9.0, 0.0, 5.0, -np.inf, 3.0, -np.inf])
    found = score_test_beats(small_set([0, 2], whole=False), values)
    assert sorted(found.label.tolist()) == ["F", "N", "S", "V", "V"]


# --- any annotated database ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Annotated: two records, one of DS1's patients, a paced one; and one without annotation."""
    folder = tmp_path_factory.mktemp("hospital")
    for seed, name in enumerate(("x1", "x2", "101", "pacemaker", "bare")):
        write_patient(folder, name, seed)
    (folder / "bare.atr").unlink()
    mark(folder, "pacemaker", "/")
    return folder


def mark(folder: Path, name: str, symbol: str) -> None:
    """Give all the beats of a record one symbol."""
    sample = wfdb.rdann(str(folder / name), "atr").sample
    symbols = [symbol] * len(sample)
    wfdb.wrann(name, "atr", sample=sample, symbol=symbols, write_dir=str(folder))


def classified_lines(model: Path, folder: Path, names: Sequence[str]) -> Iterator[str]:
    """The daemon's lines with classes: what the reference says, but every third V is called N."""
    beats = load(folder, names, PreprocessSpec(), COEFFICIENTS)
    _, *lines = daemon_lines(model, beats)
    thirds = np.flatnonzero(beats.label == "V")[::3].tolist()
    for row, line in enumerate(lines):
        message = json.loads(line)
        if message["score"] is not None:
            message["class"] = "N" if row in thirds else str(beats.label[row]) or "Q"
        yield json.dumps(message)


def test_any_folder_of_annotated_records_is_tested(
    model: Path, hospital: Path, tmp_path: Path
) -> None:
    console = silent_console()
    found = evaluate.run(
        model, tmp_path, database=Database(hospital), report_dir=tmp_path / "r", console=console
    )
    assert found.tested_on == hospital.name
    assert [row.record for row in found.records] == ["x1", "x2"]
    assert found.left_out == ("101",)
    assert found.paced == ("pacemaker",)
    assert found.patients == 2
    assert found.classification is None  # the model has no class head
    assert found.rows[0].auc > 0.5
    assert found.detection[0].f1 > 0.98
    stored = json.loads((tmp_path / "r" / "evaluation.json").read_text())
    assert stored["protocol"] is stored["classification"] is None
    page = (tmp_path / "r" / "index.html").read_text()
    assert_whole(page)
    assert "Not tested, the model has seen their patients: 101." in page
    assert "The model gives beats no classes" in page


def test_classes_become_veb_and_sveb_and_a_table_of_databases(
    model: Path, hospital: Path, tmp_path: Path
) -> None:
    lines, first, console = tmp_path / "beats.jsonl", tmp_path / "first.json", silent_console()
    lines.write_text("\n".join(classified_lines(model, hospital, ["x1", "x2"])))
    evaluate.run(model, tmp_path, database=Database(hospital), json_file=first, console=console)
    found = evaluate.run(
        model, tmp_path, database=Database(hospital), beside=[first], report_dir=tmp_path / "r",
        scores=lines, console=console,
    )  # fmt: skip
    assert found.classification is not None
    veb, sveb = found.classification.ectopics
    labels = load(hospital, ["x1", "x2"], PreprocessSpec(), COEFFICIENTS)
    called_n = -(-int((labels.label == "V").sum()) // 3)
    assert (veb.fp, veb.fn) == (0, called_n + int((labels.missed.label == "V").sum()))
    assert veb.tp > veb.fn > 0
    assert veb.sensitivity.value == veb.tp / (veb.tp + veb.fn)
    assert sveb.ppv.value == 1
    page = (tmp_path / "r" / "index.html").read_text()
    assert_whole(page)
    assert "Confusion matrix" in page
    assert "Each database, with the model that was tested on it" in page
    stored = json.loads((tmp_path / "r" / "evaluation.json").read_text())
    assert stored["classification"]["ectopics"][0]["tp"] == veb.tp


def test_patients_that_the_model_has_seen_are_tested_only_on_request(
    model: Path, hospital: Path, tmp_path: Path
) -> None:
    shutil.copytree(hospital, tmp_path / "seen", ignore=shutil.ignore_patterns("x*", "pace*"))
    only_seen = Database(tmp_path / "seen")
    with pytest.raises(UsageError, match=r"has seen every patient there \(101\); --include-seen"):
        evaluate.run(model, tmp_path, database=only_seen, console=silent_console())
    asked = replace(only_seen, include_seen=True)
    found = evaluate.run(model, tmp_path, database=asked, console=silent_console())
    assert found.seen == ("101",)
    assert "SEEN, not new ones: 101" in " ".join(remarks(found))


@pytest.mark.parametrize("label", ["N", "V"])
def test_a_database_of_one_class_is_no_crash(model: Path, tmp_path: Path, label: str) -> None:
    write_patient(tmp_path, "only", 3)
    mark(tmp_path, "only", label)
    console = silent_console()
    found = evaluate.run(
        model, tmp_path, database=Database(tmp_path), report_dir=tmp_path / "r", console=console
    )
    assert np.isnan(found.rows[0].auc)
    stored = json.loads((tmp_path / "r" / "evaluation.json").read_text())
    assert stored["rows"][0]["auc"] is None
    assert stored["records"][0]["auc"] is None
    page = (tmp_path / "r" / "index.html").read_text()
    assert_whole(page)
    assert "<b>none</b>AUC, all abnormal beats" in page


def test_what_is_not_measured_is_said_with_the_reason(model: Path, tmp_path: Path) -> None:
    """In words on the terminal, on the page and in the JSON; nan nowhere."""
    write_patient(tmp_path, "only", 3)
    mark(tmp_path, "only", "N")
    console = silent_console()
    found = evaluate.run(
        model, tmp_path, "own", report_dir=tmp_path / "r", console=console
    )  # fmt: skip
    shown = console.file.getvalue() if isinstance(console.file, io.StringIO) else ""
    page = (tmp_path / "r" / "index.html").read_text()
    for text in (shown, page):
        assert "AUC, AP and best F1: no tested beat is abnormal" in text
        assert "intervals: they are over patients, and there is one" in text
        assert not re.search(r"\bnan\b", text)
    stored = json.loads((tmp_path / "r" / "evaluation.json").read_text())
    assert "no tested beat is abnormal" in stored["not_measured"].values()
    assert stored["rows"][0]["ap_interval"] == {"low": None, "high": None}
    assert found.warnings == []
    assert {row.name for row in found.rows[1:]} == {*UNFITTED}


def test_abnormal_beats_alone_have_no_average_precision(model: Path, tmp_path: Path) -> None:
    write_patient(tmp_path, "only", 3)
    mark(tmp_path, "only", "V")
    found = evaluate.run(model, tmp_path, "own", console=silent_console())
    assert np.isnan([found.rows[0].ap, found.rows[0].best_f1]).all()
    assert found.rows[0].classes[0].flagged is not None
    assert "no tested beat is normal" in found.not_measured.values()


def test_a_network_that_adds_nothing_is_warned_of(model: Path, tmp_path: Path) -> None:
    """This one is untrained; beside it stands what it would have to beat, with its interval."""
    for seed in range(6):
        write_patient(tmp_path, f"x{seed}", seed)
    console = silent_console()
    found = evaluate.run(model, tmp_path, "own", report_dir=tmp_path / "r", console=console)
    assert [gain.baseline for gain in found.over_template_and_rr] == [TEMPLATE_AND_RR] * 2
    for gain in found.over_template_and_rr:
        warned = any(line.startswith(f"{gain.figure}:") for line in found.warnings)
        assert warned == (gain.difference.interval.low <= 0)
    assert found.warnings
    shown = console.file.getvalue() if isinstance(console.file, io.StringIO) else ""
    assert "WARNING: AUC: the network" in shown
    assert '<p class="warning">AUC: the network' in (tmp_path / "r" / "index.html").read_text()
    stored = json.loads((tmp_path / "r" / "evaluation.json").read_text())
    assert stored["warnings"] == found.warnings


def test_a_gain_above_chance_is_not_warned_of() -> None:
    def gain(low: float, high: float) -> Gain:
        one = Measured(0.9, Interval(0.8, 1.0))
        return Gain("all", "AUC", one, "b", one, Measured(0.01, Interval(low, high)))

    assert no_advantage([gain(0.001, 0.02)], 9) == []
    assert "includes 0" in no_advantage([gain(-0.001, 0.02)], 9)[0]
    assert "lies below 0" in no_advantage([gain(-0.02, -0.001)], 9)[0]
    assert no_advantage([gain(np.nan, np.nan)], 1) == []


def test_annotations_that_are_no_beats_of_the_signal_are_counted(
    model: Path, tmp_path: Path
) -> None:
    for seed in range(4):
        write_patient(tmp_path, f"x{seed}", seed)
    beats = wfdb.rdann(str(tmp_path / "x1"), "atr")
    late = [*beats.sample, 30_000, 90_000]
    wfdb.wrann(
        "x1", "atr", np.array(late), symbol=[*beats.symbol, "N", "V"], write_dir=str(tmp_path)
    )
    own = [*beats.symbol[:3], "z", *beats.symbol[4:]]
    wfdb.wrann(
        "x2", "atr", wfdb.rdann(str(tmp_path / "x2"), "atr").sample[: len(own)], symbol=own,
        custom_labels=[("z", "somebody's own")], write_dir=str(tmp_path),
    )  # fmt: skip
    (tmp_path / "x3.atr").write_bytes(b"\0\0")
    found = evaluate.run(model, tmp_path, "own", console=silent_console())
    assert (found.outside, found.unknown_symbols) == ({"x1": 2}, {"x2": 1})
    assert found.without_beats == ("x3",)
    assert found.records[1].unscored <= 2
    said = " ".join(remarks(found))
    assert "x1: 2 annotated beats lie outside its signal" in said
    assert "x2: 1 annotations have unknown symbols" in said
    assert "no annotation in their signal is a beat's: x3" in said


def test_a_folder_whose_annotations_have_no_beat_is_refused(model: Path, tmp_path: Path) -> None:
    write_patient(tmp_path, "only", 0)
    (tmp_path / "only.atr").write_bytes(b"\0\0")
    with pytest.raises(UsageError, match=r"no annotation \.atr is a beat's"):
        evaluate.run(model, tmp_path, "own", console=silent_console())


def test_a_part_of_the_test_set_is_tested_and_called_a_part(model: Path, tmp_path: Path) -> None:
    for seed, name in enumerate(("232", "100", "103")):
        write_patient(tmp_path, name, seed)
    found = evaluate.run(model, tmp_path, "interpatient", console=silent_console())
    assert {row.record for row in found.records} == {"100", "103", "232"}
    assert len(found.missing) == 41
    assert found.groups == 3
    said = " ".join(remarks(found))
    assert "A PART of the test set: 3 of DS2's 22 records" in said
    assert "0 of 22 records are there" in said
    card = tmp_path / "card.md"
    card.write_text("")
    with pytest.raises(UsageError, match="41 are not there"):
        fill_in(card, found)


def test_the_hard_record_alone(model: Path, tmp_path: Path) -> None:
    write_patient(tmp_path, "232", 0)
    found = evaluate.run(model, tmp_path, "own", console=silent_console())
    assert not found.has_hard
    assert found.records[0].record == "232"


def test_patients_of_several_recordings_are_drawn_as_one(model: Path, tmp_path: Path) -> None:
    for seed in range(4):
        write_patient(tmp_path, f"p{seed // 2}_night{seed % 2}", seed)
    rule = patient_rule(None, "^(p.)_")
    found = evaluate.run(
        model, tmp_path, database=Database(tmp_path, patients=rule), console=silent_console()
    )
    assert (found.patients, len(found.records)) == (2, 4)
    assert "2 patients in 4 recordings; told by --patient-pattern" in " ".join(remarks(found))


def test_models_of_a_cross_validation_each_score_whom_they_have_not_seen(tmp_path: Path) -> None:
    for seed in range(3):
        write_patient(tmp_path, f"x{seed}", seed)
    models = [
        write_model(tmp_path / f"{k}.pt", {"records": [f"x{(k + 1) % 2}"]}, seed=k)
        for k in range(2)
    ]  # the first has seen x1, the second x0; x2 goes to the first
    both = evaluate.run(models, tmp_path, "own", console=silent_console())
    each = [evaluate.run(file, tmp_path, "own", console=silent_console()) for file in models]
    assert both.left_out == ()
    by_name = [{row.record: row for row in found.records} for found in (both, *each)]
    assert by_name[0]["x0"] == replace(by_name[1]["x0"], baseline_auc=by_name[0]["x0"].baseline_auc)
    assert by_name[0]["x1"] == replace(by_name[2]["x1"], baseline_auc=by_name[0]["x1"].baseline_auc)
    assert "x1" not in by_name[1]
    assert "x0" not in by_name[2]
    with pytest.raises(UsageError, match="several --model go with --database"):
        evaluate.run(models, tmp_path, "interpatient", console=silent_console())


def test_a_folder_without_annotations_is_refused(
    model: Path, hospital: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"no recording has an annotation file \.qrs"):
        evaluate.run(model, tmp_path, database=Database(hospital, "qrs"), console=silent_console())


def test_paced_patients_alone_are_refused(model: Path, tmp_path: Path) -> None:
    write_patient(tmp_path, "pacemaker", 0)
    mark(tmp_path, "pacemaker", "f")
    with pytest.raises(UsageError, match="all that is not paced"):
        evaluate.run(model, tmp_path, database=Database(tmp_path), console=silent_console())


def test_names_of_seen_records_may_have_their_folder_before_them(hospital: Path) -> None:
    def tested(*seen: str) -> set[str]:
        found = of_database(Database(hospital), seen, PreprocessSpec(), COEFFICIENTS)
        return set(found.references)

    assert tested("mitdb/101", "svdb/804") == {"x1", "x2"}
    assert tested("x2.edf") == {"x1", "101"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda lines: lines[:-1], "no beat at sample"),
        (lambda lines: [*lines, lines[-1].replace('"sample": ', '"sample": 9')], "1 beats that"),
        (lambda lines: [*lines, lines[-1]], "a second score of this beat"),
        (lambda lines: [*lines, "{not json"], "is no message"),
        (lambda lines: [*lines[:-1], lines[-1].replace("{", '{"class": "X", ')], "one of N S V F"),
        (lambda lines: [*lines, '{"type":"beat"}'], "missing required field"),
        (lambda lines: [*lines, '{"type":"beat","stream":"1","epoch":0,"sample":1,'
                        '"time_ns":1,"score":null,"quality":"good"}'], "null score"),
    ],
)  # fmt: skip
def test_scores_that_do_not_fit_are_refused(
    model: Path, toy_data: Path, tmp_path: Path, change: Any, reason: str
) -> None:
    beats = beats_of(toy_data, "100")
    file = tmp_path / "beats.jsonl"
    file.write_text("\n".join(change(list(daemon_lines(model, beats)))))
    with pytest.raises(UsageError, match=reason):
        read_scores(file, beats)


def test_a_revised_score_takes_the_place_of_the_first(
    model: Path, toy_data: Path, tmp_path: Path
) -> None:
    beats = beats_of(toy_data, "100")
    lines = list(daemon_lines(model, beats))
    row = int(np.flatnonzero(beats.usable)[0])
    (first,) = (line for line in lines if json.loads(line).get("sample") == beats.sample[row])
    revision = json.dumps(json.loads(first) | {"score": 77.0, "class": "V", "revised": True})
    file = tmp_path / "beats.jsonl"
    file.write_text("\n".join(lines))
    scores = read_scores(file, beats)
    file.write_text("\n".join([*lines, revision]))
    scores.value[row], scores.called[row] = 77.0, "V"
    revised = read_scores(file, beats)
    np.testing.assert_array_equal(revised.value, scores.value)
    np.testing.assert_array_equal(revised.called, scores.called)


def test_no_file_of_scores(toy_data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.jsonl"):
        read_scores(tmp_path / "none.jsonl", beats_of(toy_data, "100"))
