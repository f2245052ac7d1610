"""Many streams on many shards, in accelerated time: who loses what, for how long, what moves.

The coordinator, the map and the check of fences are the daemon's own; the shards are stubs that
have buckets and nothing else, and what a shard takes to read another's state is assumed
(`stub_shards.py`). So this shows what the control plane decides, not what machines can carry.
    python -m benchmarks.scale.simulation --seed 1
"""

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Annotated, NamedTuple

import typer

from beatgan.protocol.messages import encode_json
from beatgan_daemon.sharding.control_loop import EVERY_S
from beatgan_daemon.sharding.coordinator import Coordinator
from benchmarks.scale.stub_shards import Counts, Ward, machines

TICK_S = 0.1
MACHINE = 5  # shards on each
START_S = 3.0  # from a shard's death to its next life, where it is started at once
MAP_READS_PER_S = 10  # of each shard

HEADS = (
    *("", "moved buckets", "streams", "maps", "longest gap, s", "even again, s"),
    *("unwatched stream-s", "alerts", "of stale owners", "ignored", "told twice", "all ignored"),
)


class Phase(NamedTuple):
    """Something that happens, and ``seconds`` in which to see what comes of it."""

    what: str
    seconds: float
    begin: Callable[[Ward], None]
    later: tuple[tuple[float, Callable[[Ward], None]], ...] = ()


class Outcome(NamedTuple):
    """What came of a phase; ``uneven_until``: the last moment at which shares were, in s."""

    what: str
    counts: Counts
    uneven_until: float


def run(ward: Ward, phase: Phase) -> Outcome:
    """Let it happen."""
    began, ward.counts = ward.now, Counts()
    uneven = 0.0
    phase.begin(ward)
    later = sorted(phase.later, key=lambda each: each[0], reverse=True)
    while (passed := ward.now - began) < phase.seconds:
        while later and passed >= later[-1][0]:
            later.pop()[1](ward)
        ward.tick(TICK_S)
        if not ward.even():
            uneven = ward.now - began
    return Outcome(phase.what, ward.counts, uneven)


def phases() -> Iterator[Phase]:
    """What happens, in this order."""
    yield Phase("nothing", 60, _nothing)
    yield Phase(
        f"a shard dies, starts again within {START_S:g} s",
        60,
        lambda ward: ward.kill(["shard-7"], ward.now + START_S),
    )
    yield Phase(
        "a shard dies, is back after 60 s",
        180,
        lambda ward: ward.kill(["shard-8"], ward.now + 60),
    )
    yield Phase("two machines die: 10 shards, back after 120 s", 300, _two_machines)
    yield Phase(
        "a shard flaps for 10 min: 8 s up, 7 s down",
        900,
        _nothing,
        tuple((15.0 * n, lambda ward: ward.kill(["shard-9"], ward.now + 7)) for n in range(40)),
    )
    yield Phase(
        "a shard sees the directory no more for 60 s, and goes on",
        240,
        lambda ward: _cut_off(ward, "shard-10"),
        ((60.0, lambda ward: ward.rejoin("shard-10")),),
    )
    yield Phase(
        "the coordinator is dead for 60 s, and a shard dies",
        240,
        _no_coordinator,
        ((60.0, _coordinator_again),),
    )
    yield Phase("10 shards are added", 120, _grow)
    yield Phase("a machine is to be empty, for 120 s", 300, _drain, ((120.0, _undrain),))
    yield Phase("each shard dies about once in 10 min, for 1 to 100 s", 900, _nothing)


def _nothing(_: Ward) -> None:
    pass


def _grow(ward: Ward) -> None:
    ward.grow(10)


def _two_machines(ward: Ward) -> None:
    pair = machines(ward.shards, MACHINE)[:2]
    ward.kill(pair[0] + pair[1], ward.now + 120)


def _cut_off(ward: Ward, name: str) -> None:
    ward.shards[name].cut_off = True


def _no_coordinator(ward: Ward) -> None:
    ward.coordinator = None
    ward.kill(["shard-11"], ward.now + 120)


def _coordinator_again(ward: Ward) -> None:
    ward.coordinator = Coordinator()


def _drain(ward: Ward) -> None:
    ward.draining = {*machines(ward.shards, MACHINE)[-1]}


def _undrain(ward: Ward) -> None:
    ward.draining = set()


def with_failures(phase: Phase, ward: Ward) -> Phase:
    """The last phase: deaths at random, by the ward's seed."""
    deaths: list[tuple[float, Callable[[Ward], None]]] = []
    for name in ward.shards:
        at = ward.random.expovariate(1 / 600)
        while at < 600:
            down = 10 ** ward.random.uniform(0, 2)
            deaths.append((at, _death(name, down)))
            at += down + ward.random.expovariate(1 / 600)
    return phase._replace(later=tuple(deaths), what=f"{phase.what}: {len(deaths)} deaths")


def _death(name: str, down: float) -> Callable[[Ward], None]:
    return lambda ward: ward.kill([name], ward.now + down)


def line(outcome: Outcome) -> tuple[str, ...]:
    """Of the table."""
    c = outcome.counts
    times = (c.longest_gap, outcome.uneven_until)
    return (
        *(outcome.what, f"{c.moved}", f"{c.streams_moved:,}", f"{c.map_versions}"),
        *(f"{seconds:.1f}" if seconds else "-" for seconds in times),
        *(f"{c.unwatched_s:,.0f}", f"{c.alerts:,}", f"{c.stale}", f"{c.ignored}"),
        *(f"{c.twice}", f"{c.none}"),
    )


def main(
    streams: Annotated[int, typer.Option(min=1)] = 100_000,
    shards: Annotated[int, typer.Option(min=20, max=200)] = 50,
    alerts_per_s: Annotated[float, typer.Option(min=0)] = 167.0,
    seed: int = 1,
) -> None:
    """See above. 167 alerts a second are one of each stream in ten minutes."""
    began, ward = perf_counter(), Ward(streams, shards, alerts_per_s, seed)
    print(f"{streams:,} streams on {shards} shards, {MACHINE} on a machine; seed {seed}\n")
    print("| " + " | ".join(HEADS) + " |\n|" + "---|" * len(HEADS))
    outcomes = []
    for phase in phases():
        chosen = with_failures(phase, ward) if phase.what.startswith("each shard") else phase
        outcomes.append(run(ward, chosen))
        print("| " + " | ".join(line(outcomes[-1])) + " |", flush=True)
    text, running = ward.map.text(), len(ward.shards)
    alert = len(encode_json(ward.alert("patient-0", 1)))
    peak = max(outcome.counts.most_alerts_in_a_tick for outcome in outcomes) / TICK_S
    print(
        f"\nsimulated {ward.now:,.0f} s in {perf_counter() - began:.0f} s"
        f"\nmap: {len(text):,} bytes, read {MAP_READS_PER_S * running} times a second by all "
        f"shards together; {running / EVERY_S:g} locks a second are tried by the coordinator"
        f"\nall alerts at one subscriber: {alerts_per_s:g} a second of {alert} bytes each, "
        f"{alerts_per_s * alert / 1e6:.2f} MB/s; the most {peak:.0f} a second, in {TICK_S:g} s"
    )


if __name__ == "__main__":
    typer.run(main)
