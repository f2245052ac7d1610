"""One load run: the daemon on one core, those who feed and watch it on the others.

Starts the processes, reads what they cost over a window, and leaves the judging to load_figures.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from beatgan.types import Bools, Ints
from benchmarks.performance.load import processes, schedule
from benchmarks.performance.load.floor import Floored
from benchmarks.performance.load.generator import Sent
from benchmarks.performance.load.processes import Cores, Daemon, Usage, finished, said, started
from benchmarks.performance.load.schedule import SECOND, Plan, Samples
from benchmarks.performance.load.subscriber import Seen

SUBSCRIBED_S = 1.0  # for the subscription to reach the daemon
SETTLED_S = 3.0  # in which the daemon's counts do not move: it has taken what there was


@dataclass(frozen=True)
class Look:
    """A process at one moment; of a daemon also its metrics and what /readyz says."""

    usage: Usage
    metrics: dict[str, float]
    ready: str


@dataclass(frozen=True)
class Window:
    """What a process has used between two looks."""

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
class Ran:
    """All that is known of a run. ``beats``: rows of (stream, n, sample, ns, whether scored)."""

    plan: Plan
    begin: int
    sent_at: Ints
    sent: Sent
    looks: list[Look]

    @property
    def window(self) -> Window:
        """From the first look to the last."""
        return Window(self.looks[0].usage, self.looks[-1].usage)


@dataclass(frozen=True)
class Served(Ran):
    """A run of the daemon. ``empty``: its memory in bytes before the first stream."""

    empty: int
    beats: Ints
    seen: Seen
    metrics: dict[str, float]  # when all was over
    logged: list[dict[str, Any]]
    exit_code: int


@dataclass(frozen=True)
class Bare(Ran):
    """A run of the bare consumer."""

    floored: Floored


@contextmanager
def feeding(folder: Path, endpoint: str, place: Cores) -> Iterator[tuple[int, list[Sent]]]:
    """Sources that begin at the time given; the list holds what they say when the block is over."""
    arguments: list[str | Path] = ["-m", "benchmarks.performance.load.generator", folder, endpoint]
    with started(arguments, place.others, folder / "generator.log") as generator:
        sent: list[Sent] = []
        yield int(said(generator)), sent
        sent.append(msgspec.json.decode(said(generator), type=Sent))


@contextmanager
def watching(folder: Path, endpoint: str, place: Cores) -> Iterator[list[Seen]]:
    """A subscriber; the list holds what it says when the block is over."""
    arguments: list[str | Path] = ["-m", "benchmarks.performance.load.subscriber", folder, endpoint]
    with started(arguments, place.others, folder / "subscriber.log") as subscriber:
        seen: list[Seen] = []
        time.sleep(SUBSCRIBED_S)
        yield seen
        seen.append(msgspec.json.decode(finished(subscriber), type=Seen))


def until(moment: int) -> None:
    """Sleep to a monotonic time in ns."""
    time.sleep(max(0.0, (moment - time.monotonic_ns()) / SECOND))


def at(begin: int, moments: Sequence[float], look: Callable[[], Look]) -> list[Look]:
    """A look at each of ``moments``, seconds after ``begin``."""
    looks = []
    for moment in moments:
        until(begin + round(moment * SECOND))
        looks.append(look())
    return looks


def settle(daemon: Daemon, samples: int) -> dict[str, float]:
    """The daemon's metrics once it has told of all ``samples``, or nothing moves any more."""
    moved, before = time.monotonic(), -1.0
    while True:
        metrics = daemon.metrics()
        told = metrics["beatgan_samples_received_total"] + metrics["beatgan_samples_lost_total"]
        if told != before:
            moved, before = time.monotonic(), told
        if told >= samples or time.monotonic() > moved + SETTLED_S:
            time.sleep(0.5)  # beats that wait to be scored together
            return daemon.metrics()
        time.sleep(0.2)


def prepare(plan: Plan, recordings: list[Samples]) -> tempfile.TemporaryDirectory[str]:
    """A folder with all that the processes must know."""
    folder = tempfile.TemporaryDirectory(prefix="beatgan-load-")
    schedule.write(Path(folder.name), plan, recordings)
    return folder


def serve(
    plan: Plan,
    recordings: list[Samples],
    model: Path,
    moments: Sequence[float],
    checkout: Path | None = None,
) -> Served:
    """A run of the real daemon, looked at ``moments`` seconds after its beginning.

    That of another ``checkout``, if there is one.
    """
    place = processes.cores()
    with prepare(plan, recordings) as name:
        folder = Path(name)
        with processes.daemon(model, place.measured, folder, plan.streams, checkout) as daemon:
            pid = daemon.process.pid
            empty = processes.usage(pid).memory
            with watching(folder, daemon.publish, place) as seen:
                with feeding(folder, daemon.ingest, place) as (begin, sent):
                    looks = at(begin, moments, lambda: look(daemon))
                metrics = settle(daemon, sent[0].frames * plan.frame)
            code, logged = daemon.stop(), daemon.logged()
        sent_at, beats = np.load(folder / "sent.npy"), np.load(folder / "beats.npy")
    return Served(
        plan, begin, sent_at, sent[0], looks, empty, beats, seen[0], metrics, logged, code
    )


def look(daemon: Daemon) -> Look:
    """At the daemon now; its usage first, since to ask for the rest costs it something."""
    return Look(processes.usage(daemon.process.pid), daemon.metrics(), daemon.ready())


def bare(
    plan: Plan, recordings: list[Samples], model: Path, beats: float, moments: Sequence[float]
) -> Bare:
    """A run of the bare consumer under the same plan; ``beats`` are found in each frame."""
    place = processes.cores()
    with prepare(plan, recordings) as name:
        folder = Path(name)
        arguments: list[str | Path] = ["-m", "benchmarks.performance.load.floor", model, str(beats)]
        with started(arguments, {place.measured}, folder / "floor.log") as floor:
            with feeding(folder, said(floor).strip(), place) as (begin, sent):
                looks = at(begin, moments, lambda: Look(processes.usage(floor.pid), {}, ""))
            time.sleep(SETTLED_S)
            floored = msgspec.json.decode(finished(floor), type=Floored)
        sent_at = np.load(folder / "sent.npy")
    return Bare(plan, begin, sent_at, sent[0], looks, floored)
