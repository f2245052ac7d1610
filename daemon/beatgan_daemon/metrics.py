"""Counts what the engine tells, for Prometheus. Knows neither HTTP nor the engine's insides.

Histograms carry no stream label and no name of a stream appears anywhere: the number of series
stays the same for one patient and for ten thousand.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, Info, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

# From a batch of one on an idle machine to an unusable delay, laid round the promise of 50-250 ms.
LATENCY_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


COUNTERS = {
    "samples_received": "Instants of ECG accepted",
    "samples_lost": "Instants of ECG that never arrived",
    "samples_repeated": "Instants dropped: seen before or late",
    "frames_reordered": "Frames that came late and were put in their place",
    "frames_shed": "Frames dropped unread because the daemon was overloaded",
    "clock_steps": "Jumps of a source's clock against its samples",
    "beats_scored": "Beats given a score",
}
LABELLED = {
    "frames_rejected": ("Frames dropped as malformed", ("reason",)),
    "beats_unscored": ("Beats given no score", ("reason",)),
    "alerts": ("Alert messages, all phases", ("code", "priority")),
}
LATENCY = "From the last needed sample's arrival to the beat or alert message sent"


class Metrics(Collector):
    """The daemon's metrics, in a registry of their own; implements `observer.Observer`.

    One thread counts, in plain numbers: prometheus_client's own counters take a lock each time,
    and a thousand streams count thousands of times a second. Any thread may read.
    """

    def __init__(
        self, version: str, model: str, clock_drift: Callable[[], float] = lambda: 0.0
    ) -> None:
        """``clock_drift``, in ppm, is asked for at each scrape, in the scraper's thread."""
        self._counts: Counter[str] = Counter()
        self._by_label = {name: Counter[tuple[str, ...]]() for name in LABELLED}
        self._latencies = [0] * (len(LATENCY_BUCKETS) + 1)
        self._latency_sum = 0.0
        self._streams = self._shed_streams = 0
        self.clock_drift = clock_drift
        self.registry = CollectorRegistry()
        self.registry.register(self)
        build = Info("beatgan_build", "What is running", registry=self.registry)
        build.info({"version": version, "model": model})
        ProcessCollector(namespace="beatgan", registry=self.registry)

    def received(self, samples: int) -> None:
        """``samples`` instants were accepted."""
        self._counts["samples_received"] += samples

    def lost(self, samples: int) -> None:
        """``samples`` instants never arrived, or the source marked them lost."""
        self._counts["samples_lost"] += samples

    def repeated(self, samples: int) -> None:
        """``samples`` instants were dropped because they had been seen or came too late."""
        self._counts["samples_repeated"] += samples

    def reordered(self) -> None:
        """A late frame found its place."""
        self._counts["frames_reordered"] += 1

    def clock_stepped(self) -> None:
        """A source's clock jumped."""
        self._counts["clock_steps"] += 1

    def rejected(self, reason: str) -> None:
        """A frame was dropped; ``reason`` is StreamError's fixed word."""
        self._by_label["frames_rejected"][(reason,)] += 1

    def shed(self, frames: int) -> None:
        """``frames`` frames were dropped unread."""
        self._counts["frames_shed"] += frames

    def scored(self, beats: int) -> None:
        """``beats`` beats were given a score."""
        self._counts["beats_scored"] += beats

    def unscored(self, reason: str) -> None:
        """A beat was found but could not be scored."""
        self._by_label["beats_unscored"][(reason,)] += 1

    def alerted(self, code: str, priority: str) -> None:
        """An alert message was made."""
        self._by_label["alerts"][code, priority] += 1

    def streams(self, active: int) -> None:
        """``active`` streams are known now."""
        self._streams = active

    def streams_shed(self, shed: int) -> None:
        """``shed`` streams are not served now."""
        self._shed_streams = shed

    def latency(self, seconds: float) -> None:
        """A message waited ``seconds`` for its turn after its last sample had arrived."""
        self._latencies[bisect_left(LATENCY_BUCKETS, seconds)] += 1
        self._latency_sum += seconds

    def total(self, name: str) -> float:
        """A metric's value now, summed over its labels; ``name`` without the beatgan_ prefix."""
        return sum(
            sample.value
            for family in self.collect()
            for sample in family.samples
            if sample.name == f"beatgan_{name}"
        )

    def exposition(self) -> bytes:
        """Prometheus's text format."""
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """Everything counted, as prometheus_client wants it."""
        for name, text in COUNTERS.items():
            yield CounterMetricFamily(f"beatgan_{name}", text, self._counts[name])
        for name, (text, labels) in LABELLED.items():
            yield self._labelled(name, text, labels)
        yield GaugeMetricFamily("beatgan_streams_active", "Streams known", self._streams)
        shed = "Streams that are not served because the daemon was overloaded"
        yield GaugeMetricFamily("beatgan_streams_shed", shed, self._shed_streams)
        drift = "The largest drift of a source's clock against its samples"
        yield GaugeMetricFamily("beatgan_clock_drift_ppm", drift, self.clock_drift())
        yield self._histogram()

    def _labelled(self, name: str, text: str, labels: tuple[str, ...]) -> Metric:
        family = CounterMetricFamily(f"beatgan_{name}", text, labels=labels)
        for values, count in tuple(self._by_label[name].items()):
            family.add_metric(values, count)
        return family

    def _histogram(self) -> Metric:
        bounds = [*(str(bound) for bound in LATENCY_BUCKETS), "+Inf"]
        buckets = list(zip(bounds, accumulate(self._latencies), strict=True))
        return HistogramMetricFamily(
            "beatgan_alert_latency_seconds", LATENCY, buckets, self._latency_sum
        )
