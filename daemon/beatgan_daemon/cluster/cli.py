"""`beatgan-daemon cluster`: shards on a Ray cluster, from one of its nodes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Annotated, Any

import typer

from beatgan.errors import UsageError
from beatgan.protocol.buckets import BUCKETS
from beatgan_daemon.clients.stream_table import aligned
from beatgan_daemon.cluster import actors
from beatgan_daemon.cluster.actors import PlacedShard
from beatgan_daemon.cluster.ray_connection import connected, require_token_on_nodes
from beatgan_daemon.cluster.shard_supervisor import ShardOrder
from beatgan_daemon.exit_codes import Exit
from beatgan_daemon.sharding.coordinator import AFTER_S
from beatgan_daemon.sharding.draining import read_draining, write_draining
from beatgan_daemon.sharding.shard_map import (
    FILE,
    ShardMap,
    only_editor,
    read_map,
    write_map,
)

ANSWER_S, RELOAD_S, STOP_S = 10.0, 60.0, 20.0
LOOK_S = 0.5
HEAD = ("SHARD", "STATE", "BUCKETS", "STARTS", "PID", "NODE", "ADDRESS")
NOT_KNOWN = "-"

app = typer.Typer()
cluster = typer.Typer(
    no_args_is_help=True,
    help="Shards as actors of a Ray cluster, which places and restarts them (docs/scale.md).",
)
app.add_typer(cluster, name="cluster")

Directory = Annotated[
    Path,
    typer.Option("--dir", metavar="DIR", help="the directory that the shards on all nodes share"),
]
Address = Annotated[
    str, typer.Option(metavar="HOST:PORT", help="of Ray's head; auto: of this node's cluster")
]


@cluster.callback()
def _group() -> None:
    """So that a single command would still be one of a group."""


@cluster.command()
def up(
    directory: Directory,
    count: Annotated[int, typer.Option("--shards", min=1, max=BUCKETS, help="so many in all")],
    cpus: Annotated[
        float, typer.Option("--cpus-per-shard", min=0, help="that Ray keeps for each")
    ] = 1.0,
    gpus: Annotated[
        float, typer.Option("--gpus-per-shard", min=0, help="of them; 0.25: four share one")
    ] = 0.0,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="TOML of all shards; every node sees it")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="any setting of all shards; repeatable"),
    ] = None,
    bind: Annotated[
        str, typer.Option(metavar="ADDRESS", help="shards listen there; node: at their node's own")
    ] = "127.0.0.1",
    after: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="how long dead, and it keeps its own")
    ] = AFTER_S,
    seconds: Annotated[float, typer.Option(min=1, help="how long to wait for them")] = 180.0,
    address: Address = "auto",
) -> None:
    """Start the shards that are not there yet, and coordinators; wait until all are ready."""
    directory, names = directory.resolve(), [f"shard-{n}" for n in range(count)]
    with connected(address, directory) as ray:
        require_token_on_nodes(ray)
        _first_map(directory, names)
        there = actors.shards(ray)
        if known := [name for name in names if name in there]:
            typer.echo(f"there already, and run as they were started: {', '.join(known)}")
        own = None if config is None else str(config.resolve())
        for name in names:
            if name not in there:
                order = ShardOrder(str(directory), name, bind, own, tuple(set_ or ()))
                there[name] = actors.start_shard(ray, order, cpus, gpus)
        try:
            _wait(ray, {name: there[name] for name in names}, seconds)
        finally:  # now: where all begin, none is given another one's buckets because it is slower
            actors.start_coordinators(ray, directory, after)
        _show(ray, directory)


@cluster.command()
def status(directory: Directory, address: Address = "auto") -> None:
    """List the shards: where they are, and how they stand. Exit code 2 where one is not ready."""
    directory = directory.resolve()
    with connected(address, directory) as ray:
        _show(ray, directory)


@cluster.command()
def drain(
    what: Annotated[str, typer.Argument(metavar="SHARD|NODE", help="as `status` names them")],
    directory: Directory,
    seconds: Annotated[float, typer.Option(min=1, help="how long to wait for it")] = 120.0,
    address: Address = "auto",
) -> None:
    """Give the buckets of a shard, or of all on a node, to the others; then it may be stopped.

    They get none until `shards undrain`.
    """
    directory = directory.resolve()
    with connected(address, directory) as ray:
        chosen = _on(ray, what)
        if not actors.shards(ray).keys() - read_draining(directory) - chosen:
            raise UsageError("no other shard is left that could take the buckets")
        with only_editor(directory):
            write_draining(directory, read_draining(directory) | chosen)
        end = monotonic() + seconds
        while left := {*read_map(directory).shards()} & chosen:
            if monotonic() > end:
                raise UsageError(f"{', '.join(sorted(left))} still have buckets; see `status`")
            sleep(LOOK_S)
    typer.echo(f"{', '.join(sorted(chosen))}: no buckets")


@cluster.command()
def reload(directory: Directory, address: Address = "auto") -> None:
    """Let all shards read their settings and model again, and say what came of it."""
    outcomes: dict[str, list[str]] = {}
    with connected(address, directory.resolve()) as ray:
        asked = {name: actor.reload.remote() for name, actor in actors.shards(ray).items()}
        for name, answer in asked.items():
            with _told(ray, outcomes.setdefault(name, [])) as say:
                say(ray.get(answer, timeout=RELOAD_S))
    if not outcomes:
        raise UsageError("there is no shard")
    for name, said in outcomes.items():
        typer.echo(f"{name}: {said[0]}")
    if not all(said[0].startswith("applied") for said in outcomes.values()):
        raise typer.Exit(Exit.REFUSED)


@cluster.command()
def down(
    directory: Directory,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SHARD]...", help="all if none is named", show_default=False),
    ] = None,
    address: Address = "auto",
) -> None:
    """Stop shards as a service manager would; all of them, and the coordinators, if none is named.

    The map and the shards' state stay in the directory.
    """
    directory = directory.resolve()
    with connected(address, directory) as ray:
        there = actors.shards(ray)
        if missing := {*(names or ())} - there.keys():
            raise UsageError(f"no shard {', '.join(sorted(missing))}: {', '.join(there)}")
        for coordinator in () if names else actors.coordinators(ray).values():
            ray.kill(coordinator)  # first: it would give their buckets to those that are left
        chosen = {name: there[name] for name in names or there}
        stopping = {name: actor.stop.remote() for name, actor in chosen.items()}
        for name, answer in stopping.items():
            problems: list[str] = []
            with _told(ray, problems):
                ray.get(answer, timeout=STOP_S)
            ray.kill(chosen[name])
            typer.echo(f"{name}: {problems[0] if problems else 'stopped'}")


def _first_map(directory: Path, names: list[str]) -> None:
    try:
        directory.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(f"--dir {directory}: cannot be made: {error.strerror}") from None
    with only_editor(directory):
        if not (directory / FILE).exists():
            write_map(directory, ShardMap.even(names))


def _on(ray: Any, what: str) -> set[str]:
    """The shard of this name, or all on the node of this name or address."""
    there = actors.shards(ray)
    if what in there:
        return {what}
    placed = _states(ray, there)
    found = {
        name
        for name, each in placed.items()
        if not isinstance(each, str)
        and (each.place.node[:8] == what[:8] or each.place.address == what)
    }
    if not found:
        raise UsageError(f"no shard or node {what}: {', '.join(there) or 'no shard'}")
    return found


def _wait(ray: Any, asked: Mapping[str, Any], seconds: float) -> None:
    """Until all are ready. Raises UsageError naming those that are not."""
    end = monotonic() + seconds
    while True:
        states = _states(ray, asked, min(ANSWER_S, max(0.1, end - monotonic())))
        late = {name: each for name, each in states.items() if _state(each) != "ready"}
        if not late:
            return
        if monotonic() > end:
            text = "; ".join(f"{name}: {_state(each)}" for name, each in late.items())
            free = ray.available_resources()
            room = f"{free.get('CPU', 0):g} CPUs and {free.get('GPU', 0):g} GPUs are free"
            raise UsageError(f"not ready within {seconds:g} s: {text}; {room}")
        sleep(LOOK_S)


def _states(ray: Any, asked: Mapping[str, Any], seconds: float = ANSWER_S) -> dict[str, Any]:
    """What each actor says of its state, or in words why that is not known."""
    answers = {name: actor.state.remote() for name, actor in asked.items()}
    ray.wait([*answers.values()], num_returns=len(answers), timeout=seconds)
    states: dict[str, Any] = {}
    for name, answer in answers.items():
        problems: list[str] = []
        with _told(ray, problems):
            states[name] = ray.get(answer, timeout=0)
        if problems:
            states[name] = problems[0]
    return states


def _state(placed: PlacedShard | str) -> str:
    if isinstance(placed, str):
        return placed
    if placed.state.ready:
        return "ready"
    return f"not ready: {placed.state.said or 'it starts'}"


def _show(ray: Any, directory: Path) -> None:
    shard_map, draining = read_map(directory), read_draining(directory)
    states = _states(ray, actors.shards(ray))
    rows = [HEAD]
    for name, each in states.items():
        told = _state(each) + (", drained" if name in draining else "")
        buckets = str(len(shard_map.fences_of(name)))
        rows.append((name, told, buckets, *_where(each)))
    for line in aligned(rows):
        typer.echo(line)
    coordinators = _states(ray, actors.coordinators(ray))
    for name, place in coordinators.items():
        what = place if isinstance(place, str) else f"on {place.node[:8]}, {place.address}"
        typer.echo(f"{name}: {what}")
    if not any(isinstance(place, actors.Place) for place in coordinators.values()):
        raise UsageError("no coordinator: nobody gives the buckets of a dead shard to the others")
    if late := [name for name, each in states.items() if _state(each) != "ready"]:
        raise UsageError(f"not ready: {', '.join(late)}")


def _where(placed: PlacedShard | str) -> tuple[str, str, str, str]:
    if isinstance(placed, str):
        return (NOT_KNOWN,) * 4
    state, place = placed
    pid = NOT_KNOWN if state.pid is None else str(state.pid)
    return str(state.starts), pid, place.node[:8], place.address


@contextmanager
def _told(ray: Any, outcome: list[str]) -> Iterator[Callable[[str], None]]:
    """What Ray fails with in the block is put into ``outcome``, in words."""
    try:
        yield outcome.append
    except ray.exceptions.GetTimeoutError:
        outcome.append("has no answer: Ray has not placed it yet, or its node is away")
    except ray.exceptions.ActorUnavailableError:
        outcome.append("is being started again")
    except ray.exceptions.RayError as error:
        outcome.append(f"does not answer: {str(error).splitlines()[0]}")
