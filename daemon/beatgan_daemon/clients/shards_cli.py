"""The commands of who runs several shards: the map, who is there, and where Prometheus looks."""

import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import Annotated

import typer

from beatgan.errors import UsageError
from beatgan.protocol.buckets import BUCKETS, buckets_text, parse_buckets
from beatgan_daemon import log
from beatgan_daemon.clients import shard_table
from beatgan_daemon.shard_name import shard_name
from beatgan_daemon.sharding import control_loop
from beatgan_daemon.sharding.atomic_file import write_whole
from beatgan_daemon.sharding.claims import highest_claims, read_claims
from beatgan_daemon.sharding.coordinator import AFTER_S
from beatgan_daemon.sharding.draining import read_draining, write_draining
from beatgan_daemon.sharding.overview import Overview
from beatgan_daemon.sharding.service_discovery import file_sd
from beatgan_daemon.sharding.shard_map import FILE, ShardMap, only_editor, write_map
from beatgan_daemon.signals import stop_signals

app = typer.Typer()
shards = typer.Typer(
    no_args_is_help=True, help="Several daemons that share the streams: who has which bucket."
)
app.add_typer(shards, name="shards")

WAIT_S = 60.0
LOOK_S = 0.1

Wait = Annotated[
    float, typer.Option(min=0, metavar="SECONDS", help="how long to wait; 0: do not wait")
]
Directory = Annotated[
    Path, typer.Option("--dir", metavar="DIR", help="the directory that the shards share")
]


@shards.callback()
def _group() -> None:
    """So that a single command would still be one of a group."""


@shards.command()
def init(
    directory: Directory,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="the shards", show_default=False)
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(min=1, max=BUCKETS, help="so many instead: shard-0, shard-1 ..."),
    ] = None,
) -> None:
    """Write the first map, which gives each shard as many buckets as any other."""
    if (count is None) == (not names):
        raise UsageError("give the shards' NAMEs, or --count")
    chosen = names or [f"shard-{n}" for n in range(count or 0)]
    ShardMap.even(chosen)  # refuses names before anything is made
    try:
        directory.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(f"--dir {directory}: cannot be made: {error.strerror}") from None
    with only_editor(directory):
        if (directory / FILE).exists():
            raise UsageError(f"{directory / FILE}: is there already; `shards move` changes it")
        write_map(directory, ShardMap.even(chosen, highest_claims(directory)))
    typer.echo(f"{directory / FILE}: {BUCKETS} buckets over {', '.join(chosen)}")


@shards.command()
def show(directory: Directory) -> None:
    """List the shards: who runs, has how many buckets, and is reached where.

    Exit code 2 where patients are watched by nobody.
    """
    overview, held, problems = Overview.of(directory), dict[str, int](), list[str]()
    for name in overview.names():
        try:
            held[name] = len(read_claims(directory / name))
        except UsageError as error:
            problems.append(str(error))
    for line in shard_table.lines(overview, held):
        typer.echo(line)
    if overview.old:
        problems.append(f"{directory}: {overview.old}")
    for problem in (*overview.problems, *problems):
        typer.echo(f"beatgan-daemon: {problem}", err=True)
    if text := overview.unwatched_text():
        raise UsageError(text)


@shards.command()
def move(
    buckets: Annotated[
        str, typer.Argument(metavar="BUCKETS", help="as 00-3f,80; N/M, the Nth of M parts; or all")
    ],
    to: Annotated[str, typer.Option("--to", metavar="SHARD", help="who gets them")],
    directory: Directory,
    wait: Wait = WAIT_S,
) -> None:
    """Give buckets to a shard, which must be running, and wait until it has them."""
    try:
        wanted = parse_buckets(buckets)
    except ValueError as error:
        raise UsageError(str(error)) from None
    with only_editor(directory):
        overview = _followed(directory)
        if shard_name(to) not in overview.running:
            raise UsageError(f"{to} is not running: nobody would watch these patients")
        if to in overview.draining:
            raise UsageError(f"{to} is to be empty: first `shards undrain {to}`")
        moved = _change(directory, overview, overview.shard_map.moved(dict.fromkeys(wanted, to)))
    _wait_until(directory, moved, overview.running, wait)


@shards.command()
def drain(
    shard: Annotated[str, typer.Argument(metavar="SHARD", help="its name")],
    directory: Directory,
    wait: Wait = WAIT_S,
) -> None:
    """Give a shard's buckets to the others that run, and wait until they have them; it gets none
    until `undrain`."""
    with only_editor(directory):
        overview = _followed(directory)
        if shard_name(shard) not in {*overview.names()}:
            raise UsageError(f"there is no {shard}: {', '.join(overview.names())}")
        empty = overview.draining | {shard}
        others = overview.running - empty
        if not others:
            raise UsageError("no other shard is running that could take its buckets")
        write_draining(directory, empty)
        moved = _change(directory, overview, overview.shard_map.emptied(shard, others))
    _wait_until(directory, moved, overview.running, wait)


@shards.command()
def undrain(
    shard: Annotated[str, typer.Argument(metavar="SHARD", help="its name")], directory: Directory
) -> None:
    """Let a shard have buckets again: of `shards keep`, or by `shards move`."""
    with only_editor(directory):
        empty = read_draining(directory)
        if shard_name(shard) not in empty:
            raise UsageError(f"{shard} was not drained")
        write_draining(directory, empty - {shard})
    typer.echo(f"{shard} may have buckets again")


@shards.command()
def keep(
    directory: Directory,
    after: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="how long dead, and it keeps its own")
    ] = AFTER_S,
) -> None:
    """Give the buckets of shards that die to the others, until SIGTERM or Ctrl-C."""
    log.configure()
    with stop_signals(last=True) as stopping:
        control_loop.keep(directory, after, stopping)


def _followed(directory: Path) -> Overview:
    """As it stands, where shards follow the map. Raises UsageError, also where they do not."""
    overview = Overview.of(directory)
    if overview.old:
        raise UsageError(f"{directory}: {overview.old}; see the runbook in docs/scale.md")
    return overview


def _change(directory: Path, overview: Overview, after: ShardMap) -> dict[int, tuple[str, str]]:
    """Write the map; which buckets go from which shard to which."""
    before = overview.shard_map.assignments
    changed = [b for b, each in enumerate(after.assignments) if each != before[b]]
    if not changed:
        typer.echo("nothing to move")
        return {}
    write_map(directory, after)
    for shard in after.shards():
        got = frozenset(b for b in changed if after.assignments[b].shard == shard)
        if got:
            typer.echo(f"{len(got)} bucket(s) to {shard}: {buckets_text(got)}")
    return {b: (before[b].shard, after.assignments[b].shard) for b in changed}


def _wait_until(
    directory: Path, moved: Mapping[int, tuple[str, str]], running: Collection[str], seconds: float
) -> None:
    """Until these buckets are where they go to. Raises UsageError where that takes too long."""
    if not moved or not seconds:
        return
    end = monotonic() + seconds
    while left := _on_the_way(directory, moved, running):
        if monotonic() > end:
            text = f"{len(left)} bucket(s) are still on the way after {seconds:g} s"
            raise UsageError(
                f"{text}: {buckets_text(left)}; see `shards show` and the shards' logs"
            )
        sleep(LOOK_S)
    typer.echo("all are there")


def _on_the_way(
    directory: Path, moved: Mapping[int, tuple[str, str]], running: Collection[str]
) -> set[int]:
    """Those that a shard has not taken yet, or that its former one, if it runs, still has."""
    shards = {shard for both in moved.values() for shard in both}
    held = {shard: read_claims(directory / shard).keys() for shard in shards}
    return {
        bucket
        for bucket, (of, to) in moved.items()
        if bucket not in held[to] or (of in running and bucket in held[of])
    }


@shards.command()
def prometheus(
    directory: Directory,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="write it here, whole or not at all"),
    ] = None,
) -> None:
    """Print where Prometheus finds the shards: the JSON of `file_sd_configs`."""
    overview = Overview.of(directory)
    named = {*overview.running, *overview.shard_map.shards()}
    text = file_sd(each for name, each in overview.records.items() if name in named)
    for problem in overview.problems:
        typer.echo(f"beatgan-daemon: {problem}", err=True)
    if out is None:
        sys.stdout.buffer.write(text)
        return
    try:
        write_whole(out, text)
    except OSError as error:
        raise UsageError(f"--out {out}: {error.strerror}") from None
