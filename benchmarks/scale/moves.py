"""Buckets that move under load, again and again: is anything lost, told twice, or late?

Streams of real ECG in real time on shards with a map; every few seconds a bucket goes to another
shard, and now and then all that a shard has. What was heard is held to what one engine says of the
same frames, offline.
    python -m benchmarks.scale.moves --moves 50
"""

import random
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, NamedTuple

import numpy as np
import typer

from beatgan.model.shipped import SHIPPED
from beatgan.protocol.buckets import bucket_of
from beatgan_daemon.sharding.shard_map import only_editor, read_map, write_map
from benchmarks.performance.load.measure import until
from benchmarks.performance.load.results import quantiles
from benchmarks.performance.load.schedule import SECOND, Schedule
from benchmarks.scale import trial
from benchmarks.scale.continuity import Delays, Said, delays, faults, lost_s, said, truth
from benchmarks.scale.equality import differences, said_live, said_offline
from benchmarks.scale.machine import machine
from benchmarks.scale.reference import offline
from benchmarks.scale.shards import NAMES, QUIET, mapped

SETTLE_S = 10.0  # from the first frame to the first move: all streams have begun
WHOLE = 10  # each so manieth move is all that a shard has
AFTER_S = 8.0  # from the last move to the last frame
COLUMNS = ("moves", "streams", "lost s, median", "worst", "latest beat s", "worst")
LONGEST_GAP_S = 1.0  # asked: of signal that a move may lose


class Move(NamedTuple):
    """Some buckets that went from one shard to another, ``at`` a monotonic time in ns."""

    at: int
    buckets: frozenset[int]
    whole: bool


class Cost(NamedTuple):
    """What a move did to the streams of its buckets: s of signal lost, of the worst stream, and
    the longest time from a frame to a beat that it completes."""

    streams: int
    lost_s: float
    longest_s: float


def move_buckets(
    directory: Path, shards: int, chance: random.Random, streams: Schedule, whole: bool
) -> Move:
    """One bucket that has streams, or all of a shard, to another shard."""
    with only_editor(directory):
        before = read_map(directory)
        used = sorted({bucket_of(name) for name in streams.names})
        bucket = chance.choice(used)
        loser = before.assignments[bucket].shard
        winner = chance.choice([name for name in NAMES[:shards] if name != loser])
        going = [*before.fences_of(loser)] if whole else [bucket]
        at = time.monotonic_ns()
        write_map(directory, before.moved(dict.fromkeys(going, winner)))
    return Move(at, frozenset(going), whole)


def cost(move: Move, live: Said, waits: Delays, what: Schedule, until_ns: int) -> Cost:
    """Of the time from the move until ``until_ns``, the next one."""
    names = [name for name in what.names if bucket_of(name) in move.buckets]
    numbers = [number for number, name in enumerate(what.names) if bucket_of(name) in move.buckets]
    lost = [lost_s(live.gaps.get(name, ()), what.fs, move.at, until_ns) for name in names]
    begun = move.at - SECOND  # frames that were on their way
    mine = np.isin(waits.stream, numbers) & (waits.sent >= begun) & (waits.sent < until_ns)
    longest = float(waits.ms[mine].max(initial=0.0)) / 1000
    return Cost(len(names), max(lost, default=0.0), longest)


def run(
    model: Path, shards: int, what: Schedule, moves: int, every: float, seed: int
) -> tuple[trial.Course, list[Move]]:
    """Streams on so many shards, and moves."""
    chance, made = random.Random(seed), list[Move]()
    with TemporaryDirectory(prefix="beatgan-scale-") as held:
        settings = (f"model.path={model.resolve()}", "model.device=cpu", *QUIET)
        with mapped(Path(held), shards, settings) as running:

            def during(begin: int) -> None:
                for number in range(moves):
                    until(begin + round((SETTLE_S + number * every) * SECOND))
                    whole = number % WHOLE == WHOLE - 1
                    made.append(move_buckets(running.directory, shards, chance, what, whole))

            return trial.course(Path(held), running, what, during), made


def table(costs: Sequence[tuple[Move, Cost]]) -> str:
    """Of single buckets and of whole shards: median and worst of each move's worst stream."""
    lines = [f"{'':14}" + "".join(f"{each:>16}" for each in COLUMNS)]
    for name, whole in (("one bucket", False), ("whole shard", True)):
        some = [cost for move, cost in costs if move.whole == whole]
        if some:
            lost, late = [each.lost_s for each in some], [each.longest_s for each in some]
            cells = [f"{len(some)}", f"{sum(each.streams for each in some)}"]
            cells += [f"{value:.2f}" for of in (lost, late) for value in (median(of), max(of))]
            lines.append(f"{name:14}" + "".join(f"{cell:>16}" for cell in cells))
    return "\n".join(lines)


def main(
    model: Annotated[Path, typer.Option()] = SHIPPED,
    shards: Annotated[int, typer.Option(min=2)] = 4,
    streams: Annotated[int, typer.Option(min=1)] = 400,
    frames: Annotated[int, typer.Option(help="A second, of each stream.")] = 2,
    moves: Annotated[int, typer.Option(min=1)] = 50,
    every: Annotated[float, typer.Option(help="Seconds from move to move.")] = 2.0,
    seed: int = 0,
) -> None:
    """Print what the moves cost. Ends with 1 if anything was lost unsaid, told twice or changed, or
    a move lost more than a second; or if the run is void."""
    seconds = SETTLE_S + moves * every + AFTER_S
    what = trial.plan(streams, seconds, frames=frames)
    typer.echo(machine())
    typer.echo(f"{streams} streams, {frames} frames a second of each, {shards} shards")
    course, made = run(model, shards, what, moves, every, seed)
    live = said(course.heard)
    messages = offline(what, trial.real_ecg(), course.sent.epoch, model)
    waits = delays(live, what, course.sent_at, trial.needed(model))
    ends = [*(move.at for move in made[1:]), made[-1].at + round(AFTER_S * SECOND)]
    costs = [
        (move, cost(move, live, waits, what, end)) for move, end in zip(made, ends, strict=True)
    ]
    typer.echo(table(costs))
    before = quantiles(waits.ms[waits.sent < made[0].at])
    during = quantiles(waits.ms[waits.sent >= made[0].at])
    for name, (p50, p99, longest) in (("before the moves", before), ("during", during)):
        typer.echo(f"beats {name}: median {p50:.0f}, p99 {p99:.0f}, longest {longest:.0f} ms")
    sent, lost = course.sent.frames * what.frame, int(course.counts["beatgan_samples_lost_total"])
    received = int(course.counts["beatgan_samples_received_total"])
    typer.echo(
        f"{sent} samples sent, {received} received, {lost} lost ({live.lost} told); "
        f"{sum(map(len, live.beats.values()))} beats, {len(live.alerts)} alerts, "
        f"{len(live.again)} told again, {live.ignored} of a former shard ignored"
    )
    found = faults(live, truth(messages), what.fs)
    if not live.lost:  # then it is the same to the bit, but for strips: their ECG does not move
        bodies = (each.body for each in course.heard)
        ours, theirs = said_live(bodies, strips=False), said_offline(messages, strips=False)
        found += differences(ours, theirs)
    if received + lost != sent:
        found.append(f"{sent - received - lost} samples are neither received nor lost")
    if lost != live.lost:
        found.append(f"{lost} samples lost, {live.lost} told")
    worst = max(each.lost_s for _, each in costs)
    if worst > LONGEST_GAP_S:
        found.append(f"a move lost {worst:.2f} s")
    trial.end(found, trial.spoilt(course.sent, live.shed))


if __name__ == "__main__":
    typer.run(main)
