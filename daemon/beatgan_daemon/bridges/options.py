"""What several bridges ask for on the command line, and what is made of it."""

from pathlib import Path
from typing import Annotated

import typer

from beatgan.errors import UsageError
from beatgan_daemon.bridges.alert_feed import AlertFeed
from beatgan_daemon.bridges.position_file import PositionFile
from beatgan_daemon.bridges.signal_in import SignalIn
from beatgan_daemon.clients.frame_output import DaemonOutput, FrameOutput, PrintedFrames
from beatgan_daemon.clients.options import CONTROL, PUBLISH, Key, ServerKey
from beatgan_daemon.defaults import INGEST
from beatgan_daemon.security import curve

__all__ = ["CONTROL", "PUBLISH", "Key", "ServerKey"]

Connect = Annotated[
    str | None,
    typer.Option(
        "--connect",
        metavar="EP",
        help=f"the daemon's ingest endpoint  [default: {INGEST}]",
        show_default=False,
    ),
]
Bind = Annotated[
    str | None,
    typer.Option("--bind", metavar="EP", help="listen here for a daemon that connects, instead"),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="print what would be sent, and send nothing")
]
Publish = Annotated[
    str, typer.Option("--publish", metavar="EP", help="the daemon's publish endpoint")
]
Control = Annotated[
    str, typer.Option("--control", metavar="EP", help="the daemon's control endpoint")
]
State = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="DIR",
        envvar="STATE_DIRECTORY",  # systemd's, of a unit
        show_envvar=False,
        help="keep here how far it has come, so that a restart goes on there",
    ),
]
Since = Annotated[
    int | None,
    typer.Option(
        "--since", min=0, metavar="N", help="the first alert, where --state knows none; 0: all"
    ),
]


def signal_in(
    bind: str | None,
    connect: str | None,
    key: Path | None,
    server_key: str | None,
    *,
    dry_run: bool,
) -> SignalIn:
    """Where the ECG of a bridge goes. Raises UsageError or StartError where options do not fit."""
    return SignalIn(frame_output(bind, connect, key, server_key, dry_run=dry_run))


def frame_output(
    bind: str | None,
    connect: str | None,
    key: Path | None,
    server_key: str | None,
    *,
    dry_run: bool,
) -> FrameOutput:
    """The same, without its counts."""
    if dry_run:
        return PrintedFrames()
    if bind is not None and connect is not None:
        raise UsageError("--bind, --connect: give one of them")
    configure = curve.configuration(key, server_key)
    if bind is not None and configure is not None:
        raise UsageError("--key: with --connect only; a daemon that connects is not let in here")
    target = None if bind is not None else connect or INGEST
    return DaemonOutput(bind=bind, connect=target, configure=configure)


def alert_feed(
    publish: str,
    control: str,
    state: Path | None,
    since: int | None,
    key: Path | None,
    server_key: str | None,
    *,
    dry_run: bool,
) -> AlertFeed:
    """Whence a bridge's alerts come; a dry run keeps no position. Raises as above."""
    position = PositionFile(None if dry_run else state)
    return AlertFeed(publish, control, position, curve.configuration(key, server_key), since)
