"""The commands of those who ask a daemon: its alerts, its streams; and of those who make keys."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from beatgan.errors import UsageError
from beatgan.protocol.control import StreamEntry, encode_stream
from beatgan.protocol.names import stream_of_record
from beatgan_daemon.clients import client, shards_alerts, stream_table
from beatgan_daemon.clients.options import (
    CONTROL,
    ControlEndpoint,
    Key,
    ServerKey,
    ShardsDirectory,
)
from beatgan_daemon.clients.position import parse_position
from beatgan_daemon.clients.shards_client import ShardsClient, with_shard
from beatgan_daemon.security import curve
from beatgan_daemon.security.allow_list import Role
from beatgan_daemon.signals import stop_signals

app = typer.Typer()


@app.command()
def alerts(
    since: Annotated[
        str, typer.Option(metavar="N", help="the first alert's `n`; of shards SHARD:N,SHARD:N...")
    ] = "0",
    connect: ControlEndpoint = CONTROL,
    shards: ShardsDirectory = None,
    follow: Annotated[bool, typer.Option("--follow", help="go on with those that come")] = False,
    active: Annotated[
        bool, typer.Option("--active", help="the last alert of each episode under way instead")
    ] = False,
    key: Key = None,
    server_key: ServerKey = None,
) -> None:
    """Print the alerts that the daemon has journaled, as JSON Lines.

    Those of several shards bear the key `shard`; where to go on is said on stderr at the end.
    """
    _refuse_both(shards, connect)
    configure = curve.configuration(key, server_key)
    with stop_signals() as stopping:
        if shards is not None:
            if active:
                shards_alerts.print_active(shards, configure)
            elif follow:
                place = parse_position(since)
                shards_alerts.follow_alerts(shards, place, stopping, configure)
            else:
                shards_alerts.print_alerts(shards, parse_position(since), configure)
            return
        if not since.isdecimal():
            raise UsageError(f"--since {since}: expected a number; for SHARD:N give --shards")
        if active:
            found = client.active(connect, configure=configure)
        elif follow:
            found = client.follow_alerts(connect, int(since), stopping, configure=configure)
        else:
            found = client.fetch_alerts(connect, int(since), configure=configure)
        for body in found:
            sys.stdout.buffer.write(body + b"\n")
            sys.stdout.buffer.flush()


@app.command()
def acknowledge(
    episode: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="the alert's `id`", show_default=False)
    ] = None,
    stream: Annotated[
        str | None, typer.Option("--stream", metavar="STREAM", help="all alarms of this stream")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="all alarms of all streams")] = False,
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="who has seen it: a person's name")
    ] = None,
    connect: ControlEndpoint = CONTROL,
    shards: ShardsDirectory = None,
    key: Key = None,
    server_key: ServerKey = None,
) -> None:
    """Say that somebody has seen an alarm, or all of a stream, or all."""
    if (episode is not None) + (stream is not None) + all_ != 1:
        raise UsageError("give one of ID, --stream STREAM, --all")
    with _asked(connect, shards, key, server_key) as asked:
        if episode is not None:
            asked.acknowledge(episode, by=by)
            typer.echo(f"acknowledged {episode}")
        else:
            typer.echo(f"acknowledged {asked.acknowledge_all(stream, by=by)} alarm(s)")


@app.command()
def streams(
    connect: ControlEndpoint = CONTROL,
    shards: ShardsDirectory = None,
    json: Annotated[bool, typer.Option("--json", help="JSON Lines instead of a table")] = False,
    key: Key = None,
    server_key: ServerKey = None,
) -> None:
    """List the streams: how each stands, since when, its last sample, and whose key sends it."""
    with _asked(connect, shards, key, server_key) as asked:
        if json:
            for shard, entry in _listed(asked):
                body = encode_stream(entry)
                sys.stdout.buffer.write((with_shard(body, shard) if shard else body) + b"\n")
            return
        rows: list[tuple[str, StreamEntry]] = []
        try:
            rows.extend(_listed(asked))
        finally:  # a shard may not answer: what the others say is shown
            for line in stream_table.lines(rows) if rows or shards is None else ():
                typer.echo(line)


@app.command()
def discharge(
    stream: Annotated[str, typer.Argument(metavar="STREAM", help="its name")],
    connect: ControlEndpoint = CONTROL,
    shards: ShardsDirectory = None,
    key: Key = None,
    server_key: ServerKey = None,
) -> None:
    """End the watch over a stream: its alarms end, and its place is free."""
    with _asked(connect, shards, key, server_key) as asked:
        sending = asked.discharge(stream)
    typer.echo(f"discharged {stream}")
    if sending:
        typer.echo(
            f"beatgan-daemon: {stream} was still sending: it is watched again with its next frame; "
            "switch its source off, then discharge it",
            err=True,
        )


def _asked(
    connect: str, shards: Path | None, key: Path | None, server_key: str | None
) -> client.Client | ShardsClient:
    _refuse_both(shards, connect)
    configure = curve.configuration(key, server_key)
    if shards is not None:
        return ShardsClient(shards, configure=configure)
    return client.Client(connect, configure=configure)


def _refuse_both(shards: Path | None, connect: str) -> None:
    if shards is not None and connect != CONTROL:
        raise UsageError("--shards says where all are: give no --connect")


def _listed(asked: client.Client | ShardsClient) -> Iterator[tuple[str, StreamEntry]]:
    """Each stream with its shard; "" of a daemon that shares nothing."""
    if isinstance(asked, ShardsClient):
        return asked.streams()
    return (("", entry) for entry in asked.streams())


@app.command()
def keygen(
    name: Annotated[
        Path, typer.Argument(metavar="NAME", help="makes NAME.key and NAME.key_secret")
    ],
    role: Annotated[
        list[Role] | None,
        typer.Option("--role", metavar="ROLE", help=f"{', '.join(Role)}; repeatable"),
    ] = None,
    streams: Annotated[
        str | None,
        typer.Option(
            "--streams", metavar="PATTERNS", help="with ingest: what it may send; default its NAME"
        ),
    ] = None,
) -> None:
    """Make a key pair for a daemon or a client; a client may send its own stream, if nothing else
    is asked for."""
    roles = role or [Role.INGEST]
    if streams is not None and Role.INGEST not in roles:
        raise UsageError("--streams: for who has the role ingest")
    pair = curve.keygen(name)
    public = pair.public.decode()
    typer.echo(f"secret key, for its owner alone: {name}.key_secret")
    typer.echo(f"public key: {public}  (in {name}.key)")
    typer.echo("a client's line in the daemon's allow-list (--role and --streams give others):")
    words = [public, ",".join(dict.fromkeys(roles)), name.name]
    if Role.INGEST in roles:
        words.append(stream_of_record(name.name) if streams is None else streams)
    typer.echo(" ".join(words))
