"""What two shards on two cores carry, beside one shard on one core.

With as many cores as shards there is none left for who feeds and hears them. So each core carries
everything: a shard, a source with its share of the streams, which calls all shards, and a listener
to this core's shard; the same on one core as on two. What sources and listeners take is said: a
shard that has its core for itself carries more, see benchmarks.performance.load.

The largest load without a loss and with a p99 of at most 250 ms, from the frame that completes a
beat to its message, is searched for with one and with two.
    python -m benchmarks.scale.throughput --seconds 10
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from beatgan.errors import UsageError
from beatgan.model.shipped import SHIPPED
from benchmarks.performance.load.__main__ import Load, recordings
from benchmarks.scale import shared_cores
from benchmarks.scale.machine import machine
from benchmarks.scale.shared_cores import P99_MS, Figures

TARGET = 1.8  # times what one carries
FIRST = 1000  # streams a core, of the first try
AIM = 0.92  # share of the busiest core that is aimed at after it
STEP, NEAR = 0.08, 0.04  # of the streams: from try to try, and how near the largest load is found
COLUMNS = (
    *("cores", "streams", "p50 ms", "p99 ms", "longest", "us shard", "us beside"),
    *("shard", "busiest", "others", "MiB shard", "KiB stream", "disk B"),
)
FEWER, MOST_GROWTH = 0.6, 3.0  # of the streams: where even the first are too many, or far too few
AGAIN = 3  # tries of one load that others spoilt


def search(measure: Callable[[int], Figures], first: int) -> list[Figures]:
    """Tries of more and fewer streams, until the largest load is known to NEAR.

    Too many are those that were not carried twice: once may be chance. A try that others spoilt
    says nothing where it failed, and is made again, up to AGAIN times in a row: then the search
    ends there. One that was carried in spite of them counts.
    """
    found: list[Figures] = []
    streams, carried, too_many = float(first), 0, 0  # the latter 0: none known yet
    spoilt = doubted = 0  # tries in a row; streams that were not carried once
    while spoilt < AGAIN and not (too_many and too_many - carried <= NEAR * too_many):
        latest = measure(round(streams))
        found.append(latest)
        if not latest.failed:
            carried = latest.streams
        elif latest.void:
            spoilt += 1
            continue
        elif latest.streams != doubted:
            doubted = latest.streams
            continue
        else:
            too_many = latest.streams
        spoilt = 0
        if too_many:
            streams = (carried + too_many) / 2 if carried else too_many * FEWER
        else:
            streams = carried * max(1 + STEP, min(AIM / latest.busy, MOST_GROWTH))
    return found


def sure(tries: Sequence[Figures]) -> bool:
    """Whether more than the largest load was tried, twice, and nobody spoilt that."""
    failed = Counter(each.streams for each in tries if each.failed and not each.void)
    return any(times > 1 for times in failed.values())


def largest(tries: Iterable[Figures]) -> Figures | None:
    """The largest load that was carried."""
    kept = [each for each in tries if not each.failed]
    return max(kept, key=lambda each: each.streams, default=None)


def table(tries: Iterable[Figures]) -> str:
    """For people."""
    lines = ["".join(f"{each:>11}" for each in COLUMNS)]
    for each in tries:
        cells = [
            f"{each.cores}",
            f"{each.streams}",
            *(f"{ms:.0f}" for ms in (each.p50, each.p99, each.longest)),
            f"{each.cost:.0f}",
            f"{each.beside:.0f}",
            *(f"{share:.0%}" for share in (each.share, each.busy, each.foreign)),
            f"{each.memory:.0f}",
            f"{each.stream_memory:.0f}",
            f"{each.written:.0f}",
        ]
        lines.append("".join(f"{cell:>11}" for cell in cells))
        lines += [f"{'':11}not carried: {why}" for why in each.failed]
        lines += [f"{'':11}void: {why}" for why in each.void]
    return "\n".join(lines)


def main(
    model: Annotated[Path, typer.Option()] = SHIPPED,
    seconds: Annotated[float, typer.Option(help="That are measured of each load.")] = 10.0,
    warm_up: Annotated[float, typer.Option(help="Seconds after the last stream began.")] = 5.0,
    streams: Annotated[int | None, typer.Option(help="A core, this load alone: no search.")] = None,
) -> None:
    """Print each try, and the ratio. Ends with 1 where it is below 1.8, or not known."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise UsageError("two shards on two cores need two cores")
    typer.echo(machine())
    load = Load(model, 1, 1, 1, warm_up, seconds, recordings(None, 1))
    best, known = list[Figures](), list[bool]()
    for used in (cores[-1:], cores[-2:]):

        def measure(count: int) -> Figures:
            made = shared_cores.run(load, count, used)  # noqa: B023
            typer.echo(f"tried: {made.cores} cores, {made.streams} streams", err=True)
            return made

        count = len(used) * (streams or FIRST)
        tries = [measure(count)] if streams else search(measure, count)
        typer.echo(table(tries))
        known.append(sure(tries))
        if (most := largest(tries)) is not None:
            best.append(most)
    if len(best) < 2:
        typer.echo("on one core or on two nothing was carried", err=True)
        raise typer.Exit(1)
    one, two = best
    ratio = two.streams / one.streams
    typer.echo(
        f"1 shard on 1 core: {one.streams} streams; 2 on 2: {two.streams}, {ratio:.2f} times "
        f"(p99 <= {P99_MS:g} ms, nothing lost). A stream-second costs the one shard {one.cost:.0f} "
        f"us, and the two, with {two.streams / 2:.0f} streams each, {two.cost:.0f} us."
    )
    if streams is None and not all(known):
        typer.echo("void: others spoilt the tries of more streams", err=True)
    if streams is None and not (all(known) and ratio >= TARGET):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
