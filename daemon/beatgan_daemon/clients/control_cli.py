"""The commands of those who ask a daemon: its alerts, its streams; and of those who make keys."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from beatgan.errors import UsageError
from beatgan.protocol.control import encode_stream
from beatgan.protocol.names import stream_of_record
from beatgan_daemon.clients import client, stream_table
from beatgan_daemon.clients.options import CONTROL, ControlEndpoint, Key, ServerKey
from beatgan_daemon.security import curve
from beatgan_daemon.security.allow_list import Role
from beatgan_daemon.signals import stop_signals

app = typer.Typer()


@app.command()
def alerts(
    since: Annotated[int, typer.Option(min=0, help="the first alert's `n`")] = 0,
    connect: ControlEndpoint = CONTROL,
    follow: Annotated[bool, typer.Option("--follow", help="go on with those that come")] = False,
    active: Annotated[
        bool, typer.Option("--active", help="the last alert of each episode under way instead")
    ] = False,
    key: Key = None,
    server_key: ServerKey = None,
) -> None:
    """Print the alerts that the daemon has journaled, as JSON Lines."""
    configure = curve.configuration(key, server_key)
    with stop_signals() as stopping:
        if active:
            found = client.active(connect, configure=configure)
        elif follow:
            found = client.follow_alerts(connect, since, stopping, configure=configure)
        else:
            found = client.fetch_alerts(connect, since, configure=configure)
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
    key: Key = None,
    server_key: ServerKey = None,
) -> None:
    """Say that somebody has seen an alarm, or all of a stream, or all."""
    if (episode is not None) + (stream is not None) + all_ != 1:
        raise UsageError("give one of ID, --stream STREAM, --all")
    with client.Client(connect, configure=curve.configuration(key, server_key)) as asked:
        if episode is not None:
            asked.acknowledge(episode, by=by)
            typer.echo(f"acknowledged {episode}")
        else:
            typer.echo(f"acknowledged {asked.acknowledge_all(stream, by=by)} alarm(s)")


@app.command()
def streams(
    connect: ControlEndpoint = CONTROL,
    json: Annotated[bool, typer.Option("--json", help="JSON Lines instead of a table")] = False,
    key: Key = None,
    server_key: ServerKey = None,
) -> None:
    """List the streams: how each stands, since when, its last sample, and whose key sends it."""
    with client.Client(connect, configure=curve.configuration(key, server_key)) as asked:
        if json:
            for entry in asked.streams():
                sys.stdout.buffer.write(encode_stream(entry) + b"\n")
            return
        for line in stream_table.lines(asked.streams()):
            typer.echo(line)


@app.command()
def discharge(
    stream: Annotated[str, typer.Argument(metavar="STREAM", help="its name")],
    connect: ControlEndpoint = CONTROL,
    key: Key = None,
    server_key: ServerKey = None,
) -> None:
    """End the watch over a stream: its alarms end, and its place is free."""
    with client.Client(connect, configure=curve.configuration(key, server_key)) as asked:
        sending = asked.discharge(stream)
    typer.echo(f"discharged {stream}")
    if sending:
        typer.echo(
            f"beatgan-daemon: {stream} was still sending: it is watched again with its next frame; "
            "switch its source off, then discharge it",
            err=True,
        )


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
