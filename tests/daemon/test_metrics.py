"""The metric names that others rely on, and what they count."""

from prometheus_client.parser import text_string_to_metric_families

from beatgan_daemon.metrics import LATENCY_BUCKETS, Metrics


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
    metrics.unscored("unusable")
    metrics.alerted("beat.anomalous", "medium")
    metrics.streams(4)
    metrics.latency(0.03)
    samples = scraped(metrics)
    assert samples["beatgan_samples_received_total", ()] == 360
    assert samples["beatgan_samples_lost_total", ()] == 36
    assert samples["beatgan_samples_repeated_total", ()] == 7
    assert samples["beatgan_frames_reordered_total", ()] == 1
    assert samples["beatgan_frames_shed_total", ()] == 11
    assert samples["beatgan_streams_shed", ()] == 3
    assert samples["beatgan_clock_steps_total", ()] == 1
    assert samples["beatgan_clock_drift_ppm", ()] == 0
    assert samples["beatgan_frames_rejected_total", (("reason", "header"),)] == 2
    assert samples["beatgan_beats_scored_total", ()] == 5
    assert samples["beatgan_beats_unscored_total", (("reason", "unusable"),)] == 1
    labels = (("code", "beat.anomalous"), ("priority", "medium"))
    assert samples["beatgan_alerts_total", labels] == 1
    assert samples["beatgan_streams_active", ()] == 4
    assert samples["beatgan_alert_latency_seconds_bucket", (("le", "0.02"),)] == 0
    assert samples["beatgan_alert_latency_seconds_bucket", (("le", "0.05"),)] == 1
    assert samples["beatgan_build_info", (("model", "abc123"), ("version", "1.2.3"))] == 1


def test_names_have_the_prefix_and_no_stream() -> None:
    for name, labels in scraped(Metrics("1", "2")):
        assert name.startswith("beatgan_")
        assert "stream" not in dict(labels)


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
    for seconds in (0.0005, 0.001, 0.0011, 9.0, 11.0):
        metrics.latency(seconds)
    samples = scraped(metrics)
    name = "beatgan_alert_latency_seconds"
    below = {le: samples[f"{name}_bucket", (("le", le),)] for le in ("0.001", "0.002", "10.0")}
    assert below == {"0.001": 2, "0.002": 3, "10.0": 4}
    assert samples[f"{name}_bucket", (("le", "+Inf"),)] == samples[f"{name}_count", ()] == 5
    assert abs(samples[f"{name}_sum", ()] - 20.0026) < 1e-9


def test_drift_is_asked_for_when_somebody_looks() -> None:
    drifts = iter([12.5, 99.0, 99.0])
    metrics = Metrics("1", "2")
    metrics.clock_drift = lambda: next(drifts)
    assert metrics.total("clock_drift_ppm") == 12.5
    assert scraped(metrics)["beatgan_clock_drift_ppm", ()] == 99.0
