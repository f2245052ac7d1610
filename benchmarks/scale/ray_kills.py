"""Ray's nodes and coordinators killed under load: who has a gap, how long, and is an alert lost?

Streams of real ECG in real time on shards under Ray, a node for each. With ``--of node`` every
process of a shard's node is killed (SIGKILL), the coordinator gives its buckets to the others, and
a new node comes; with ``--of coordinator`` the one at work is, and the other takes its place. What
was heard is held to what one engine says of the same frames, as in benchmarks.scale.kills.
    python -m benchmarks.scale.ray_kills --of node --kills 20
"""

import os
import random
import signal
import time
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from beatgan.model.shipped import SHIPPED
from beatgan_daemon.sharding.control_loop import LOCK
from beatgan_daemon.sharding.shard_map import read_map
from benchmarks.performance.load.schedule import SECOND
from benchmarks.scale import trial
from benchmarks.scale.continuity import faults, said, truth
from benchmarks.scale.kills import (
    Kill,
    Plan,
    Trial,
    chosen,
    run,
    settle_s,
    settled,
    verdict,
    wait_until,
)
from benchmarks.scale.machine import machine
from benchmarks.scale.ray_shards import RayShards, ray_shards
from benchmarks.scale.reference import offline
from benchmarks.scale.shards import NAMES


class Of(StrEnum):
    """What is killed."""

    NODE = "node"
    COORDINATOR = "coordinator"


def kill_node(running: RayShards, names: Sequence[str], chance: random.Random) -> Kill:
    """That of a shard that has buckets, and until all are served again."""
    shard_map = read_map(running.directory)
    shard = chosen(shard_map, names, chance)
    at = time.monotonic_ns()
    running.kill_node(shard)
    others = [name for name in names if name != shard]
    served = wait_until(lambda: settled(running.directory, others))
    running.add_node()
    running.ready()
    return Kill(at, shard, frozenset(shard_map.fences_of(shard)), served)


def holder(path: Path) -> int | None:
    """The process that has the lock of a file."""
    inode = path.stat().st_ino
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if fields[1] == "FLOCK" and fields[5].endswith(f":{inode}"):
            return int(fields[4])
    return None


def kill_coordinator(running: RayShards) -> Kill:
    """The one at work, and until the other is."""
    lock = running.directory / LOCK
    before = holder(lock)
    assert before is not None  # they are given time before
    at = time.monotonic_ns()
    os.kill(before, signal.SIGKILL)
    served = wait_until(lambda: holder(lock) not in (None, before))
    return Kill(at, "coordinator", frozenset(), served)


def unharmed(done: Trial, plan: Plan) -> tuple[list[str], list[str]]:
    """What should not have been where no shard was killed: a gap, or anything said otherwise; and
    why the run is void."""
    live = said(done.course.heard)
    expected = truth(offline(plan.what, trial.real_ecg(), done.course.sent.epoch, plan.model))
    away = [(kill.served - kill.at) / SECOND for kill in done.kills]
    typer.echo(
        f"{len(away)} kills; until another was at work: median {median(away):.2f} s, worst "
        f"{max(away):.2f} s; {sum(map(len, live.beats.values()))} beats, {len(live.alerts)} alerts"
    )
    gaps = sum(map(len, live.gaps.values()))
    found = faults(live, expected, plan.what.fs, done.journaled)
    found += [f"{gaps} gaps"] if gaps else []
    return found, trial.spoilt(done.course.sent, live.shed)


def main(
    of: Annotated[Of, typer.Option(help="What is killed.")] = Of.NODE,
    model: Annotated[Path, typer.Option()] = SHIPPED,
    shards: Annotated[int, typer.Option(min=2)] = 3,
    streams: Annotated[int, typer.Option(min=1)] = 200,
    frames: Annotated[int, typer.Option(help="A second, of each stream.")] = 4,
    kills: Annotated[int, typer.Option(min=1)] = 20,
    every: Annotated[float, typer.Option(help="Seconds from kill to kill.")] = 40.0,
    after: Annotated[float, typer.Option(help="Seconds dead, of the coordinator.")] = 5.0,
    checkpoint_s: Annotated[float, typer.Option(help="state.checkpoint_s.")] = 30.0,
    seed: int = 0,
) -> None:
    """Print what the kills cost. Ends with 1 if others had a gap or were late, or an alert was lost
    or told twice, or the run is void."""
    seconds = settle_s(checkpoint_s) + (kills + 1) * every
    what = trial.plan(streams, seconds, frames=frames)
    plan = Plan(model, shards, what, kills, every, checkpoint_s)
    typer.echo(machine())
    typer.echo(f"{streams} streams, {frames} frames a second of each, {shards} shards, {of}")
    chance, names = random.Random(seed), NAMES[:shards]
    start = partial(ray_shards, after_s=after)
    if of is Of.NODE:
        kill = partial(kill_node, names=names, chance=chance)
        trial.end(*verdict(run(start, plan, kill), plan))
    else:
        trial.end(*unharmed(run(start, plan, kill_coordinator), plan))


if __name__ == "__main__":
    typer.run(main)
