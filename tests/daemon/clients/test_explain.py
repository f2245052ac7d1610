"""An alert explained: from its messages to a text and a picture."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from beatgan.alarms.limits import AlarmLimits
from beatgan.errors import UsageError
from beatgan.explain import ecg_paper
from beatgan.explain import picture as explain_picture
from beatgan.explain import text as explain_text
from beatgan.explain.episode import Episode, episode
from beatgan.explain.strip import EcgStrip, message_strip, read_strip
from beatgan.playback.offline import score_recordings
from beatgan.protocol.messages import (
    AlertMessage,
    Delay,
    Explanation,
    Probabilities,
    RhythmStrip,
    encode_json,
)
from beatgan.records import Recording
from beatgan.spec import PreprocessSpec
from beatgan.types import Floats
from beatgan_daemon.clients.cli import app
from beatgan_daemon.clients.find_episode import lines_of
from beatgan_train.training.coefficients import coefficients_of

ID = "bed/1/0/beat.anomalous/0"
LIMITS = AlarmLimits(anomalous_beats=2, among_beats=12, strip_s=10.0)


@pytest.fixture(scope="module")
def bodies(patient: Floats, new_classifying_scorer: Callable[[], Any]) -> list[bytes]:
    """What `score` writes of a patient with ventricular beats, on two leads."""
    two = np.concatenate([patient, -0.5 * patient], axis=1)
    source = [Recording("bed", 360.0, ("II", "$V_1$"), two)]
    scorer, coefficients = new_classifying_scorer(), coefficients_of("full")
    messages = score_recordings(source, PreprocessSpec(), coefficients, scorer, LIMITS)
    return [encode_json(message) for message in messages]


@pytest.fixture(scope="module")
def told(bodies: list[bytes]) -> Episode:
    ids = [body for body in bodies if b'"id":"bed/0/0/beat.anomalous/0"' in body]
    assert ids
    return episode(bodies, "bed/0/0/beat.anomalous/0", "x.jsonl")


def message(**more: Any) -> AlertMessage:
    place: dict[str, Any] = {"onset_sample": 720, "onset_ns": 2 * 10**9, "end_sample": None}
    what: dict[str, Any] = {"kind": "physiological", "code": "beat.anomalous"}
    plain = AlertMessage(
        id=ID, n=0, stream="bed", epoch=1, priority="medium", phase="start", sample=720, lead="II",
        suspended=False, raised_ns=0, score=5.0, threshold=2.5, beats=(720, 1080),
        delay_ms=Delay(1000.0, 200.0), explanation=None, text="two of them", **what, **place,
    )  # fmt: skip
    return replace(plain, **more)


def worst(n: int = 4, **more: Any) -> Explanation:
    ramp = [0.25 * i for i in range(n)]
    return Explanation(1080, 360.0, ramp, ramp, [1.0] * n, **more)


def strip_of(samples: Floats) -> RhythmStrip:
    values: dict[str, Any] = {"first": 0, "fs": 360.0, "scale": 0.001, "offset": 0.0}
    leads = tuple(f"L{i}" for i in range(samples.shape[1]))
    raw = np.where(np.isnan(samples), -32768, samples * 1000).astype("<i2").tobytes()
    return RhythmStrip(**values | {"leads": leads, "samples": raw})


def text(explained: Episode, encoding: str = "utf-8", width: int = 100) -> str:
    return "\n".join(explain_text.lines(explained, width, encoding))


def picture(explained: Episode) -> Any:
    image = pytest.importorskip("matplotlib.image")
    file = io.BytesIO()
    explain_picture.draw(explained, file)
    file.seek(0)
    return image.imread(file)


def test_messages_of_an_episode_are_told_together() -> None:
    probabilities = Probabilities(0.1, 0.2, 0.7, 0.0, 0.0)
    messages = [
        message(id="another", explanation=worst()),
        message(beats=(720,), strip=strip_of(np.zeros((9, 1), np.float32))),
        message(
            phase="update", explanation=worst(), beat_class="V", probabilities=probabilities,
            components={"error": 1.0, "distance": 4.0},
        ),
        message(phase="end", score=None, threshold=None, beats=(1400,), text="over"),
    ]  # fmt: skip
    found = episode([b'{"type":"beat"}', *map(encode_json, messages)], ID, "x")
    assert (found.sentence, found.beats, found.delay_s) == ("over", (720, 1080, 1400), 1.2)
    assert found.strip is not None
    assert (found.strip.first, found.strip.end, found.strip.leads) == (0, 9, ("L0",))
    assert found.worst is not None
    assert list(found.worst.probabilities)[:2] == ["V", "S"]
    assert list(found.worst.components) == ["distance", "error"]


def test_what_is_not_there_is_said_with_the_source(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"x\.jsonl: no alert has the id nobody"):
        episode([encode_json(message())], "nobody", "x.jsonl")
    with pytest.raises(UsageError, match=r"x\.jsonl: message 2 is no alert"):
        episode([b"{}", f'{{"id":"{ID}"'.encode()], ID, "x.jsonl")
    with pytest.raises(UsageError, match=r"--from .*none: No such file"):
        list(lines_of(tmp_path / "none"))


def test_a_strip_of_another_size_is_refused() -> None:
    spoilt = replace(strip_of(np.zeros((3, 2), np.float32)), samples=b"12345")
    with pytest.raises(UsageError, match="5 bytes"):
        read_strip(spoilt)


@pytest.mark.parametrize("most", [0.5, 1_000.0])
def test_a_strip_goes_into_a_message_and_comes_back(most: float) -> None:
    samples = np.random.default_rng(0).uniform(-most, most, (99, 2)).astype(np.float32)
    samples[10:20, 1] = np.nan
    back = read_strip(message_strip(EcgStrip(5, 250.0, ("I", "II"), samples.astype(np.float64))))
    assert (back.first, back.fs, back.leads) == (5, 250.0, ("I", "II"))
    unit = max(0.001, most / 32_000)
    np.testing.assert_allclose(back.millivolt, samples, rtol=0, atol=0.51 * unit)


@pytest.mark.parametrize(
    "more",
    [
        {"explanation": replace(worst(), expected=[0.0])},
        {"explanation": worst(0)},
        {"explanation": replace(worst(), fs=0.0)},
        {"strip": strip_of(np.zeros((0, 1), np.float32))},
        {"strip": replace(strip_of(np.zeros((360, 1), np.float32)), fs=0.0)},
    ],
)
def test_curves_that_cannot_be_drawn_are_refused(more: dict[str, Any]) -> None:
    bodies = [encode_json(message()), encode_json(message(**more))]
    with pytest.raises(UsageError, match=r"x\.jsonl: message 2: (explanation|strip): expected"):
        episode(bodies, ID, "x.jsonl")


def test_the_text_says_what_the_picture_shows(told: Episode) -> None:
    said = text(told)
    assert said.splitlines()[0] == told.sentence
    for word in [
        "MEDIUM",
        "began at 0:00:",
        "the onset at 0",
        "II, ",
        "class V",
        "score 3.73 > -1.50",
    ]:
        assert word in said
    assert any(0x2800 < ord(letter) < 0x2900 for letter in said)
    assert max(map(len, said.splitlines())) <= 110


def test_a_terminal_without_dots_gets_the_facts() -> None:
    explained = episode(
        [encode_json(message(explanation=worst(), components={"distance": 5.0}))], ID, "x"
    )
    said = text(explained, "ascii")
    said.encode("ascii")
    assert "+5.00  unlike the patient's own beat" in said
    assert "#####" in said


def test_a_curve_in_dots() -> None:
    rows = explain_text.plot(np.array([0.0, 0.0, 1.0, 1.0, np.nan, np.nan]), 3, 1, 0.0, 1.0)
    assert rows == ["⢸⠉⠀"]  # low, then joined to what is high, then lost


@pytest.mark.parametrize(
    "more",
    [
        {},  # neither ECG nor beat
        {"explanation": worst()},
        {
            "explanation": worst(reference=[0.0] * 4, spread=[1.0] * 4),
            "components": {"error": -1.0},
        },
        {"strip": strip_of(np.full((3600, 2), np.nan, np.float32))},
        {"strip": strip_of(np.linspace(-9, 9, 10800, dtype=np.float32)[:, np.newaxis])},
        {"strip": strip_of(np.zeros((1, 1), np.float32))},
        {"strip": replace(strip_of(np.zeros((99, 1), np.float32)), leads=("\u5fc3$_",))},
    ],
)
def test_whatever_there_is_can_be_explained(more: dict[str, Any]) -> None:
    explained = episode([encode_json(message(**more))], ID, "x")
    assert text(explained)
    assert picture(explained).shape[1] > 1500


def test_the_paper_has_25_mm_a_second_and_10_a_millivolt() -> None:
    samples = np.full((3600, 1), np.nan, np.float32)
    samples[360:363], samples[2160:2163] = -0.5, 1.0  # 1 s and 6 s after the beginning
    image = picture(episode([encode_json(message(strip=strip_of(samples), beats=()))], ID, "x"))
    top, mm = round(explain_picture.TOP * ecg_paper.DPI / 25.4), ecg_paper.DPI / 25.4
    dark = image[top : top + round(30 * mm), :, :3].max(axis=2) < 0.35
    rows, columns = np.nonzero(dark)
    first, second = columns < image.shape[1] / 2 - 1, columns > image.shape[1] / 2
    left = ecg_paper.LEFT * mm
    lead = columns < left + 15 * mm  # its name is written there
    first &= ~lead
    assert columns[second].mean() - columns[first].mean() == pytest.approx(125 * mm, abs=3)
    assert rows[first].mean() - rows[second].mean() == pytest.approx(15 * mm, abs=2)


def test_without_matplotlib_the_extra_is_named(
    told: Episode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"pip install 'beatgan\[explain\]'"):
        explain_picture.draw(told, io.BytesIO())


def test_the_command_takes_a_file_or_asks_the_daemon(
    bodies: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    recorded, png, wanted = tmp_path / "x.jsonl", tmp_path / "x.png", "bed/0/0/beat.anomalous/0"
    recorded.write_bytes(b"".join(body + b"\n" for body in bodies))
    run = CliRunner().invoke(app, ["explain", wanted, "--from", str(recorded), "--png", str(png)])
    assert (run.exit_code, run.output) == (0, "")
    assert png.read_bytes().startswith(b"\x89PNG")
    asked: list[str] = []

    def journal(endpoint: str, episode: str, **_: object) -> list[bytes]:
        assert episode == wanted
        asked.append(endpoint)
        return [body for body in bodies if b'"type":"alert"' in body]

    monkeypatch.setattr("beatgan_daemon.clients.client.fetch_episode", journal)
    run = CliRunner().invoke(app, ["explain", wanted, "--connect", "tcp://127.0.0.1:1"])
    assert "8 anomalous beats" in run.output
    assert asked == ["tcp://127.0.0.1:1"]
    run = CliRunner().invoke(app, ["explain", wanted, "--png", str(tmp_path / "no" / "x.png")])
    assert isinstance(run.exception, UsageError)
    assert "--png" in str(run.exception)
