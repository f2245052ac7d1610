"""What a load run comes to: losses, latency, cost of a stream-second, and what makes it void.

Arrays in, numbers out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple, Protocol, TypeVar

import msgspec
import numpy as np

from beatgan.types import Doubles, Ints
from benchmarks.performance.load.measure import DaemonRun, FloorRun, LoadRun, Window
from benchmarks.performance.load.schedule import SECOND, Schedule, frame_of
from benchmarks.performance.load.tap_subscriber import tapped

LATE_P99_MS, LATE_MAX_MS = 20.0, 200.0  # sources later than this are another load than was asked
FOREIGN = 0.03  # share of its core that others may take from the process that is measured
FULL = 0.98  # share of a core from which on a daemon may be falling behind
STREAM, N, SAMPLE, AT, SCORED = range(5)  # columns of a run's beats


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a daemon. Latencies in ms, costs in us of one core for a stream-second, shares of
    a core.

    ``failed``: promises not kept. ``void``: why the run says nothing of the daemon.
    """

    streams: int
    frames: float  # a second, of each stream
    leads: int
    connections: int
    seconds: float
    beats: float  # a stream-second
    alerts: float  # messages a stream-second
    samples_sent: int
    samples_received: int
    samples_lost: int
    beats_published: int
    beats_seen: int
    latency_p50: float
    latency_p99: float
    latency_max: float
    cpu: float
    cpu_share: float
    foreign_share: float
    threads: dict[str, float]
    memory_kib: float  # a stream and lead
    memory_after: float  # seconds of ECG
    late_p99: float
    late_max: float
    generator_share: float
    subscriber_share: float
    subscriber_behind: float
    tap_share: float  # of who looks at the ECG
    message_counts: dict[str, int]
    failed: list[str]
    void: list[str]

    @property
    def lost(self) -> int:
        """Samples sent that did not arrive."""
        return self.samples_sent - self.samples_received


class FloorFigures(msgspec.Struct, frozen=True):
    """One run of the floor: us of one core for a stream-second, and why it says nothing."""

    cpu: float
    void: list[str]


class _Judged(Protocol):
    @property
    def void(self) -> list[str]: ...


Round = TypeVar("Round", bound=_Judged)


class Measured(msgspec.Struct, frozen=True):
    """One daemon under one load, in all its rounds, and the floor beside it."""

    who: str
    runs: list[Figures]
    floors: list[FloorFigures]

    def median(self, value: Callable[[Figures], float]) -> float:
        """Over the rounds."""
        return median(map(value, counting(self.runs)))

    @property
    def costs(self) -> list[float]:
        """The daemon's, least first."""
        return sorted(run.cpu for run in counting(self.runs))

    @property
    def floor(self) -> float:
        """The floor's cost, over the rounds."""
        return median(floor.cpu for floor in counting(self.floors))

    @property
    def ratio(self) -> float:
        """The daemon's cost in floors."""
        return median(self.costs) / self.floor

    @property
    def failed(self) -> bool:
        """Whether a promise was broken in any round."""
        return any(run.failed for run in self.runs)

    @property
    def sound(self) -> bool:
        """Whether none was, and most rounds of daemon and floor say something."""
        return not self.failed and all(
            2 * sum(bool(each.void) for each in rounds) < len(rounds)
            for rounds in (self.runs, self.floors)
        )


class Beside(NamedTuple):
    """One daemon's figure by another's, run for run: the median of these ratios, and their range.

    Where the range spans 1, the runs do not tell them apart.
    """

    median: float
    least: float
    most: float


def beside(ours: Measured, other: Measured, value: Callable[[Figures], float]) -> Beside:
    """Over the rounds in which neither is void; all where there is none."""
    pairs = list(zip(ours.runs, other.runs, strict=True))
    sound = [pair for pair in pairs if not any(run.void for run in pair)] or pairs
    ratios = [value(one) / value(two) for one, two in sound]
    return Beside(median(ratios), min(ratios), max(ratios))


def counting(rounds: list[Round]) -> list[Round]:
    """Those that are not void; all where every one is."""
    return [each for each in rounds if not each.void] or rounds


@dataclass(frozen=True)
class Latency:
    """Of each beat that came: ms from sending the last frame that it needs to its message.

    ``sent``: when that frame was sent, monotonic ns; not positive where it was not.
    """

    sent: Ints
    ms: Doubles


def latency(plan: Schedule, sent_at: Ints, beats: Ints, needed: int) -> Latency:
    """Of all ``beats``, rows as `DaemonRun` has them. ``needed``: see `frame_of`."""
    stream = beats[:, STREAM]
    interval = np.array(plan.starts)[stream] + frame_of(beats[:, SAMPLE], needed, plan)
    sent = sent_at[interval, stream]
    return Latency(sent, (beats[:, AT] - sent) / 1e6)


def quantiles(ms: Doubles) -> tuple[float, float, float]:
    """Median, p99 and maximum; NaN of nothing."""
    if not len(ms):
        return (np.nan,) * 3
    p50, p99, most = np.quantile(ms, [0.5, 0.99, 1]).tolist()
    return p50, p99, most


def missing(beats: Ints) -> int:
    """Beats of which no message came though a later one of the same stream did."""
    if not len(beats):
        return 0
    stream = beats[:, STREAM]
    counts = np.zeros(stream.max() + 1, np.int64)
    np.maximum.at(counts, stream, beats[:, N] + 1)
    return int(counts.sum() - len(np.unique(beats[:, [STREAM, N]], axis=0)))


def stream_seconds(run: LoadRun) -> float:
    """Of ECG that the process took in the window: what it threw away does not make it cheap."""
    if not isinstance(run, DaemonRun):
        return float(run.window.holds(run.sent_at).sum() * run.plan.frame / run.plan.fs)
    before, *_, after = (
        reading.metrics["beatgan_samples_received_total"] for reading in run.readings
    )
    return (after - before) / run.plan.fs


def beats_a_frame(run: DaemonRun) -> float:
    """Beats published for each frame taken, over the window."""
    beats = float(run.window.holds(run.beats[:, AT]).sum())
    return beats * run.plan.frame / (stream_seconds(run) * run.plan.fs)


def alerts(run: DaemonRun) -> float:
    """Alert messages a stream-second, over the whole run; their words are a code and a phase."""
    messages = sum(count for word, count in run.seen.message_counts.items() if " " in word)
    return messages / (run.sent.frames * run.plan.frame / run.plan.fs)


def cost(run: LoadRun) -> float:
    """Microseconds of CPU a stream-second, over the window."""
    return 1e6 * run.window.cpu / stream_seconds(run)


def share(window: Window) -> float:
    """Of one core, over the window."""
    return window.cpu / window.seconds


def beats_published(metrics: dict[str, float]) -> int:
    """Beats for which the daemon says that it sent a message."""
    names = ("beatgan_beats_scored_total", "beatgan_beats_unscored_total")
    return int(sum(value for name, value in metrics.items() if name.startswith(names)))


def broken_promises(run: DaemonRun) -> list[str]:
    """What the daemon did not do that it had promised."""
    sent = run.sent.frames * run.plan.frame
    received = int(run.metrics["beatgan_samples_received_total"])
    lost = int(run.metrics["beatgan_samples_lost_total"])
    found = []
    if run.sent.refused:
        found.append(f"{run.sent.refused} frames could not be sent: queues full")
    if lost or received != sent:
        found.append(f"of {sent} samples sent {received} were received, {lost} reported lost")
    if rejected := sum(v for k, v in run.metrics.items() if "frames_rejected_total" in k):
        found.append(f"{rejected:g} frames were rejected")
    if run.tapped:
        wanted = int((run.sent_at[:, tapped(run.plan, run.tap)] > 0).sum())
        dropped = int(run.metrics["beatgan_tap_dropped_total"])
        if dropped or run.tapped.frames != wanted:
            found.append(f"{run.tapped.frames} of {wanted} frames came from the tap")
    holes = missing(run.beats)
    if holes and beats_published(run.metrics) == len(run.beats):
        found.append(f"{holes} beats were left out in the count of beats")
    if share(run.window) > FULL:
        found.append("its core was full: what still waits in queues is missing in the cost")
    if run.exit_code:
        found.append(f"the daemon ended with {run.exit_code}")
    return found


def disturbed(run: LoadRun) -> list[str]:
    """Who else was at work, or whether the sources were another load than was asked."""
    found = []
    taken = run.window.foreign / run.window.seconds
    if taken > FOREIGN:
        found.append(f"other processes took {taken:.0%} of its core")
    if run.sent.late_p99 > LATE_P99_MS or run.sent.late_max > LATE_MAX_MS:
        late = f"p99 {run.sent.late_p99:.1f} ms, at most {run.sent.late_max:.0f} ms"
        found.append(f"the sources were late: {late}")
    return found


def floor_figures(run: FloorRun) -> FloorFigures:
    """What the floor came to."""
    void = disturbed(run)
    if run.report.frames != run.sent.frames:
        void.append(f"{run.report.frames} of {run.sent.frames} frames were taken")
    return FloorFigures(cost(run), void)


def figures(run: DaemonRun, needed: int) -> Figures:
    """What a run of the daemon came to. ``needed``: see `frame_of`."""
    waits = latency(run.plan, run.sent_at, run.beats, needed)
    window, ecg_s = run.window, stream_seconds(run)
    steady = waits.ms[window.holds(waits.sent)]
    p50, p99, most = quantiles(steady)
    published, void = beats_published(run.metrics), disturbed(run)
    if unseen := published - len(run.beats):
        void.append(f"{unseen} beat messages never came: the subscriber's queue overflowed")
    return Figures(
        streams=run.plan.streams,
        frames=run.plan.fs / run.plan.frame,
        leads=len(run.plan.leads),
        connections=run.plan.connections,
        seconds=window.seconds,
        beats=len(steady) / ecg_s,
        alerts=alerts(run),
        samples_sent=run.sent.frames * run.plan.frame,
        samples_received=int(run.metrics["beatgan_samples_received_total"]),
        samples_lost=int(run.metrics["beatgan_samples_lost_total"]),
        beats_published=published,
        beats_seen=len(run.beats),
        latency_p50=p50,
        latency_p99=p99,
        latency_max=most,
        cpu=cost(run),
        cpu_share=share(window),
        foreign_share=window.foreign / window.seconds,
        threads={k: 1e6 * v / ecg_s for k, v in window.threads.items()},
        memory_kib=(window.closed.memory - run.empty)
        / 1024
        / (run.plan.streams * len(run.plan.leads)),
        memory_after=(window.closed.at - run.begin) / SECOND,
        late_p99=run.sent.late_p99,
        late_max=run.sent.late_max,
        generator_share=run.sent.cpu_share,
        subscriber_share=run.seen.cpu_share,
        subscriber_behind=run.seen.behind_ms,
        tap_share=run.tapped.cpu_share if run.tapped else 0.0,
        message_counts=run.seen.message_counts,
        failed=broken_promises(run),
        void=void,
    )
