"""Shards killed under load, again and again: who has a gap, how long, and is an alert lost?

Streams of real ECG in real time on shards with a map. One shard after another is killed (SIGKILL).
With ``--by restart`` it is started again after a second, as systemd does, and keeps its buckets;
with ``--by keep`` the coordinator gives them to the others, and the shard comes back later. What
was heard, and what the journals say, is held to what one engine says of the same frames, offline.
    python -m benchmarks.scale.kills --by restart --kills 20
    python -m benchmarks.scale.kills --by keep --kills 20
"""

import random
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, NamedTuple, TypeVar

import numpy as np
import typer
from msgspec import UNSET

from beatgan.model.shipped import SHIPPED
from beatgan.protocol.buckets import bucket_of
from beatgan.protocol.fences import Fences, order
from beatgan.protocol.messages import AlertMessage, decode_alert
from beatgan_daemon.clients.client import fetch_alerts
from beatgan_daemon.clients.process import COMMAND, environment
from beatgan_daemon.sharding.claims import read_claims
from beatgan_daemon.sharding.shard_map import ShardMap, read_map
from benchmarks.performance.load.measure import until
from benchmarks.performance.load.results import quantiles
from benchmarks.performance.load.schedule import SECOND, Schedule
from benchmarks.scale import trial
from benchmarks.scale.continuity import Delays, Gap, Said, delays, faults, otherwise, said, truth
from benchmarks.scale.machine import machine
from benchmarks.scale.reference import offline
from benchmarks.scale.shards import NAMES, QUIET, Shards, StartShards, mapped

SETTLE_S = 15.0  # from the first frame, and two rounds of checkpoints, to the first kill
ROUNDS = 2  # the first one after a start has no stream yet
RESTART_S = 1.0  # RestartSec of the units
PAUSE_S = 4.0  # from the moment at which all is served again to the next kill, at least
LAST_S = 6.0  # from the last kill to the end, at least
PATIENCE_S = 60.0
SLOWER = 1.25  # times the p99 before: others may not be later than that, and a few ms
NOISE_MS = 10.0
Running = TypeVar("Running", bound=Shards)


class By(StrEnum):
    """Who sees to a dead shard's buckets."""

    RESTART = "restart"
    KEEP = "keep"


class Kill(NamedTuple):
    """Of a shard, ``at`` a monotonic time in ns; ``served``: when all was again."""

    at: int
    shard: str
    buckets: frozenset[int]
    served: int


class Outage(NamedTuple):
    """Of a kill: its streams; s of signal told as lost, median and worst of them; s from the kill
    to the first beat that came afterwards, likewise; and ms until others' beats came, p99."""

    streams: int
    lost: float
    lost_worst: float
    silent: float
    silent_worst: float
    others_p99: float


@contextmanager
def coordinator(directory: Path, after: float) -> Iterator[None]:
    """`shards keep`, in a process of its own."""
    command = [*COMMAND, "shards", "keep", "--dir", str(directory), "--after", str(after)]
    with (directory.parent / "keep.log").open("w") as log:
        process = subprocess.Popen(command, stderr=log, env=environment())
    with process:
        try:
            yield
        finally:
            process.terminate()


def kept(after: float) -> StartShards:
    """Shards by a map that a coordinator keeps."""

    @contextmanager
    def start(folder: Path, count: int, settings: Sequence[str]) -> Iterator[Shards]:
        with mapped(folder, count, settings) as running, coordinator(running.directory, after):
            yield running

    return start


def settled(directory: Path, shards: Sequence[str]) -> bool:
    """Whether the shards have the buckets that the map gives them, and have all of them."""
    shard_map = read_map(directory)
    held = [read_claims(directory / name) == shard_map.fences_of(name) for name in shards]
    return all(held) and {*shard_map.shards()} <= {*shards}


def wait_until(condition: Callable[[], bool]) -> int:
    """The moment, monotonic ns; raises RuntimeError after PATIENCE_S."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"the buckets are not served after {PATIENCE_S:g} s")
        time.sleep(0.02)
    return time.monotonic_ns()


def chosen(shard_map: ShardMap, names: Sequence[str], chance: random.Random) -> str:
    """A shard that has buckets."""
    return chance.choice([name for name in names if shard_map.fences_of(name)])


def kill(running: Shards, by: By, names: Sequence[str], chance: random.Random) -> Kill:
    """One that has buckets, and until all buckets are served again."""
    directory = running.directory
    shard_map = read_map(directory)
    shard = chosen(shard_map, names, chance)
    at = time.monotonic_ns()
    running.kill(shard)
    if by is By.RESTART:
        time.sleep(RESTART_S)
        running.start(shard)
        running.ready()
        served = time.monotonic_ns()
    else:
        others = [name for name in names if name != shard]
        served = wait_until(lambda: settled(directory, others))
        running.start(shard)
        running.ready()
    return Kill(at, shard, frozenset(shard_map.fences_of(shard)), served)


def outage(
    each: Kill, live: Said, waits: Delays, what: Schedule, end: int, near: Set[int]
) -> Outage:
    """Of the time from the kill until ``end``, the next one; ``near``: the buckets that this kill,
    the one before or the next one concerns."""
    concerned = [bucket_of(name) in each.buckets for name in what.names]
    names = [name for name, mine in zip(what.names, concerned, strict=True) if mine]
    lost = [
        sum(gap.lost for gap in live.gaps.get(name, ()) if each.at <= gap.at < end) / what.fs
        for name in names
    ]
    firsts = [
        min((b.at for b in live.beats[name] if b.at > each.at), default=end) for name in names
    ]
    silent = [(first - each.at) / SECOND for first in firsts]
    numbers = [n for n, name in enumerate(what.names) if bucket_of(name) not in near]
    others = np.isin(waits.stream, numbers) & (waits.sent >= each.at) & (waits.sent < end)
    return Outage(
        len(names),
        median(lost),
        max(lost),
        median(silent),
        max(silent),
        quantiles(waits.ms[others])[1],
    )


def from_disk(kills: Sequence[Kill], live: Said, ends: Sequence[int]) -> dict[str, list[Gap]]:
    """Where a killed shard's streams went on, by stream: without what was under way."""
    found: dict[str, list[Gap]] = defaultdict(list)
    for stream, places in live.gone_on.items():
        for place in places:
            for each, end in zip(kills, ends, strict=True):
                if each.at <= place.at < end and bucket_of(stream) in each.buckets:
                    found[stream].append(place)
    return found


def strangers(kills: Sequence[Kill], live: Said, ends: Sequence[int]) -> list[str]:
    """Gaps of streams that no killed shard had, in words."""
    found = []
    for stream, gaps in live.gaps.items():
        for gap in gaps:
            mine = any(
                each.at <= gap.at < end and bucket_of(stream) in each.buckets
                for each, end in zip(kills, ends, strict=True)
            )
            if not mine:
                found.append(f"{stream} {gap.first}")
    return [f"{len(found)} gaps of others: {', '.join(found[:4])}"] if found else []


class Trial(NamedTuple):
    """All that was done and heard; ``journaled`` as the journals have it at the end."""

    course: trial.Course
    kills: list[Kill]
    journaled: list[AlertMessage]


class Plan(NamedTuple):
    """What is to be done: a kill every so many seconds, if the one before is over."""

    model: Path
    shards: int
    what: Schedule
    kills: int
    every: float
    checkpoint_s: float


def settle_s(checkpoint_s: float) -> float:
    """From the first frame to the first kill."""
    return SETTLE_S + ROUNDS * checkpoint_s


def run(
    start: Callable[[Path, int, Sequence[str]], AbstractContextManager[Running]],
    plan: Plan,
    kill: Callable[[Running], Kill],
) -> Trial:
    """Streams on so many shards, and kills; fewer than asked where the sources ended before."""
    made, what = list[Kill](), plan.what
    model = (f"model.path={plan.model.resolve()}", "model.device=cpu")
    settings = (*model, *QUIET, f"state.checkpoint_s={plan.checkpoint_s}")
    with TemporaryDirectory(prefix="beatgan-scale-") as held:
        folder = Path(held)
        with start(folder, plan.shards, settings) as running:

            def during(begin: int) -> None:
                end = begin + what.intervals * what.step_ns - round(LAST_S * SECOND)
                for number in range(plan.kills):
                    wait_s = settle_s(plan.checkpoint_s) + number * plan.every
                    until(begin + round(wait_s * SECOND))
                    if time.monotonic_ns() > end:
                        return
                    made.append(kill(running))
                    time.sleep(PAUSE_S)

            course = trial.course(folder, running, what, during)
            ready = running.ready()
            journaled = [decode_alert(each) for s in ready for each in fetch_alerts(s.control)]
    return Trial(course, made, journaled)


COLUMNS = ("kills", "streams each", "lost s, median", "worst", "silent s, median", "worst")


def table(outages: Sequence[Outage]) -> str:
    """For people."""
    cells = [
        f"{len(outages)}",
        f"{median(each.streams for each in outages):.0f}",
        f"{median(each.lost for each in outages):.2f}",
        f"{max(each.lost_worst for each in outages):.2f}",
        f"{median(each.silent for each in outages):.2f}",
        f"{max(each.silent_worst for each in outages):.2f}",
    ]
    return "\n".join("".join(f"{each:>18}" for each in row) for row in (COLUMNS, cells))


def verdict(trial_: Trial, plan: Plan) -> tuple[list[str], list[str]]:
    """Print what the kills cost; what should not have been, and why the run is void."""
    course, kills, what = trial_.course, trial_.kills, plan.what
    live = said(course.heard)
    expected = truth(offline(what, trial.real_ecg(), course.sent.epoch, plan.model))
    waits = delays(live, what, course.sent_at, trial.needed(plan.model))
    ends = [*(each.at for each in kills[1:]), course.begin + what.intervals * what.step_ns]
    near = [
        frozenset().union(*(kill.buckets for kill in kills[max(0, n - 1) : n + 2]))
        for n in range(len(kills))
    ]
    outages = [
        outage(each, live, waits, what, end, some)
        for each, end, some in zip(kills, ends, near, strict=True)
    ]
    found = strangers(kills, live, ends)
    restored = from_disk(kills, live, ends)
    for stream, places in restored.items():
        live.gaps[stream].extend(places)
    found += faults(live, expected, what.fs, journaled(trial_))
    before = quantiles(waits.ms[waits.sent < kills[0].at])[1]
    known = [each.others_p99 for each in outages if not np.isnan(each.others_p99)]
    others = median(known) if known else np.nan
    if not known:
        found.append("no shard was out of it, whose beats could be timed")
    if others > before * SLOWER + NOISE_MS:
        found.append(f"others' p99 was {others:.0f} ms, and {before:.0f} ms before")
    if len(kills) < plan.kills:
        found.append(f"{len(kills)} of {plan.kills} kills: the machine is too slow for --every")
    typer.echo(table(outages))
    typer.echo(
        f"p99 of others' beats: {before:.0f} ms before the first kill, then median {others:.0f}, "
        f"worst {max(known, default=np.nan):.0f} ms"
    )
    typer.echo(
        f"{sum(map(len, live.beats.values()))} beats, {len(live.alerts)} alerts heard, "
        f"{len(live.again)} told again, {live.ignored} of a former shard ignored, "
        f"{len(journaled(trial_))} in the journals; "
        f"{sum(map(len, restored.values()))} streams went on from what was on the disk, "
        f"{live.beats_told_again(what.fs)} beats were told again there, "
        f"{otherwise(live, expected, what.fs)} were found otherwise behind a gap"
    )
    return found, trial.spoilt(course.sent, live.shed)


def journaled(trial_: Trial) -> list[AlertMessage]:
    """What counts of the journals: told for the first time, and by who had the bucket."""
    fences = Fences()
    return [
        alert
        for alert in sorted(trial_.journaled, key=order)
        if fences.accepts_journaled(alert) and alert.repeat is UNSET
    ]


def main(
    by: Annotated[By, typer.Option(help="Who sees to a dead shard's buckets.")] = By.RESTART,
    model: Annotated[Path, typer.Option()] = SHIPPED,
    shards: Annotated[int, typer.Option(min=2)] = 4,
    streams: Annotated[int, typer.Option(min=1)] = 200,
    frames: Annotated[int, typer.Option(help="A second, of each stream.")] = 2,
    kills: Annotated[int, typer.Option(min=1)] = 20,
    every: Annotated[float, typer.Option(help="Seconds from kill to kill.")] = 16.0,
    after: Annotated[float, typer.Option(help="Seconds dead, of `shards keep`.")] = 5.0,
    checkpoint_s: Annotated[float, typer.Option(help="state.checkpoint_s.")] = 5.0,
    seed: int = 0,
) -> None:
    """Print what the kills cost. Ends with 1 if others had a gap or were late, or an alert was lost
    or told twice, or the run is void."""
    seconds = settle_s(checkpoint_s) + (kills + 1) * every
    what = trial.plan(streams, seconds, frames=frames)
    plan = Plan(model, shards, what, kills, every, checkpoint_s)
    typer.echo(machine())
    typer.echo(f"{streams} streams, {frames} frames a second of each, {shards} shards, {by}")
    chance, names = random.Random(seed), NAMES[:shards]
    start = mapped if by is By.RESTART else kept(after)
    trial.end(*verdict(run(start, plan, lambda running: kill(running, by, names, chance)), plan))


if __name__ == "__main__":
    typer.run(main)
