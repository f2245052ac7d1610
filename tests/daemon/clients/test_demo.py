"""The demo's arithmetic and its refusals; that it runs is tested in tests/e2e."""

import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as changed
from rich.console import Console

from beatgan.alarms.limits import AlarmLimits
from beatgan.errors import UsageError
from beatgan.playback.offline import score_recordings
from beatgan.protocol.messages import AlertMessage
from beatgan.records import excerpt, read_recording
from beatgan.records.excerpt import EXCERPTS
from beatgan_daemon.clients.demo import demo, quantile, summary, told, ward
from beatgan_daemon.clients.page_process import open_browser
from beatgan_daemon.metrics import Metrics
from beatgan_daemon.model_loading import load_model
from tests.support.messages import alert_message

MODEL = Path(__file__).parents[3] / "models" / "student.pt"


def test_quantile_is_prometheus_estimate() -> None:
    buckets = [(0.1, 50.0), (0.2, 90.0), (0.4, 100.0), (math.inf, 100.0)]
    assert quantile(buckets, 0.5) == pytest.approx(0.1)
    assert quantile(buckets, 0.7) == pytest.approx(0.15)
    assert quantile(buckets, 0.99) == pytest.approx(0.38)


def test_quantile_at_the_edges() -> None:
    assert math.isnan(quantile([], 0.99))
    assert math.isnan(quantile([(0.1, 0.0), (math.inf, 0.0)], 0.99))
    assert quantile([(0.1, 0.0), (math.inf, 7.0)], 0.99) == 0.1


def test_summary_of_a_metrics_page() -> None:
    metrics = Metrics("1", "2")
    metrics.scored(12)
    metrics.lost(3)
    metrics.alerted("beat.anomalous", "medium")
    metrics.alerted("signal.gap", "low")
    for _ in range(100):
        metrics.latencies([0.0], 0.015)
    assert summary(metrics.exposition().decode()).startswith(
        "12 beats scored, 2 alert messages of 2 kinds (beat.anomalous, signal.gap), "
        "3 samples lost, latency p99 19.9 ms"
    )


def test_no_model_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--model: there is no file .*none\.pt"):
        demo(1.0, tmp_path / "none.pt", Console(file=io.StringIO()))


def test_the_ward_is_the_excerpts_and_the_sample() -> None:
    beds = ward()
    assert [bed.recording.name for bed in beds] == [f"bed-{n}" for n in range(1, 9)]
    assert beds[2].annotated == excerpt.read(EXCERPTS[2]).annotated
    assert (beds[2].recording.samples == excerpt.read(EXCERPTS[2]).recording.samples).all()
    assert (beds[7].recording.samples == read_recording("sample").samples).all()


def test_the_first_alarm_comes_within_ten_seconds_and_three_kinds_within_thirty() -> None:
    model = load_model(MODEL, "cpu", pytest.fail)
    begun = [replace(bed.recording, samples=bed.recording.samples[: 30 * 360]) for bed in ward()]
    messages = score_recordings(begun, model.spec, model.coefficients, model.scorer, AlarmLimits())
    said = {
        each.onset_sample / 360 + (each.delay_ms.condition + each.delay_ms.signal) / 1000: each.code
        for each in messages
        if isinstance(each, AlertMessage) and each.phase == "start"
    }
    assert min(said) < 10
    assert len(set(said.values())) >= 3


def test_each_bed_s_alarms_are_told_at_their_most_urgent_beside_the_annotations() -> None:
    beds = ward()[:2]
    first = changed(
        alert_message(0, stream="bed-1"), code="rhythm.x", priority="medium", text="a run"
    )
    later = changed(first, n=1, priority="high", text="tachycardia", onset_sample=43_200 + 1_800)
    again = changed(first, n=2, priority="low", text="over")
    lines = [line.plain for line in told(beds, [first, later, again])]
    assert lines == [
        f"bed-1  annotated: {beds[0].annotated}",
        "       second   5  *** HIGH    rhythm.x: tachycardia",
        f"bed-2  annotated: {beds[1].annotated}",
        "       no alarm",
    ]


@pytest.mark.parametrize(
    ("environ", "opened"),
    [
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
        ({}, False),
        ({"DISPLAY": ":10", "SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22"}, False),
        ({"DISPLAY": ":99", "CI": "true"}, False),
    ],
)
def test_a_browser_is_opened_on_a_desktop_alone(
    environ: dict[str, str], opened: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr("subprocess.Popen", lambda command, **_: started.append(command))
    open_browser("http://127.0.0.1:1/?token=x", environ)
    assert [command[-1] for command in started] == ["http://127.0.0.1:1/?token=x"] * opened
