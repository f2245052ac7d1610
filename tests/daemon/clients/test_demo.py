"""The demo's arithmetic and its refusals; that it runs is tested in tests/e2e."""

import io
import math
from pathlib import Path

import pytest
from rich.console import Console

from beatgan.errors import UsageError
from beatgan_daemon.clients.demo import demo, quantile, summary
from beatgan_daemon.metrics import Metrics


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
        "12 beats scored, 2 alert messages, 3 samples lost, latency p99 19.9 ms"
    )


def test_no_model_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no model at .*none\.pt.*--model"):
        demo(1.0, tmp_path / "none.pt", Console(file=io.StringIO()))
