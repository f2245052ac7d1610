"""What several commands ask for: the daemon's endpoints, and keys."""

from pathlib import Path
from typing import Annotated

import typer

from beatgan_daemon.defaults import CONTROL, PUBLISH

__all__ = [
    "CONTROL",
    "PUBLISH",
    "AlertsFile",
    "ControlEndpoint",
    "Key",
    "ServerKey",
    "ShardsDirectory",
    "Strips",
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
ShardsDirectory = Annotated[
    Path | None,
    typer.Option("--shards", metavar="DIR", help="all shards of this directory instead"),
]
AlertsFile = Annotated[
    Path | None,
    typer.Option("--from", metavar="FILE", help="JSON Lines of `score`, instead of a daemon"),
]
Strips = Annotated[
    Path | None,
    typer.Option("--strips", metavar="DIR", help="the ECG that `web --strips` keeps here"),
]
