"""What Ray costs beside the shards: CPU and memory, of the same streams on plain shards and on it.

The same streams, in real time, by turns on plain processes and on Ray with a node for each shard.
Ray's part is all its processes on this machine but the daemons: the head, each node's raylet and
agents, an actor for each shard, two for the coordinator.
    python -m benchmarks.scale.ray_overhead --rounds 3
"""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, NamedTuple

import typer

from beatgan.model.shipped import SHIPPED
from benchmarks.performance.load import processes
from benchmarks.scale import trial
from benchmarks.scale.machine import machine
from benchmarks.scale.ray_shards import ray_shards
from benchmarks.scale.shards import QUIET, Shards, mapped

SETTLE_S = 10.0  # from the first frame
MIB = 2**20


class Used(NamedTuple):
    """Seconds of CPU and bytes of memory, of several processes."""

    cpu: float
    memory: int


class Cost(NamedTuple):
    """Of the seconds that were measured: the shards', and that of Ray beside them."""

    shards: Used
    engine: Used
    void: list[str]


def used(pids: list[int]) -> Used:
    """So far; of those that are still there."""
    cpu, memory = 0.0, 0
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            found = processes.usage(pid)
            cpu, memory = cpu + found.cpu, memory + found.memory
    return Used(cpu, memory)


def cost(
    shards: Shards, folder: Path, streams: int, seconds: float, all_: Callable[[], list[int]]
) -> Cost:
    """Of so many streams for so long; ``all_``: the processes of engine and shards."""
    what = trial.plan(streams, SETTLE_S + seconds + 2)
    daemons = [shard.pid for shard in shards.ready()]
    engine = [pid for pid in all_() if pid not in daemons]
    found: list[Used] = []

    def during(begin: int) -> None:
        for at in (SETTLE_S, SETTLE_S + seconds):
            time.sleep(max(0.0, begin / 1e9 + at - time.monotonic()))
            found.extend((used(daemons), used(engine)))

    course = trial.course(folder, shards, what, during)
    first, second = found[:2], found[2:]
    ours, theirs = (Used(b.cpu - a.cpu, b.memory) for a, b in zip(first, second, strict=True))
    return Cost(ours, theirs, trial.spoilt(course.sent, 0))


def plain(folder: Path, count: int, streams: int, seconds: float, settings: list[str]) -> Cost:
    """On plain processes."""
    with mapped(folder, count, settings) as shards:
        return cost(shards, folder, streams, seconds, list)


def with_ray(folder: Path, count: int, streams: int, seconds: float, settings: list[str]) -> Cost:
    """Under Ray."""
    with ray_shards(folder, count, settings) as shards:
        return cost(shards, folder, streams, seconds, shards.pids)


WAYS = {"plain": plain, "Ray": with_ray}
HEADS = ("", "shards us/stream-s", "MiB", "engine us/stream-s", "% of a core", "MiB")


def line(name: str, costs: list[Cost], streams: int, seconds: float) -> str:
    """Of the table: the medians."""
    shards = median(each.shards.cpu for each in costs)
    engine = median(each.engine.cpu for each in costs)
    cells = (
        f"{1e6 * shards / streams / seconds:.0f}",
        f"{median(each.shards.memory for each in costs) / MIB:.0f}",
        f"{1e6 * engine / streams / seconds:.0f}",
        f"{100 * engine / seconds:.1f}",
        f"{median(each.engine.memory for each in costs) / MIB:.0f}",
    )
    return f"{name:8}" + "".join(f"{cell:>20}" for cell in cells)


def main(
    model: Annotated[Path, typer.Option()] = SHIPPED,
    shards: Annotated[int, typer.Option(min=1)] = 2,
    streams: Annotated[int, typer.Option(min=1)] = 400,
    seconds: Annotated[float, typer.Option(min=1)] = 30.0,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Print medians of the rounds. Memory is resident, shared pages counted in each process. Ends
    with 1 where the sources were late."""
    settings = [f"model.path={model.resolve()}", "model.device=cpu", *QUIET]
    costs: dict[str, list[Cost]] = {name: [] for name in WAYS}
    typer.echo(machine())
    typer.echo(f"{streams} streams, {shards} shards, {seconds:g} s, {rounds} rounds")
    for number in range(rounds):
        for name, way in WAYS.items() if number % 2 == 0 else reversed(WAYS.items()):
            with TemporaryDirectory(prefix="beatgan-scale-") as held:
                costs[name].append(way(Path(held), shards, streams, seconds, settings))
    typer.echo(f"{HEADS[0]:8}" + "".join(f"{head:>20}" for head in HEADS[1:]))
    for name, each in costs.items():
        typer.echo(line(name, each, streams, seconds))
    void = [why for each in costs.values() for one in each for why in one.void]
    for why in void:
        typer.echo(f"void: {why}", err=True)
    if void:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
