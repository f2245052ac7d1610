"""Counts what the daemon does, for Prometheus. Knows neither HTTP nor who counts.

Histograms carry no stream label and no name of a stream appears anywhere: the number of series
stays the same for one patient and for ten thousand. Each metric is explained in docs/metrics.md.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate, product
from time import monotonic
from typing import TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from beatgan_daemon.pipeline.observer import Observer

# From a batch of one on an idle machine to an unusable delay, laid round the promise of 50-250 ms.
LATENCY_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LATENCY = "From the last needed sample's arrival to the beat or alert message sent"

COUNTERS = {
    "samples_received": "Instants of ECG accepted",
    "samples_lost": "Instants of ECG that never arrived",
    "samples_repeated": "Instants dropped: seen before or late",
    "frames_reordered": "Frames that came late and were put in their place",
    "frames_shed": "Frames dropped unread because the daemon was overloaded",
    "clock_steps": "Jumps of a source's clock against its samples",
    "beats_scored": "Beats given a score",
    "streams_restored": "Streams that go on from a checkpoint",
    "checkpoints": "Checkpoints of a stream written",
    "journal_failures": "Failed attempts to write the journal",
    "journal_lost": "Alert messages that never reached the journal, though they were sent",
}
LABELLED = {
    "frames_rejected": ("Frames dropped as malformed", ("reason",)),
    "beats_unscored": ("Beats given no score", ("reason",)),
    "beats_by_quality": ("Beats by what their signal is worth", ("quality",)),
    "alerts": ("Alert messages, all phases", ("code", "priority")),
    "alerts_suppressed": ("Episodes never told: too many, or too soon after another", ("code",)),
    "messages_dropped": ("Messages not told because telling was too slow", ("type",)),
    "connections_refused": ("Connections of peers that may not enter", ("role", "reason")),
    "control_requests": ("Requests answered by the control socket", ("type", "outcome")),
    "reloads": ("Reloads of the configuration and model", ("outcome",)),
}
# Label values that are there from the start, with 0: of a series that appears with its first event,
# Prometheus's increase() misses that event.
PRESENT: dict[str, list[tuple[str, ...]]] = {
    "beats_unscored": [("unusable",)],
    "beats_by_quality": [("good",), ("poor",), ("unusable",)],
    "messages_dropped": [("beat",), ("alert",), ("status",)],
    "connections_refused": list(
        product(
            ("ingest", "subscribe", "control"),
            ("unknown-key", "not-allowed", "handshake"),
        )
    ),
    "reloads": [("applied",), ("refused",), ("failed",)],
}
GAUGES = {
    "streams_active": "Streams known",
    "streams_shed": "Streams that are not served because the daemon was overloaded",
    "journal_alerts": "Alert messages in the journal",
    "journal_bytes": "Size of the journal on disk",
    "journal_backlog": "Alert messages that wait for the disk",
}

Labels = TypeVar("Labels", bound=tuple[str, ...])


class Metrics(Observer, Collector):
    """The daemon's metrics, in a registry of their own.

    Plain numbers, each written by one thread alone: prometheus_client's own counters take a lock
    each time, and a thousand streams count thousands of times a second. Any thread may read.
    """

    def __init__(
        self,
        version: str,
        model: str,
        clock_drift: Callable[[], float] = lambda: 0.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """``clock_drift``, in ppm, is asked for at each scrape, in the scraper's thread."""
        self.model = model  # digest of the one that scores
        self.clock_drift = clock_drift
        # Likewise asked for at each scrape: whether ECG may be sent here, the episodes under way by
        # code and priority, and how many of them are over but not acknowledged.
        self.ready: Callable[[], bool] = lambda: False
        self.active: Callable[[], Mapping[tuple[str, str], int]] = dict
        self.latched: Callable[[], int] = lambda: 0
        self._version, self._clock = version, clock
        self._counts: Counter[str] = Counter()
        self._by_label: dict[str, Counter[tuple[str, ...]]] = {
            name: Counter(dict.fromkeys(PRESENT.get(name, []), 0)) for name in LABELLED
        }
        self._gauges = dict.fromkeys(GAUGES, 0)
        self._latencies = [0] * (len(LATENCY_BUCKETS) + 1)
        self._latency_sum = 0.0
        self._saved: float | None = None
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(namespace="beatgan", registry=self.registry)

    # --- of the ECG ------------------------------------------------------------------------

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

    def rejected(self, reason: str, frames: int = 1) -> None:
        """``frames`` were dropped; ``reason`` is StreamError's fixed word, or ``flood``."""
        if frames:
            self._by_label["frames_rejected"][(reason,)] += frames

    def shed(self, frames: int) -> None:
        """``frames`` frames were dropped unread."""
        self._counts["frames_shed"] += frames

    def streams(self, active: int) -> None:
        """``active`` streams are known now."""
        self._gauges["streams_active"] = active

    def streams_shed(self, shed: int) -> None:
        """``shed`` streams are not served now."""
        self._gauges["streams_shed"] = shed

    # --- of beats and alerts ---------------------------------------------------------------

    def scored(self, beats: int) -> None:
        """``beats`` beats were given a score."""
        self._counts["beats_scored"] += beats

    def unscored(self, reason: str) -> None:
        """A beat was found but could not be scored."""
        self._by_label["beats_unscored"][(reason,)] += 1

    def graded(self, quality: str, beats: int) -> None:
        """``beats`` beats were found in signal of this quality."""
        self._by_label["beats_by_quality"][(quality,)] += beats

    def alerted(self, code: str, priority: str) -> None:
        """An alert message was made."""
        self._by_label["alerts"][code, priority] += 1

    def suppressed(self, code: str) -> None:
        """An episode was held back and will never be told."""
        self._by_label["alerts_suppressed"][(code,)] += 1

    def latency(self, seconds: float) -> None:
        """A message waited ``seconds`` for its turn after its last sample had arrived."""
        self._latencies[bisect_left(LATENCY_BUCKETS, seconds)] += 1
        self._latency_sum += seconds

    # --- of what is kept, and of those who call ----------------------------------------------

    def journal(self, alerts: int, size: int, backlog: int, lost: int = 0) -> None:
        """The journal holds ``alerts`` messages in ``size`` bytes, and ``backlog`` more wait.

        Since the start, ``lost`` messages were given up.
        """
        gauges = {"journal_alerts": alerts, "journal_bytes": size, "journal_backlog": backlog}
        self._gauges |= gauges
        self._counts["journal_lost"] = lost

    def journal_failed(self) -> None:
        """The journal could not be written."""
        self._counts["journal_failures"] += 1

    def dropped(self, kind: str, messages: int = 1) -> None:
        """``messages`` messages of this type will not be told: the hand-over was full."""
        self._by_label["messages_dropped"][(kind,)] += messages

    def checkpointed(self, streams: int) -> None:
        """``streams`` checkpoints are on disk. Call with 0 at the start: ages count from there."""
        self._counts["checkpoints"] += streams
        self._saved = self._clock()

    def restored(self, streams: int) -> None:
        """``streams`` streams go on where a checkpoint left them."""
        self._counts["streams_restored"] += streams

    def refused(self, role: str, reason: str) -> None:
        """A peer was not let in at the socket of this role."""
        self._by_label["connections_refused"][role, reason] += 1

    def requested(self, kind: str, outcome: str) -> None:
        """The control socket answered a request; both words from fixed lists."""
        self._by_label["control_requests"][kind, outcome] += 1

    def reloaded(self, outcome: str) -> None:
        """A reload was applied, refused or failed."""
        self._by_label["reloads"][(outcome,)] += 1

    # --- for those who read ------------------------------------------------------------------

    def totals(self) -> Mapping[str, float]:
        """Every metric now, summed over its labels, without the beatgan_ prefix."""
        found: dict[str, float] = defaultdict(float)
        for sample in (sample for family in self.collect() for sample in family.samples):
            found[sample.name.removeprefix("beatgan_")] += sample.value
        return found

    def total(self, name: str) -> float:
        """One of `totals`."""
        return self.totals()[name]

    def exposition(self) -> bytes:
        """Prometheus's text format."""
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """Everything counted, as prometheus_client wants it."""
        for name, text in COUNTERS.items():
            yield CounterMetricFamily(f"beatgan_{name}", text, self._counts[name])
        for name, (text, labels) in LABELLED.items():
            counter = CounterMetricFamily(f"beatgan_{name}", text, labels=labels)
            yield _filled(counter, self._by_label[name])
        for name, text in GAUGES.items():
            yield GaugeMetricFamily(f"beatgan_{name}", text, self._gauges[name])
        yield from self._asked()
        yield self._histogram()

    def _asked(self) -> Iterator[Metric]:
        """What is known only when somebody looks."""
        text, labels = "Episodes under way, latched ones included", ("code", "priority")
        active = GaugeMetricFamily("beatgan_alerts_active", text, labels=labels)
        yield _filled(active, self.active())
        text = "Episodes that are over and wait to be acknowledged"
        yield GaugeMetricFamily("beatgan_alerts_latched", text, self.latched())
        text = "The largest drift of a source's clock against its samples, seconds a second"
        drift = self.clock_drift() / 1e6
        yield GaugeMetricFamily("beatgan_clock_drift_ratio", text, drift)
        yield GaugeMetricFamily("beatgan_ready", "1 where ECG may be sent here", self.ready())
        if self._saved is not None:
            age = self._clock() - self._saved
            text = "Since checkpoints were last written"
            yield GaugeMetricFamily("beatgan_checkpoint_age_seconds", text, age)
        build = {"version": self._version, "model": self.model}
        yield InfoMetricFamily("beatgan_build", "What is running", build)

    def _histogram(self) -> Metric:
        bounds = [*(str(bound) for bound in LATENCY_BUCKETS), "+Inf"]
        buckets = list(zip(bounds, accumulate(self._latencies), strict=True))
        return HistogramMetricFamily(
            "beatgan_alert_latency_seconds", LATENCY, buckets, self._latency_sum
        )


def _filled(
    family: CounterMetricFamily | GaugeMetricFamily, counts: Mapping[Labels, int]
) -> Metric:
    for values, count in tuple(counts.items()):  # another thread may be adding to them
        family.add_metric(values, count)
    return family
