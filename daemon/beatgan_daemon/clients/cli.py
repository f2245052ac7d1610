"""The commands of those who talk to a daemon: parse, call. What they do is written elsewhere."""

from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from beatgan.errors import UsageError
from beatgan.explain import picture as explain_picture
from beatgan.explain import text as explain_text
from beatgan.library import output_file
from beatgan.records import Recording, read_recording, summary
from beatgan_daemon.clients import ward_screen
from beatgan_daemon.clients import watch as watching
from beatgan_daemon.clients.address import Daemon, Daemons, FixedDaemons
from beatgan_daemon.clients.find_episode import find_episode
from beatgan_daemon.clients.options import (
    CONTROL,
    PUBLISH,
    AlertsFile,
    ControlEndpoint,
    Key,
    ServerKey,
    ShardsDirectory,
    Strips,
)
from beatgan_daemon.clients.shards import ShardDirectory
from beatgan_daemon.playback import replay as replaying
from beatgan_daemon.security import curve
from beatgan_daemon.signals import stop_signals

PLAN = replaying.Plan()  # its defaults are ours

app = typer.Typer()

Records = Annotated[
    list[str],
    typer.Argument(metavar="RECORD", help="any format of docs/formats.md; `sample` is bundled"),
]


@app.command()
def replay(
    records: Records,
    bind: Annotated[
        str | None, typer.Option("--bind", metavar="EP", help="listen for a daemon here")
    ] = None,
    connect: Annotated[
        list[str] | None,
        typer.Option(
            "--connect",
            metavar="EP",
            help="connect to the daemon here; again for each that shares the streams",
        ),
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
    configure = curve.configuration(key, server_key)
    if configure is not None and bind is not None:
        raise UsageError("--key: with --connect only; a daemon that connects is not let in here")
    with suppress(KeyboardInterrupt):
        sent = replaying.replay(
            [*map(opened, records)], plan, bind=bind, connect=connect or None, configure=configure
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
    shards: ShardsDirectory = None,
    log: Annotated[
        bool,
        typer.Option("--log", help="a line an alert, as where the output is no terminal"),
    ] = False,
    key: Key = None,
    server_key: ServerKey = None,
) -> None:
    """Show the beds and their alarms as they stand, or print alerts as they come, until Ctrl-C."""
    console = Console(highlight=False, markup=False)
    configure = curve.configuration(key, server_key)
    with ExitStack() as resources:
        daemons = _daemons(connect, control, shards, resources)
        stopping = resources.enter_context(stop_signals())
        if console.is_terminal and not log:
            ward_screen.show(daemons, console, stopping, configure=configure)
            return
        where = ", ".join(each.title for each in daemons.daemons.values())
        typer.echo(f"waiting for {where or shards}; Ctrl-C ends", err=True)
        watching.watch_all(daemons, console, stopping, configure=configure)


def _daemons(
    connect: list[str] | None, control: list[str] | None, shards: Path | None, resources: ExitStack
) -> Daemons:
    if shards is not None:
        if connect or control:
            raise UsageError("--shards says where all are: give no --connect and no --control")
        return resources.enter_context(closing(ShardDirectory(shards)))
    publish = connect or [PUBLISH]
    controls: Sequence[str | None] = control or [None for _ in publish]
    if len(controls) != len(publish):
        raise UsageError("--control: give one for each --connect, in the same order, or none")
    return FixedDaemons([Daemon(*each) for each in zip(publish, controls, strict=True)])


@app.command()
def explain(
    episode: Annotated[str, typer.Argument(metavar="ID", help="the alert's `id`")],
    png: Annotated[
        Path | None, typer.Option("--png", metavar="FILE", help="draw it here, with matplotlib")
    ] = None,
    file: AlertsFile = None,
    strips: Strips = None,
    connect: ControlEndpoint = CONTROL,
    key: Key = None,
    server_key: ServerKey = None,
) -> None:
    """Show why there is an alarm: the ECG, the worst beat, what its score is made of."""
    told = find_episode(episode, connect, file, strips, key, server_key)
    if png is not None:
        with output_file.writing(png, option="--png") as target:
            explain_picture.draw(told, target)
        return
    console = Console()
    for line in explain_text.lines(told, console.width, console.encoding):
        typer.echo(line)


def opened(name: str) -> Recording:
    """The recording; what was understood of its file, and what is not used, is said on stderr."""
    recording = read_recording(name)
    if recording.format:
        typer.echo(f"beatgan-daemon: {name}: {summary(recording)}", err=True)
    for fact in recording.left_out:
        typer.echo(f"beatgan-daemon: {name}: not used: {fact}", err=True)
    for lead in recording.scaled:
        typer.echo(
            f"beatgan-daemon: {name}: {lead} has no voltage, scaled to a usual one", err=True
        )
    return recording
