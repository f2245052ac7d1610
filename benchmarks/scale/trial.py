"""Sources and a listener round shards that run, each in a process of its own."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import typer

from beatgan.records import excerpt
from beatgan.types import Ints
from benchmarks.performance.load import schedule
from benchmarks.performance.load.__main__ import Load
from benchmarks.performance.load.generator import SenderReport
from benchmarks.performance.load.measure import sending
from benchmarks.performance.load.processes import last_line, next_line, started
from benchmarks.performance.load.results import LATE_MAX_MS, LATE_P99_MS
from benchmarks.performance.load.schedule import Samples, Schedule
from benchmarks.scale.listener import Heard, ListenerReport, read
from benchmarks.scale.shards import Shard, Shards

FS = 360.0
RISE_S = 5.0  # in which the streams begin, in time of the signal
IDLE_S = 5.0  # in which no count moves: the shards have taken what there was


def real_ecg() -> list[Samples]:
    """What is sent: the bundled excerpts, with every kind of alarm, as one lead each."""
    return [
        schedule.as_sent(excerpt.read(name).recording.samples[:, 0], 1) for name in excerpt.EXCERPTS
    ]


def plan(
    streams: int,
    seconds: float,
    *,
    frames: int = 1,
    speed: float = 1.0,
    left_out: int | None = None,
) -> Schedule:
    """So many streams, ``frames`` a second each, ``seconds`` of signal each, under topics with
    buckets."""
    starts = schedule.admitted(streams, round(RISE_S * frames))
    return Schedule(
        frame=schedule.frame_size(FS, frames),
        fs=FS,
        leads=schedule.lead_names(1),
        connections=1,
        starts=starts,
        stops=[start + round(seconds * frames) for start in starts],
        speed=speed,
        buckets=True,
        left_out=left_out,
        lossy=True,
    )


@contextmanager
def sources(
    folder: Path, what: Schedule, shards: Sequence[Shard], on: AbstractSet[int] | None = None
) -> Iterator[tuple[int, list[SenderReport]]]:
    """They begin at the time given; the list holds what they say when the block is over."""
    schedule.write(folder, what, real_ecg())
    endpoints = [shard.ingest for shard in shards]
    with sending(folder, endpoints, on or os.sched_getaffinity(0)) as running:
        yield running


@contextmanager
def listening(
    file: Path, shards: Sequence[Shard], on: AbstractSet[int] | None = None
) -> Iterator[list[ListenerReport]]:
    """A listener to all shards; the list holds what it says when the block is over."""
    program: list[str | Path] = ["-m", "benchmarks.scale.listener", file]
    endpoints = [shard.publish for shard in shards]
    log = file.with_suffix(".log")
    with started([*program, *endpoints], on or os.sched_getaffinity(0), log) as listener:
        next_line(listener)
        reports: list[ListenerReport] = []
        yield reports
        reports.append(msgspec.json.decode(last_line(listener), type=ListenerReport))


def total(shards: Iterable[Shard]) -> dict[str, float]:
    """The shards' metrics, each summed."""
    found: dict[str, float] = {}
    for shard in shards:
        for name, value in shard.metrics().items():
            found[name] = found.get(name, 0.0) + value
    return found


def taken_in(shards: Sequence[Shard], samples: int) -> dict[str, float]:
    """The shards' metrics, summed, once they have counted so many samples as received or lost, or
    nothing moves any more."""
    moved, before = time.monotonic(), -1.0
    while True:
        found = total(shards)
        counted = found["beatgan_samples_received_total"] + found["beatgan_samples_lost_total"]
        if counted != before:
            moved, before = time.monotonic(), counted
        if counted >= samples or time.monotonic() > moved + IDLE_S:
            time.sleep(1.0)  # beats that wait to be scored together, alerts for the disk
            return total(shards)
        time.sleep(0.2)


class Course(NamedTuple):
    """What became of a run. ``sent_at``: monotonic ns, (intervals, streams); ``counts``: the
    shards' metrics when all was over, ``received``: samples, by shard."""

    begin: int
    sent: SenderReport
    sent_at: Ints
    heard: list[Heard]
    listened: ListenerReport
    counts: dict[str, float]
    received: dict[str, int]


def course(
    folder: Path, shards: Shards, what: Schedule, during: Callable[[int], None] = lambda _: None
) -> Course:
    """Send and listen, from before the first frame until the shards have taken the last.

    ``during`` is called with the beginning, a monotonic time in ns.
    """
    file = folder / "heard"
    ready = shards.ready()
    with listening(file, ready) as listened:
        with sources(folder, what, ready) as (begin, reports):
            during(begin)
        samples = sum(what.stops) - sum(what.starts)
        counts = taken_in(shards.ready(), samples * what.frame)
        received = {
            shard.name: int(shard.metrics()["beatgan_samples_received_total"])
            for shard in shards.ready()
        }
    heard, sent_at = [*read(file)], np.load(folder / "sent.npy")
    return Course(begin, reports[0], sent_at, heard, listened[0], counts, received)


def needed(model: Path) -> int:
    """Samples from a beat on that must have arrived for its message, see `Load.needed`."""
    return Load(model, 1, 1, 1, 0.0, 0.0, real_ecg()).needed()


def spoilt(report: SenderReport, shed: int = 0) -> list[str]:
    """Why a run says nothing: its sources were another load than was asked, or the machine had too
    little left for its shards, so that they ``shed`` streams."""
    found = [f"the shards were overloaded: {shed} streams shed"] if shed else []
    if report.late_p99 > LATE_P99_MS or report.late_max > LATE_MAX_MS:
        late = f"p99 {report.late_p99:.1f} ms, at most {report.late_max:.0f} ms"
        found.append(f"the sources were late: {late}")
    if report.refused:
        found.append(f"the sources could not send {report.refused} frames: queues full")
    return found


def end(found: Iterable[str], void: Iterable[str]) -> None:
    """Print what should not have been, and why the run is void; end with 1 where there is any."""
    lines = [*found, *(f"void: {why}" for why in void)]
    for line in lines:
        typer.echo(line, err=True)
    if lines:
        raise typer.Exit(1)
