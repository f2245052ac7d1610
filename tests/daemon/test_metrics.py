"""The metric names that others rely on, what they count, and that each is explained."""

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from beatgan_daemon.metrics import LATENCY, LATENCY_BUCKETS, AlarmCollector, Metrics

DOCS = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
# What Prometheus's own guide takes for units that are not base units, or for types in a name.
UNUSUAL = re.compile(
    r"_(ms|us|ns|milliseconds|minutes|hours|days|ppm|percent|kilobytes|megabytes|kb|mb"
    r"|gauge|counter|histogram|count)(_|$)"
)
LABELS = {  # values of each are of a short fixed list
    *(
        "reason",
        "quality",
        "code",
        "priority",
        "type",
        "role",
        "outcome",
        "direction",
        "version",
        "model",
        "le",
    ),
}


def used() -> Metrics:
    """Metrics of which each has counted something, so that all of them are told."""
    metrics = Metrics("1.2.3", "abc123")
    metrics.rejected("header")
    metrics.unscored("unusable")
    metrics.graded("good", 7)
    metrics.alerted("beat.anomalous", "medium")
    metrics.suppressed("beat.anomalous")
    metrics.dropped("beat", 5)
    metrics.checkpointed(0)
    metrics.refused("ingest", "unknown-key")
    metrics.requested("alerts", "ok")
    metrics.reloaded("applied")
    metrics.registry.register(AlarmCollector(lambda: {("rhythm.asystole", "high"): 2}))
    metrics.ask("alerts_latched", "Latched", lambda: 1)
    metrics.ask("clock_drift_ratio", "Drift", lambda: 0)
    metrics.ask("log_lines_lost", "Lost", lambda: 0)
    metrics.ask("tap_streams", "Tapped", lambda: 0)
    metrics.ask("ready", "Ready", lambda: False)
    metrics.ask("buckets", "Served", lambda: 256)
    metrics.ask("buckets_awaited", "Awaited", lambda: 0)
    return metrics


def scraped(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
    }


def test_every_promised_metric_is_there_and_counts() -> None:
    metrics = Metrics("1.2.3", "abc123")
    metrics.received(360)
    metrics.lost(36)
    metrics.repeated(7)
    metrics.reordered()
    metrics.clock_stepped()
    metrics.shed(11)
    metrics.streams_shed(3)
    metrics.rejected("header")
    metrics.rejected("header")
    metrics.scored(5)
    metrics.revised(3)
    metrics.unscored("unusable")
    metrics.alerted("beat.anomalous", "medium")
    metrics.streams(4)
    metrics.latencies([7.0], 7.03)
    samples = scraped(metrics)
    assert samples["beatgan_samples_received_total", ()] == 360
    assert samples["beatgan_samples_lost_total", ()] == 36
    assert samples["beatgan_samples_repeated_total", ()] == 7
    assert samples["beatgan_frames_reordered_total", ()] == 1
    assert samples["beatgan_frames_shed_total", ()] == 11
    assert samples["beatgan_streams_shed", ()] == 3
    assert samples["beatgan_clock_steps_total", ()] == 1
    assert samples["beatgan_frames_rejected_total", (("reason", "header"),)] == 2
    assert samples["beatgan_beats_scored_total", ()] == 5
    assert samples["beatgan_beats_revised_total", ()] == 3
    assert samples["beatgan_beats_unscored_total", (("reason", "unusable"),)] == 1
    labels = (("code", "beat.anomalous"), ("priority", "medium"))
    assert samples["beatgan_alerts_total", labels] == 1
    assert samples["beatgan_streams_active", ()] == 4
    assert samples["beatgan_alert_latency_seconds_bucket", (("le", "0.02"),)] == 0
    assert samples["beatgan_alert_latency_seconds_bucket", (("le", "0.05"),)] == 1
    assert samples["beatgan_build_info", (("model", "abc123"), ("version", "1.2.3"))] == 1


def test_what_is_kept_and_who_calls_is_counted() -> None:
    metrics = used()
    metrics.restored(3)
    metrics.journal(1000, 65536, backlog=2, lost=4)
    metrics.journal_failed()
    samples = scraped(metrics)
    assert samples["beatgan_beats_by_quality_total", (("quality", "good"),)] == 7
    assert samples["beatgan_alerts_suppressed_total", (("code", "beat.anomalous"),)] == 1
    assert samples["beatgan_messages_dropped_total", (("type", "beat"),)] == 5
    labels = (("code", "rhythm.asystole"), ("priority", "high"))
    assert samples["beatgan_alerts_active", labels] == 2
    assert samples["beatgan_alerts_latched", ()] == 1
    assert samples["beatgan_streams_restored_total", ()] == 3
    assert samples["beatgan_journal_alerts", ()] == 1000
    assert samples["beatgan_journal_bytes", ()] == 65536
    assert samples["beatgan_journal_backlog", ()] == 2
    assert samples["beatgan_journal_failures_total", ()] == 1
    assert samples["beatgan_journal_lost_total", ()] == 4
    labels = (("reason", "unknown-key"), ("role", "ingest"))
    assert samples["beatgan_connections_refused_total", labels] == 1
    labels = (("outcome", "ok"), ("type", "alerts"))
    assert samples["beatgan_control_requests_total", labels] == 1
    assert samples["beatgan_reloads_total", (("outcome", "applied"),)] == 1


def test_checkpoints_have_an_age_once_there_are_to_be_any() -> None:
    now = [100.0]
    metrics = Metrics("1", "2", clock=lambda: now[0])
    assert ("beatgan_checkpoint_age_seconds", ()) not in scraped(metrics)
    metrics.checkpointed(0)
    now[0] += 40
    assert scraped(metrics)["beatgan_checkpoint_age_seconds", ()] == 40
    metrics.checkpointed(12)
    samples = scraped(metrics)
    assert samples["beatgan_checkpoint_age_seconds", ()] == 0
    assert samples["beatgan_checkpoints_total", ()] == 12


def test_it_is_ready_when_who_knows_says_so() -> None:
    metrics, ready = Metrics("1", "2"), [False]
    metrics.ask("ready", "1 where ECG may be sent here", lambda: ready[0])
    assert scraped(metrics)["beatgan_ready", ()] == 0
    ready[0] = True
    assert scraped(metrics)["beatgan_ready", ()] == 1


def test_what_an_operator_waits_for_is_there_before_it_happens() -> None:
    samples = scraped(Metrics("1", "2"))
    assert samples["beatgan_reloads_total", (("outcome", "refused"),)] == 0
    labels = (("reason", "unknown-key"), ("role", "control"))
    assert samples["beatgan_connections_refused_total", labels] == 0


def test_another_model_may_take_over() -> None:
    metrics = Metrics("1", "0ld")
    metrics.model_loaded("n3w")
    assert scraped(metrics)["beatgan_build_info", (("model", "n3w"), ("version", "1"))] == 1


def test_names_and_labels_are_as_prometheus_wants_them() -> None:
    for family in used().registry.collect():
        name = family.name
        assert re.fullmatch(r"beatgan(_[a-z]+)+", name)
        assert not UNUSUAL.search(name), name
        assert family.documentation
        for sample in family.samples:
            if family.type == "counter":
                assert sample.name == f"{name}_total"
            elif family.type != "histogram":
                assert not sample.name.endswith(("_total", "_sum", "_bucket"))
            assert set(sample.labels) <= LABELS, "a stream or a patient is no label"


def families() -> dict[str, tuple[str, str]]:
    """Type and labels of each metric, under the name that a query uses."""
    found = {}
    for family in used().registry.collect():
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
        kind = "gauge" if family.type == "info" else family.type
        found[family.name + suffix] = kind, ", ".join(sorted(labels))
    return found


def test_each_metric_is_explained_and_no_other() -> None:
    rows = re.findall(r"^\| `(beatgan_\w+)` \| (\w+) \|([^|]*)\|", DOCS.read_text(), re.MULTILINE)
    reported = {
        name: (kind, ", ".join(sorted(re.findall(r"`(\w+)`", labels))))
        for name, kind, labels in rows
    }
    assert reported == families()
    assert len(rows) == len(reported), "a metric is explained once"


def test_latency_is_laid_out_from_a_millisecond_to_ten_seconds() -> None:
    assert (LATENCY_BUCKETS[0], LATENCY_BUCKETS[-1]) == (0.001, 10.0)


def test_totals_sum_over_labels() -> None:
    metrics = Metrics("1", "2")
    metrics.rejected("header")
    metrics.rejected("rate")
    assert metrics.total("frames_rejected_total") == 2
    assert metrics.total("samples_lost_total") == 0


def test_two_daemons_in_one_process_do_not_share_counts() -> None:
    one, other = Metrics("1", "2"), Metrics("1", "2")
    one.received(1)
    assert other.total("samples_received_total") == 0


def test_every_message_is_in_one_bucket_and_all_above_it() -> None:
    metrics = Metrics("1", "2")
    metrics.latencies([-seconds for seconds in (0.0005, 0.001, 0.0011, 9.0)], 0.0)
    metrics.latencies([1.0], 12.0)
    samples = scraped(metrics)
    name = "beatgan_alert_latency_seconds"
    below = {le: samples[f"{name}_bucket", (("le", le),)] for le in ("0.001", "0.002", "10.0")}
    assert below == {"0.001": 2, "0.002": 3, "10.0": 4}
    assert samples[f"{name}_bucket", (("le", "+Inf"),)] == samples[f"{name}_count", ()] == 5
    assert abs(samples[f"{name}_sum", ()] - 20.0026) < 1e-9


def test_the_latency_is_told_as_the_library_tells_it() -> None:
    waits = [0.00390625, 0.25, 0.00390625, 0.375, 99.0, 0.00390625]  # sums are exact
    registry = CollectorRegistry()
    each = Histogram(
        "beatgan_alert_latency_seconds", LATENCY, buckets=LATENCY_BUCKETS, registry=registry
    )
    for wait in waits:
        each.observe(wait)
    metrics = Metrics("1", "2")
    metrics.latencies([-wait for wait in waits], 0.0)
    told = [line for line in metrics.exposition().splitlines() if b"alert_latency" in line]
    assert told == generate_latest(registry).splitlines()


def test_drift_is_asked_for_when_somebody_looks() -> None:
    drifts = iter([12.5e-6, 99e-6])
    metrics = Metrics("1", "2")
    metrics.ask("clock_drift_ratio", "Drift", lambda: next(drifts))
    assert metrics.total("clock_drift_ratio") == pytest.approx(12.5e-6)
    assert scraped(metrics)["beatgan_clock_drift_ratio", ()] == pytest.approx(99e-6)
