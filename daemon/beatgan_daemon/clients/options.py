"""What several commands ask for: the daemon's endpoints, and keys."""

from pathlib import Path
from typing import Annotated

import typer

from beatgan.errors import UsageError
from beatgan_daemon.defaults import CONTROL, PUBLISH
from beatgan_daemon.security import curve

__all__ = ["CONTROL", "PUBLISH", "ControlEndpoint", "Key", "ServerKey", "configuration"]

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


def configuration(key: Path | None, server: str | None) -> curve.ConfigureSocket | None:
    """What makes a socket speak CURVE to the daemon; None without keys."""
    if key is None and server is None:
        return None
    if key is None or server is None:
        raise UsageError("--key and --server-key: give both or none")
    return curve.client_configuration(curve.load_key(key), curve.load_public(server))
