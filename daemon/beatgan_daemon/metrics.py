"""Counts what the daemon does, for Prometheus. Knows neither HTTP nor who counts.

Histograms carry no stream label and no name of a stream appears anywhere: the number of series
stays the same for one patient and for ten thousand. Each metric is explained in docs/metrics.md.
"""

from bisect import bisect_left
from collections import Counter as Counting
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, product
from math import inf
from threading import Lock
from time import monotonic

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Info,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from beatgan.pipeline.observer import Observer

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
    "beats_revised": "Beats given a second and last score, when the next beat was known",
    "streams_restored": "Streams that go on from a checkpoint",
    "checkpoints": "Checkpoints of a stream written",
    "checkpoint_failures": "Checkpoints of a stream that could not be written; tried again",
    "journal_failures": "Failed attempts to write the journal",
    "journal_lost": "Alert messages that never reached the journal, though they were sent",
    "tap_frames": "Accepted frames sent on to clients of the tap",
    "held_frames_dropped": "Frames dropped while the state of their bucket was waited for",
    "tap_dropped": "Of these, frames that found the queue of a client full, which misses them",
}
LABELLED = {
    "frames_rejected": ("Frames dropped as malformed", ("reason",)),
    "beats_unscored": ("Beats given no score", ("reason",)),
    "beats_by_quality": ("Beats by what their signal is worth", ("quality",)),
    "alerts": ("Alert messages, all phases", ("code", "priority")),
    "alerts_suppressed": (
        "Episodes never published: too many, or too soon after another",
        ("code",),
    ),
    "messages_dropped": ("Messages not published because publishing was too slow", ("type",)),
    "connections_refused": ("Connections of peers that may not enter", ("role", "reason")),
    "control_requests": ("Requests answered by the control socket", ("type", "outcome")),
    "journal_deleted": ("Alert messages deleted from the journal", ("reason",)),
    "reloads": ("Reloads of the configuration and model", ("outcome",)),
    "bucket_moves": ("Buckets of streams that came to this shard or went", ("direction",)),
}
# Label values that are there from the start, with 0: of a series that appears with its first event,
# Prometheus's increase() misses that event.
PRESENT: dict[str, list[tuple[str, ...]]] = {
    "beats_unscored": [("unusable",)],
    "beats_by_quality": [("good",), ("poor",), ("unusable",)],
    "messages_dropped": [("beat",), ("alert",), ("status",)],
    "connections_refused": list(
        product(
            ("ingest", "subscribe", "control", "signal"),
            ("unknown-key", "not-allowed", "handshake", "too-many"),
        )
    ),
    "journal_deleted": [("age",), ("size",)],
    "reloads": [("applied",), ("refused",), ("failed",)],
    "bucket_moves": [("in",), ("out",)],
}
GAUGES = {
    "streams_active": "Streams known",
    "streams_shed": "Streams that are not served because the daemon was overloaded",
    "journal_alerts": "Alert messages in the journal",
    "journal_bytes": "Size of the journal on disk",
    "journal_backlog": "Alert messages that wait for the disk",
}


class Metrics(Observer):
    """The daemon's metrics, in a registry of their own. Any thread may count, any may read."""

    def __init__(self, version: str, model: str, clock: Callable[[], float] = monotonic) -> None:
        """``model``: digest of the one that scores."""
        # Without the library's `_created` series, one for each of the others.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        ProcessCollector(namespace="beatgan", registry=registry)
        self._version, self._clock = version, clock
        self._counters = {
            name: Counter(f"beatgan_{name}", text, registry=registry)
            for name, text in COUNTERS.items()
        }
        self._labelled = {
            name: Counter(f"beatgan_{name}", text, labels, registry=registry)
            for name, (text, labels) in LABELLED.items()
        }
        for name, present in PRESENT.items():
            for values in present:
                self._labelled[name].labels(*values)
        self._gauges = {
            name: Gauge(f"beatgan_{name}", text, registry=registry) for name, text in GAUGES.items()
        }
        self._latency = LatencyHistogram("beatgan_alert_latency_seconds", LATENCY, LATENCY_BUCKETS)
        registry.register(self._latency)
        self._build = Info("beatgan_build", "What is running", registry=registry)
        self._journal_lost = 0
        self._saved: float | None = None
        self.model_loaded(model)

    def ask(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A gauge whose ``value`` is asked for at each scrape, in the scraper's thread."""
        Gauge(f"beatgan_{name}", text, registry=self.registry).set_function(value)

    def model_loaded(self, digest: str) -> None:
        """The model with this digest scores from now on."""
        self._build.info({"version": self._version, "model": digest})

    def bucket_moved(self, direction: str) -> None:
        """A bucket came ("in"), or went ("out")."""
        self._labelled["bucket_moves"].labels(direction).inc()

    def held_frame_dropped(self) -> None:
        """There was no room for a frame whose bucket's state was not here yet."""
        self._counters["held_frames_dropped"].inc()

    # --- of the ECG ------------------------------------------------------------------------

    def received(self, samples: int) -> None:
        """``samples`` instants were accepted."""
        self._counters["samples_received"].inc(samples)

    def lost(self, samples: int) -> None:
        """``samples`` instants never arrived, or the source marked them lost."""
        self._counters["samples_lost"].inc(samples)

    def repeated(self, samples: int) -> None:
        """``samples`` instants were dropped because they had been seen or came too late."""
        self._counters["samples_repeated"].inc(samples)

    def reordered(self) -> None:
        """A late frame found its place."""
        self._counters["frames_reordered"].inc()

    def clock_stepped(self) -> None:
        """A source's clock jumped."""
        self._counters["clock_steps"].inc()

    def rejected(self, reason: str, frames: int = 1) -> None:
        """``frames`` were dropped; ``reason`` is StreamError's fixed word, or ``flood``."""
        if frames:
            self._labelled["frames_rejected"].labels(reason).inc(frames)

    def frame_refused(self, reason: str, samples: int) -> None:  # noqa: ARG002
        """A frame that had been held was dropped."""
        self.rejected(reason)

    def shed(self, frames: int) -> None:
        """``frames`` frames were dropped unread."""
        self._counters["frames_shed"].inc(frames)

    def streams(self, active: int) -> None:
        """``active`` streams are known now."""
        self._gauges["streams_active"].set(active)

    def streams_shed(self, shed: int) -> None:
        """``shed`` streams are not served now."""
        self._gauges["streams_shed"].set(shed)

    # --- of beats and alerts ---------------------------------------------------------------

    def scored(self, beats: int) -> None:
        """``beats`` beats were given a score."""
        self._counters["beats_scored"].inc(beats)

    def revised(self, beats: int) -> None:
        """``beats`` beats that had a score were given their last one."""
        self._counters["beats_revised"].inc(beats)

    def unscored(self, reason: str) -> None:
        """A beat was found but could not be scored."""
        self._labelled["beats_unscored"].labels(reason).inc()

    def graded(self, quality: str, beats: int) -> None:
        """``beats`` beats were found in signal of this quality."""
        self._labelled["beats_by_quality"].labels(quality).inc(beats)

    def alerted(self, code: str, priority: str) -> None:
        """An alert message was made."""
        self._labelled["alerts"].labels(code, priority).inc()

    def suppressed(self, code: str) -> None:
        """An episode was held back and will never be published."""
        self._labelled["alerts_suppressed"].labels(code).inc()

    def latencies(self, arrivals: Sequence[float], sent: float) -> None:
        """Messages whose last samples had arrived then were all sent by ``sent``."""
        self._latency.add(arrivals, sent)

    # --- of what is stored, and of those who connect ---------------------------------------------

    def journal(self, alerts: int, size: int, backlog: int, lost: int = 0) -> None:
        """The journal holds ``alerts`` messages in ``size`` bytes, and ``backlog`` more wait.

        Since the start, ``lost`` messages were given up.
        """
        self._gauges["journal_alerts"].set(alerts)
        self._gauges["journal_bytes"].set(size)
        self._gauges["journal_backlog"].set(backlog)
        self._counters["journal_lost"].inc(lost - self._journal_lost)
        self._journal_lost = lost

    def journal_failed(self) -> None:
        """The journal could not be written."""
        self._counters["journal_failures"].inc()

    def dropped(self, kind: str, messages: int = 1) -> None:
        """``messages`` messages of this type will not be published: the queue was full."""
        self._labelled["messages_dropped"].labels(kind).inc(messages)

    def checkpointed(self, streams: int) -> None:
        """``streams`` checkpoints are on disk. Call with 0 at the start: ages count from there."""
        if self._saved is None:
            text = "Since checkpoints were last written"
            self.ask("checkpoint_age_seconds", text, self._checkpoint_age)
        self._saved = self._clock()
        self._counters["checkpoints"].inc(streams)

    def checkpoint_failed(self, streams: int) -> None:
        """``streams`` checkpoints could not be written."""
        self._counters["checkpoint_failures"].inc(streams)

    def journal_deleted(self, reason: str, alerts: int) -> None:
        """``alerts`` messages were deleted from the journal: for their ``age`` or its ``size``."""
        self._labelled["journal_deleted"].labels(reason).inc(alerts)

    def _checkpoint_age(self) -> float:
        return 0.0 if self._saved is None else self._clock() - self._saved

    def restored(self, streams: int) -> None:
        """``streams`` streams go on where a checkpoint left them."""
        self._counters["streams_restored"].inc(streams)

    def refused(self, role: str, reason: str) -> None:
        """A peer was not let in at the socket of this role."""
        self._labelled["connections_refused"].labels(role, reason).inc()

    def tapped(self) -> None:
        """A frame was sent on to whoever is subscribed to its stream."""
        self._counters["tap_frames"].inc()

    def tap_dropped(self) -> None:
        """A frame was not sent on to all of them."""
        self._counters["tap_dropped"].inc()

    def requested(self, kind: str, outcome: str) -> None:
        """The control socket answered a request; both words from fixed lists."""
        self._labelled["control_requests"].labels(kind, outcome).inc()

    def reloaded(self, outcome: str) -> None:
        """A reload was applied, refused or failed."""
        self._labelled["reloads"].labels(outcome).inc()

    # --- for those who read ------------------------------------------------------------------

    def totals(self) -> Mapping[str, float]:
        """Every metric now, summed over its labels, without the beatgan_ prefix."""
        found: dict[str, float] = defaultdict(float)
        for sample in (sample for family in self.registry.collect() for sample in family.samples):
            found[sample.name.removeprefix("beatgan_")] += sample.value
        return found

    def total(self, name: str) -> float:
        """One of `totals`."""
        return self.totals()[name]

    def exposition(self) -> bytes:
        """Prometheus's text format."""
        return generate_latest(self.registry)


class LatencyHistogram(Collector):
    """A histogram of delays that takes a batch at once: the library's takes one at a time."""

    def __init__(self, name: str, text: str, buckets: Sequence[float]) -> None:
        """``buckets``: their upper bounds in seconds, ascending, the infinite one left out."""
        self._name, self._text, self._bounds = name, text, (*buckets, inf)
        self._counts = [0] * len(self._bounds)
        self._sum = 0.0
        self._lock = Lock()

    def add(self, arrivals: Sequence[float], sent: float) -> None:
        """The delays of what arrived then and was sent at ``sent``; any thread may add."""
        batch = Counting(arrivals)  # what came with one frame arrived at one moment
        with self._lock:
            for arrived, times in batch.items():
                self._counts[bisect_left(self._bounds, sent - arrived)] += times
                self._sum += times * (sent - arrived)

    def collect(self) -> Iterator[Metric]:
        """The one histogram, as prometheus_client wants it."""
        with self._lock:
            counts, total = list(accumulate(self._counts)), self._sum
        bounds = map(floatToGoString, self._bounds)
        family = HistogramMetricFamily(self._name, self._text)
        family.add_metric((), buckets=list(zip(bounds, counts, strict=True)), sum_value=total)
        yield family


class AlarmCollector(Collector):
    """The episodes under way, asked for at each scrape."""

    def __init__(self, active: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        """``active``: how many are under way, by code and priority; any thread may call it."""
        self._active = active

    def collect(self) -> Iterator[Metric]:
        """The one gauge, as prometheus_client wants it."""
        text, labels = "Episodes under way, latched ones included", ("code", "priority")
        family = GaugeMetricFamily("beatgan_alerts_active", text, labels=labels)
        for values, count in self._active().items():
            family.add_metric(values, count)
        yield family
