"""The command `web`: parse, call."""

from pathlib import Path
from typing import Annotated

import typer

from beatgan.errors import UsageError
from beatgan_daemon.clients.cli import CONTROL, PUBLISH, Key, ServerKey, configuration
from beatgan_daemon.settings_schema import StateSettings
from beatgan_daemon.web.addresses import is_loopback

KEEP = StateSettings()  # strips are kept as alerts are, if nothing else is said

app = typer.Typer()


@app.command()
def web(
    connect: Annotated[
        str, typer.Option("--connect", metavar="EP", help="the daemon's publish endpoint")
    ] = PUBLISH,
    tap: Annotated[
        str | None,
        typer.Option("--tap", metavar="EP", help="its tap, `tap.bind`; without, no traces"),
    ] = None,
    control: Annotated[
        str, typer.Option("--control", metavar="EP", help="its control endpoint")
    ] = CONTROL,
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="serve the page here")
    ] = "127.0.0.1:8080",
    metrics: Annotated[
        str | None,
        typer.Option(
            "--metrics",
            metavar="HOST:PORT",
            help="its HTTP, `http.listen`: whether it is ready, how fast, what was lost",
        ),
    ] = None,
    strips: Annotated[
        Path | None,
        typer.Option(
            "--strips", metavar="DIR", help="keep the ECG round each alarm here; needs --tap"
        ),
    ] = None,
    strips_keep_days: Annotated[
        float, typer.Option(min=0.001, help="older strips are deleted")
    ] = KEEP.keep_days,
    strips_keep_mb: Annotated[
        float, typer.Option(min=1, help="and the oldest, when they take more")
    ] = KEEP.keep_mb,
    key: Key = None,
    server_key: ServerKey = None,
) -> None:
    """Serve the page: a wall of beds, alarms, one stream. It is a client of the daemon."""
    try:
        from beatgan_daemon.web.server import Options, serve
    except ImportError:
        raise UsageError("the page needs pip install 'beatgan[web]'") from None
    if strips is not None and tap is None:
        raise UsageError("--strips: the ECG comes from the daemon's tap; give --tap as well")
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise UsageError(f"--listen {listen}: expected HOST:PORT")
    host = host.strip("[]")
    if not is_loopback(host):
        raise UsageError(f"--listen {listen}: only this machine may reach it as yet")
    serve(
        Options(
            connect=connect,
            tap=tap,
            control=control,
            host=host,
            port=int(port),
            metrics=metrics,
            strips=strips,
            strips_keep_days=strips_keep_days,
            strips_keep_mb=strips_keep_mb,
        ),
        configuration(key, server_key),
    )
