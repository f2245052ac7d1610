"""One load run: the daemon on one core, those who feed and watch it on the others.

Starts the processes, reads what they cost over a window, and leaves the judging to results.py.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from beatgan.types import Bools, Ints
from benchmarks.performance.load import processes, schedule, tap_subscriber
from benchmarks.performance.load.floor import FloorReport
from benchmarks.performance.load.generator import SenderReport
from benchmarks.performance.load.processes import (
    Cores,
    Daemon,
    Usage,
    last_line,
    next_line,
    started,
)
from benchmarks.performance.load.schedule import SECOND, Samples, Schedule
from benchmarks.performance.load.subscriber import (
    MANY_BEATS,
    ONE_BEAT,
    OTHER_TOPICS,
    SubscriberReport,
)
from benchmarks.performance.load.tap_subscriber import TapReport

SUBSCRIBED_S = 1.0  # for the subscription to reach the daemon
IDLE_S = 3.0  # in which the daemon's counts do not move: it has taken what there was


@dataclass(frozen=True)
class Reading:
    """A process at one moment; of a daemon also its metrics and what /readyz says."""

    usage: Usage
    metrics: dict[str, float]
    ready: str


@dataclass(frozen=True)
class Window:
    """What a process has used between two readings."""

    opened: Usage
    closed: Usage

    @property
    def cpu(self) -> float:
        """Seconds of CPU."""
        return self.closed.cpu - self.opened.cpu

    @property
    def threads(self) -> dict[str, float]:
        """The same by thread."""
        before = self.opened.threads
        return {name: cpu - before.get(name, 0.0) for name, cpu in self.closed.threads.items()}

    @property
    def foreign(self) -> float:
        """Seconds that other processes took of its core."""
        return max(0.0, self.closed.others - self.opened.others)

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.closed.at - self.opened.at) / SECOND

    def holds(self, moments: Ints) -> Bools:
        """Which of ``moments``, monotonic ns, lie in it."""
        return np.asarray((moments >= self.opened.at) & (moments < self.closed.at))


@dataclass(frozen=True)
class LoadRun:
    """All that is known of a run. ``beats``: rows of (stream, n, sample, ns, whether scored)."""

    plan: Schedule
    begin: int
    sent_at: Ints
    sent: SenderReport
    readings: list[Reading]

    @property
    def window(self) -> Window:
        """From the first reading to the last."""
        return Window(self.readings[0].usage, self.readings[-1].usage)


@dataclass(frozen=True)
class DaemonRun(LoadRun):
    """A run of the daemon. ``empty``: its memory in bytes before the first stream."""

    empty: int
    beats: Ints
    seen: SubscriberReport
    metrics: dict[str, float]  # when all was over
    logged: list[dict[str, Any]]
    exit_code: int
    tap: int  # streams whose ECG somebody looked at
    tapped: TapReport | None  # None where nobody did


@dataclass(frozen=True)
class FloorRun(LoadRun):
    """A run of the bare consumer."""

    report: FloorReport


@contextmanager
def sending(
    folder: Path, endpoints: Sequence[str], on: AbstractSet[int]
) -> Iterator[tuple[int, list[SenderReport]]]:
    """Sources, on these cores, that begin at the time given; the list holds what they say when the
    block is over."""
    program: list[str | Path] = ["-m", "benchmarks.performance.load.generator", folder]
    with started([*program, *endpoints], on, folder / "generator.log") as generator:
        sent: list[SenderReport] = []
        yield int(next_line(generator)), sent
        sent.append(msgspec.json.decode(next_line(generator), type=SenderReport))


@contextmanager
def subscribing(
    folder: Path, endpoint: str, on: AbstractSet[int], batched: bool
) -> Iterator[list[SubscriberReport]]:
    """A subscriber, on these cores; the list holds what it says when the block is over."""
    program: list[str | Path] = ["-m", "benchmarks.performance.load.subscriber"]
    arguments = [*program, folder, endpoint, MANY_BEATS if batched else ONE_BEAT, *OTHER_TOPICS]
    with started(arguments, on, folder / "subscriber.log") as subscriber:
        seen: list[SubscriberReport] = []
        time.sleep(SUBSCRIBED_S)
        yield seen
        seen.append(msgspec.json.decode(last_line(subscriber), type=SubscriberReport))


@contextmanager
def tapping(
    plan: Schedule, streams: int, daemon: Daemon, place: Cores
) -> Iterator[list[TapReport]]:
    """Who looks at the ECG of so many streams; the list holds what it says when the block is over,
    nothing where there are none."""
    reports: list[TapReport] = []
    if not streams or daemon.tap is None:
        yield reports
        return
    program = ["-m", "benchmarks.performance.load.tap_subscriber", daemon.tap]
    arguments = [*program, *tap_subscriber.topics(plan, streams)]
    log = daemon.log.with_name("tap_subscriber.log")
    with started(arguments, place.others, log) as subscriber:
        yield reports
        reports.append(msgspec.json.decode(last_line(subscriber), type=TapReport))


def until(moment: int) -> None:
    """Sleep to a monotonic time in ns."""
    time.sleep(max(0.0, (moment - time.monotonic_ns()) / SECOND))


def at(begin: int, moments: Sequence[float], read_daemon: Callable[[], Reading]) -> list[Reading]:
    """A reading at each of ``moments``, seconds after ``begin``."""
    readings = []
    for moment in moments:
        until(begin + round(moment * SECOND))
        readings.append(read_daemon())
    return readings


def wait_until_taken_in(daemon: Daemon, samples: int) -> dict[str, float]:
    """The daemon's metrics once it has counted all ``samples``, or nothing moves any more."""
    moved, before = time.monotonic(), -1.0
    while True:
        metrics = daemon.metrics()
        counted = metrics["beatgan_samples_received_total"] + metrics["beatgan_samples_lost_total"]
        if counted != before:
            moved, before = time.monotonic(), counted
        if counted >= samples or time.monotonic() > moved + IDLE_S:
            time.sleep(0.5)  # beats that wait to be scored together
            return daemon.metrics()
        time.sleep(0.2)


def prepare(plan: Schedule, recordings: list[Samples]) -> tempfile.TemporaryDirectory[str]:
    """A folder with all that the processes must know."""
    folder = tempfile.TemporaryDirectory(prefix="beatgan-load-")
    schedule.write(Path(folder.name), plan, recordings)
    return folder


def run_daemon(
    plan: Schedule,
    recordings: list[Samples],
    model: Path,
    moments: Sequence[float],
    checkout: Path | None = None,
    *,
    batched: bool = False,
    tap: int | None = None,
) -> DaemonRun:
    """A run of the real daemon, read ``moments`` seconds after its beginning.

    That of another ``checkout``, if there is one. ``batched``: whether many beats come in one
    message. ``tap``: at how many streams' ECG somebody looks; None where the daemon has no tap.
    """
    place = processes.cores()
    with prepare(plan, recordings) as name:
        folder = Path(name)
        with processes.daemon(
            model, place.measured, folder, plan.streams, checkout, tap=tap is not None
        ) as daemon:
            pid = daemon.process.pid
            empty = processes.usage(pid).memory
            with ExitStack() as watching:
                looked = watching.enter_context(tapping(plan, tap or 0, daemon, place))
                seen = watching.enter_context(
                    subscribing(folder, daemon.publish, place.others, batched)
                )
                with sending(folder, [daemon.ingest], place.others) as (begin, sent):
                    readings = at(begin, moments, lambda: read_daemon(daemon))
                metrics = wait_until_taken_in(daemon, sent[0].frames * plan.frame)
            code, logged = daemon.stop(), daemon.logged()
        sent_at, beats = np.load(folder / "sent.npy"), np.load(folder / "beats.npy")
    return DaemonRun(
        *(plan, begin, sent_at, sent[0], readings, empty, beats, seen[0], metrics, logged, code),
        tap=tap or 0,
        tapped=looked[0] if looked else None,
    )


def read_daemon(daemon: Daemon) -> Reading:
    """At the daemon now; its usage first, since to ask for the rest costs it something."""
    return Reading(processes.usage(daemon.process.pid), daemon.metrics(), daemon.ready())


def run_floor(
    plan: Schedule, recordings: list[Samples], model: Path, beats: float, moments: Sequence[float]
) -> FloorRun:
    """A run of the bare consumer under the same plan; ``beats`` are found in each frame."""
    place = processes.cores()
    with prepare(plan, recordings) as name:
        folder = Path(name)
        arguments: list[str | Path] = ["-m", "benchmarks.performance.load.floor", model, str(beats)]
        with started(arguments, {place.measured}, folder / "floor.log") as floor:
            with sending(folder, [next_line(floor).strip()], place.others) as (begin, sent):
                readings = at(begin, moments, lambda: Reading(processes.usage(floor.pid), {}, ""))
            time.sleep(IDLE_S)
            report = msgspec.json.decode(last_line(floor), type=FloorReport)
        sent_at = np.load(folder / "sent.npy")
    return FloorRun(plan, begin, sent_at, sent[0], readings, report)
