"""Counts what the engine tells, for Prometheus. Knows neither HTTP nor the engine's insides.

Histograms carry no stream label and no name of a stream appears anywhere: the number of series
stays the same for one patient and for ten thousand.
"""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

# From a batch of one on an idle machine to an unusable delay, laid round the promise of 50-250 ms.
LATENCY_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class _Uncreated(Collector):
    """A registry without the time of creation beside every counter, which nobody asks for."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            family.samples = [s for s in family.samples if not s.name.endswith("_created")]
            yield family


class Metrics:
    """The daemon's metrics, in a registry of their own; implements `observer.Observer`."""

    def __init__(self, version: str, model: str) -> None:
        self.registry = CollectorRegistry()
        self._received = self._counter("samples_received", "Instants of ECG accepted")
        self._lost = self._counter("samples_lost", "Instants of ECG that never arrived")
        self._repeated = self._counter("samples_repeated", "Instants dropped: seen before or late")
        self._scored = self._counter("beats_scored", "Beats given a score")
        self._rejected = self._by("frames_rejected", "Frames dropped as malformed", "reason")
        self._unscored = self._by("beats_unscored", "Beats given no score", "reason")
        self._alerts = self._by("alerts", "Alert messages, all phases", "code", "priority")
        self._streams = Gauge(
            "beatgan_streams_active", "Streams known to the engine", registry=self.registry
        )
        self._latency = Histogram(
            "beatgan_alert_latency_seconds",
            "From the last needed sample's arrival to the beat or alert message sent",
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        build = Info("beatgan_build", "What is running", registry=self.registry)
        build.info({"version": version, "model": model})
        ProcessCollector(namespace="beatgan", registry=self.registry)

    def received(self, samples: int) -> None:
        """``samples`` instants were accepted."""
        self._received.inc(samples)

    def lost(self, samples: int) -> None:
        """``samples`` instants never arrived, or the source marked them lost."""
        self._lost.inc(samples)

    def repeated(self, samples: int) -> None:
        """``samples`` instants were dropped because they had been seen or came too late."""
        self._repeated.inc(samples)

    def rejected(self, reason: str) -> None:
        """A frame was dropped; ``reason`` is StreamError's fixed word."""
        self._rejected(reason).inc()

    def scored(self, beats: int) -> None:
        """``beats`` beats were given a score."""
        self._scored.inc(beats)

    def unscored(self, reason: str) -> None:
        """A beat was found but could not be scored."""
        self._unscored(reason).inc()

    def alerted(self, code: str, priority: str) -> None:
        """An alert message was made."""
        self._alerts(code, priority).inc()

    def streams(self, active: int) -> None:
        """``active`` streams are known now."""
        self._streams.set(active)

    def latency(self, seconds: float) -> None:
        """A message waited ``seconds`` for its turn after its last sample had arrived."""
        self._latency.observe(seconds)

    def total(self, name: str) -> float:
        """A metric's value now, summed over its labels; ``name`` without the beatgan_ prefix."""
        return sum(
            sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == f"beatgan_{name}"
        )

    def exposition(self) -> bytes:
        """Prometheus's text format."""
        return generate_latest(_Uncreated(self.registry))

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"beatgan_{name}", text, registry=self.registry)

    def _by(self, name: str, text: str, *labels: str) -> Callable[..., Counter]:
        """A labelled counter whose children are looked up in a dict: `labels()` takes a lock."""
        counter = Counter(f"beatgan_{name}", text, labels, registry=self.registry)
        children: dict[tuple[str, ...], Counter] = {}

        def child(*values: str) -> Counter:
            if values not in children:
                children[values] = counter.labels(*values)
            return children[values]

        return child
