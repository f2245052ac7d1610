"""The commands of those who talk to a daemon: parse, call. What they do is written elsewhere."""

import dataclasses
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from beatgan.errors import UsageError
from beatgan.protocol.control import encode_stream
from beatgan.protocol.names import stream_of_record
from beatgan.records import Recording, read_recording
from beatgan_daemon.clients import (
    client,
    explain_picture,
    explain_text,
    stream_table,
    ward_screen,
)
from beatgan_daemon.clients import episode as episodes
from beatgan_daemon.clients import watch as watching
from beatgan_daemon.clients.address import Daemon
from beatgan_daemon.clients.strip import EcgStrip
from beatgan_daemon.clients.strip_frames import read_stored_strip
from beatgan_daemon.playback import output_file
from beatgan_daemon.playback import replay as replaying
from beatgan_daemon.security import curve
from beatgan_daemon.security.allow_list import Role
from beatgan_daemon.settings_schema import ControlSettings, PublishSettings
from beatgan_daemon.signals import stop_signals

PLAN = replaying.Plan()  # its defaults are ours
PUBLISH, CONTROL = PublishSettings().bind, ControlSettings().bind

app = typer.Typer()

Records = Annotated[
    list[str],
    typer.Argument(metavar="RECORD", help="WFDB, EDF or CSV; `sample` is the bundled one"),
]
Key = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="your own secret key, of keygen")
]
ServerKey = Annotated[
    str | None,
    typer.Option("--server-key", metavar="KEY", help="the daemon's public key, or its file"),
]
ControlEndpoint = Annotated[
    str, typer.Option("--connect", metavar="EP", help="the daemon's control endpoint")
]


@app.command()
def replay(
    records: Records,
    bind: Annotated[
        str | None, typer.Option("--bind", metavar="EP", help="listen for a daemon here")
    ] = None,
    connect: Annotated[
        str | None, typer.Option("--connect", metavar="EP", help="connect to the daemon here")
    ] = None,
    speed: Annotated[
        float, typer.Option(help="1 is real time, 0 as fast as the daemon takes it")
    ] = PLAN.speed,
    chunk_ms: Annotated[float, typer.Option(help="signal in each frame, ms")] = PLAN.chunk_ms,
    copies: Annotated[int, typer.Option(help="streams made of each recording")] = PLAN.copies,
    loop: Annotated[
        bool, typer.Option("--loop", help="begin each recording anew at its end")
    ] = PLAN.loop,
    key: Key = None,
    server_key: ServerKey = None,
) -> None:
    """Send recordings as live ECG streams."""
    plan = replaying.Plan(speed=speed, chunk_ms=chunk_ms, copies=copies, loop=loop)
    configure = configuration(key, server_key)
    if configure is not None and bind is not None:
        raise UsageError("--key: with --connect only; a daemon that connects is not let in here")
    with suppress(KeyboardInterrupt):
        sent = replaying.replay(
            [*map(opened, records)], plan, bind=bind, connect=connect, configure=configure
        )
        typer.echo(
            f"sent {sent.samples} samples in {sent.frames} frames of {sent.streams} stream(s); "
            f"at worst {1000 * sent.behind:.0f} ms behind",
            err=True,
        )


@app.command()
def watch(
    connect: Annotated[
        list[str] | None,
        typer.Option(
            "--connect",
            metavar="EP",
            help=f"a daemon's publish endpoint; repeatable  [default: {PUBLISH}]",
            show_default=False,
        ),
    ] = None,
    control: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EP",
            help="its control endpoint, to acknowledge and to fetch what was missed; as often as "
            "--connect",
        ),
    ] = None,
    log: Annotated[
        bool,
        typer.Option("--log", help="a line an alert, as where the output is no terminal"),
    ] = False,
    key: Key = None,
    server_key: ServerKey = None,
) -> None:
    """Show the beds and their alarms as they stand, or print alerts as they come, until Ctrl-C."""
    publish = connect or [PUBLISH]
    controls: Sequence[str | None] = control or [None for _ in publish]
    if len(controls) != len(publish):
        raise UsageError("--control: give one for each --connect, in the same order, or none")
    daemons = [Daemon(*each) for each in zip(publish, controls, strict=True)]
    console = Console(highlight=False, markup=False)
    configure = configuration(key, server_key)
    with stop_signals() as stopping:
        if console.is_terminal and not log:
            ward_screen.show(daemons, console, stopping, configure=configure)
            return
        typer.echo(f"waiting for {', '.join(publish)}; Ctrl-C ends", err=True)
        watching.watch_all(daemons, console, stopping, configure=configure)


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
    configure = configuration(key, server_key)
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
def explain(
    episode: Annotated[str, typer.Argument(metavar="ID", help="the alert's `id`")],
    png: Annotated[
        Path | None, typer.Option("--png", metavar="FILE", help="draw it here, with matplotlib")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="JSON Lines of `score`, instead of a daemon"),
    ] = None,
    strips: Annotated[
        Path | None,
        typer.Option("--strips", metavar="DIR", help="the ECG that `web --strips` keeps here"),
    ] = None,
    connect: ControlEndpoint = CONTROL,
    key: Key = None,
    server_key: ServerKey = None,
) -> None:
    """Show why there is an alarm: the ECG, the worst beat, what its score is made of."""
    found: Iterable[bytes]
    if file is None:
        found = client.fetch_episode(connect, episode, configure=configuration(key, server_key))
    else:
        found = episodes.lines_of(file)
    told = episodes.episode(found, episode, connect if file is None else str(file))
    if strips is not None:
        told = dataclasses.replace(told, strip=_kept(strips, episode))
    if png is not None:
        with output_file.writing(png, option="--png") as target:
            explain_picture.draw(told, target)
        return
    console = Console()
    for line in explain_text.lines(told, console.width, console.encoding):
        typer.echo(line)


def _kept(directory: Path, episode: str) -> EcgStrip:
    from beatgan_daemon.storage.strip_store import read_stored

    stored = read_stored(directory, episode)
    strip = None if stored is None else read_stored_strip(stored)
    if strip is None:
        why = "it has none of this alarm" if stored is None else stored.note
        raise UsageError(f"--strips {directory}: {why}")
    return strip


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
    with client.Client(connect, configure=configuration(key, server_key)) as asked:
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
    with client.Client(connect, configure=configuration(key, server_key)) as asked:
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
    with client.Client(connect, configure=configuration(key, server_key)) as asked:
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


def opened(name: str) -> Recording:
    """The recording, what of its file is not used or not as it was being named on stderr."""
    recording = read_recording(name)
    for fact in recording.left_out:
        typer.echo(f"beatgan-daemon: {name}: not used: {fact}", err=True)
    for lead in recording.scaled:
        typer.echo(
            f"beatgan-daemon: {name}: {lead} has no voltage, scaled to a usual one", err=True
        )
    return recording


def configuration(key: Path | None, server: str | None) -> curve.ConfigureSocket | None:
    """What makes a socket speak CURVE to the daemon; None without keys."""
    if key is None and server is None:
        return None
    if key is None or server is None:
        raise UsageError("--key and --server-key: give both or none")
    return curve.client_configuration(curve.load_key(key), curve.load_public(server))
