"""One load on shards of which each shares its core with a source and a listener."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from beatgan.types import Bools, Doubles, Ints
from benchmarks.performance.load import processes, schedule
from benchmarks.performance.load.__main__ import Load
from benchmarks.performance.load.generator import SenderReport
from benchmarks.performance.load.measure import sending, subscribing, until
from benchmarks.performance.load.processes import Usage
from benchmarks.performance.load.results import FOREIGN, STREAM, latency, quantiles
from benchmarks.performance.load.schedule import SECOND, Schedule
from benchmarks.scale import trial
from benchmarks.scale.shards import NAMES, Shard, mapped

P99_MS = 250.0
ROOM = "streams.max=100000"


class Figures(NamedTuple):
    """One load on so many cores; shares are of one core, costs us of one for a stream-second.

    ``failed``: what was not carried; ``void``: why the run says nothing.
    """

    cores: int
    streams: int
    by_shard: list[int]  # streams
    p50: float  # ms, likewise the next two
    p99: float
    longest: float
    cost: float  # of the shards
    beside: float  # of sources and listeners
    share: float  # of its core, of the busiest shard
    busy: float  # likewise with source and listener
    foreign: float  # likewise of all others
    memory: float  # MiB of a shard, at the end
    stream_memory: float  # KiB of a stream
    written: float  # bytes to the disk, of a stream-second
    failed: list[str]
    void: list[str]


class Reading(NamedTuple):
    """At one moment, by core: what its shard has used, and what all of ours on it have; and bytes
    that all shards have written to the disk."""

    shards: list[Usage]
    ours: list[Usage]
    written: int


def read(shards: Sequence[Shard], cores: Sequence[int]) -> Reading:
    """Now."""
    children = processes.family(os.getpid())[1:]
    placed = {pid: os.sched_getaffinity(pid) for pid in children if Path(f"/proc/{pid}").exists()}
    ours = [
        processes.usage(*(pid for pid, where in placed.items() if where == {core}))
        for core in cores
    ]
    written = sum(_written(shard.pid) for shard in shards)
    return Reading([processes.usage(shard.pid) for shard in shards], ours, written)


def _written(pid: int) -> int:
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def shares(load: Load, streams: int, parts: int) -> list[Schedule]:
    """The schedules of so many sources, who together send so many streams."""
    size = streams // parts
    plan = load.plan(size, load.opens(size) + load.seconds)
    return [replace(plan, first=size * part, buckets=True) for part in range(parts)]


def run(load: Load, streams: int, cores: Sequence[int]) -> Figures:
    """So many streams on as many shards as there are ``cores``."""
    on = {name: {core} for name, core in zip(NAMES, cores, strict=False)}
    settings = (f"model.path={load.model.resolve()}", "model.device=cpu", ROOM)
    plans = shares(load, streams, len(cores))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="beatgan-scale-")))
        folders = [folder / str(core) for core in cores]
        for each, plan in zip(folders, plans, strict=True):
            each.mkdir()
            schedule.write(each, plan, load.recordings)
        plain = "ingest.plain_topics=false"
        shards = stack.enter_context(mapped(folder, len(cores), (*settings, plain), on)).ready()
        empty = [processes.usage(shard.pid).memory for shard in shards]
        with ExitStack() as watching:
            for each, shard, core in zip(folders, shards, cores, strict=True):
                watching.enter_context(subscribing(each, shard.publish, {core}, batched=True))
            with ExitStack() as feeding:
                calls = [shard.ingest for shard in shards]
                sent = [
                    feeding.enter_context(sending(each, calls, {core}))
                    for each, core in zip(folders, cores, strict=True)
                ]
                opens = max(begin for begin, _ in sent) + round(
                    load.opens(streams // len(cores)) * SECOND
                )
                readings = []
                for moment in (opens, opens + round(load.seconds * SECOND)):
                    until(moment)
                    readings.append(read(shards, cores))
            reports = [report for _, (report,) in sent]
            samples = sum(report.frames for report in reports) * plans[0].frame
            counts = trial.taken_in(shards, samples)
            by_shard = [round(shard.metrics()["beatgan_streams_active"]) for shard in shards]
        beats = np.concatenate([np.load(each / "beats.npy") for each in folders])
        sent_at = [np.load(each / "sent.npy") for each in folders]
    waits = latencies(plans, sent_at, beats, load.needed(), readings)
    return figures(*(plans, reports, readings, counts, waits, sent_at, empty, by_shard))


def window(readings: Sequence[Reading], moments: Ints) -> Bools:
    """Which of ``moments`` lie between the readings."""
    opened, closed = (each.ours[0].at for each in readings)
    return np.asarray((moments >= opened) & (moments < closed))


def latencies(
    plans: Sequence[Schedule],
    sent_at: Sequence[Ints],
    beats: Ints,
    needed: int,
    readings: Sequence[Reading],
) -> Doubles:
    """Of the beats of the window, ms from the frame that completes one to its message."""
    found = []
    for plan, sent in zip(plans, sent_at, strict=True):
        numbers = beats[:, STREAM] - plan.first
        own = beats[(numbers >= 0) & (numbers < plan.streams)].copy()
        own[:, STREAM] -= plan.first
        waits = latency(plan, sent, own, needed)
        found.append(waits.ms[window(readings, waits.sent)])
    return np.concatenate(found)


def figures(
    plans: Sequence[Schedule],
    reports: Sequence[SenderReport],
    readings: Sequence[Reading],
    counts: dict[str, float],
    waits: Doubles,
    sent_at: Sequence[Ints],
    empty: Sequence[int],
    by_shard: list[int],
) -> Figures:
    """What a run came to."""
    opened, closed = readings
    seconds = (closed.ours[0].at - opened.ours[0].at) / SECOND
    frames = sum(int(window(readings, each).sum()) for each in sent_at)
    million = 1e6 / (frames * plans[0].frame / plans[0].fs)  # us, of a stream-second
    shards = [b.cpu - a.cpu for a, b in zip(opened.shards, closed.shards, strict=True)]
    ours = [b.cpu - a.cpu for a, b in zip(opened.ours, closed.ours, strict=True)]
    others = [b.others - a.others for a, b in zip(opened.ours, closed.ours, strict=True)]
    foreign = max(0.0, *others) / seconds
    p50, p99, longest = quantiles(waits)
    sent = sum(report.frames for report in reports) * plans[0].frame
    received, lost = (int(counts[f"beatgan_samples_{word}_total"]) for word in ("received", "lost"))
    failed = []
    if received != sent or lost:
        shed = int(counts["beatgan_frames_shed_total"])
        failed.append(
            f"of {sent} samples {received} were received, {lost} reported lost; "
            f"{shed} frames shed by overload"
        )
    if not p99 <= P99_MS:
        failed.append(f"p99 {p99:.0f} ms")
    if refused := sum(report.refused for report in reports):
        failed.append(f"{refused} frames could not be sent: queues full")
    late = [why for report in reports for why in trial.spoilt(report) if "late" in why]
    void = late[:1] + ([f"others took {foreign:.0%} of a core"] if foreign > FOREIGN else [])
    grown = [b.memory - a for a, b in zip(empty, closed.shards, strict=True)]
    return Figures(
        cores=len(plans),
        streams=sum(plan.streams for plan in plans),
        by_shard=by_shard,
        p50=p50,
        p99=p99,
        longest=longest,
        cost=sum(shards) * million,
        beside=(sum(ours) - sum(shards)) * million,
        share=max(shards) / seconds,
        busy=max(ours) / seconds,
        foreign=foreign,
        memory=max(each.memory for each in closed.shards) / 2**20,
        stream_memory=sum(grown) / 1024 / sum(plan.streams for plan in plans),
        written=(closed.written - opened.written) * million / 1e6,
        failed=failed,
        void=void,
    )
