"""The commands `web` and `web-user`: parse, check, call."""

import os
import sys
from getpass import getpass
from pathlib import Path
from subprocess import _args_from_interpreter_flags  # type: ignore[attr-defined]
from typing import Annotated, Literal, NoReturn
from urllib.parse import urlsplit

import typer

from beatgan.errors import UsageError
from beatgan_daemon.clients.options import CONTROL, PUBLISH, Key, ServerKey, ShardsDirectory
from beatgan_daemon.defaults import KEEP_DAYS, KEEP_MB
from beatgan_daemon.web.options import AccessOptions, Options, written

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
    shards: ShardsDirectory = None,
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
    grafana: Annotated[
        str | None,
        typer.Option(metavar="URL", help="where its dashboards are: the health view links there"),
    ] = None,
    strips: Annotated[
        Path | None,
        typer.Option(
            "--strips", metavar="DIR", help="keep the ECG round each alarm here; needs --tap"
        ),
    ] = None,
    strips_keep_days: Annotated[
        float, typer.Option(min=0.001, help="older strips are deleted")
    ] = KEEP_DAYS,
    strips_keep_mb: Annotated[
        float, typer.Option(min=1, help="and the oldest, when they take more")
    ] = KEEP_MB,
    tls_cert: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="certificate, PEM; the page is served under its names"),
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="its key, PEM")] = None,
    users: Annotated[
        Path | None, typer.Option(metavar="FILE", help="who may log in: lines of web-user")
    ] = None,
    behind_proxy: Annotated[
        str | None,
        typer.Option(metavar="ORIGIN", help="a proxy serves it as https://HOST, and knows people"),
    ] = None,
    proxy: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="the proxy's; this machine if not given; repeatable"),
    ] = None,
    user_header: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="header of the proxy: who may acknowledge; without, nobody may"
        ),
    ] = None,
    key: Key = None,
    server_key: ServerKey = None,
) -> None:
    """Serve the page: a wall of beds, alarms, one stream. It is a client of the daemon."""
    host, port = _listen(listen)
    access = AccessOptions(
        host=host,
        tls_cert=tls_cert,
        tls_key=tls_key,
        users=users,
        behind_proxy=behind_proxy,
        proxies=tuple(proxy or ()),
        user_header=user_header,
    )
    _become(
        Options(
            connect=connect,
            tap=tap,
            control=control,
            shards=shards,
            host=host,
            port=port,
            access=access,
            metrics=metrics,
            grafana=None if grafana is None else _link(grafana),
            strips=strips,
            strips_keep_days=strips_keep_days,
            strips_keep_mb=strips_keep_mb,
            key=key,
            server_key=server_key,
        )
    )


def _become(options: Options) -> NoReturn:
    """Go on as the server, in this process's place.

    What parses a command line would stay in it: 13 MB that no server needs. The process's number,
    its descriptors and its environment stay, so that systemd sees one process.
    """
    python = [sys.executable, *_args_from_interpreter_flags()]
    # -P: as with the program `beatgan-daemon`, no module comes from the working directory.
    server = ["-P", "-m", "beatgan_daemon.web", written(options)]
    os.execv(python[0], [*python, *server])


@app.command()
def web_user(
    name: Annotated[str, typer.Argument(metavar="NAME", help="as it is told with an alarm")],
    role: Annotated[
        Literal["view", "acknowledge"], typer.Option(help="what that person may do")
    ] = "view",
    users: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="put the line there, in place of that name's; or print"),
    ] = None,
) -> None:
    """Make somebody's line for `web --users`: asks for a password, or reads it from a pipe."""
    from beatgan_daemon.web import user_command

    line = user_command.line(name, role, _password())
    if users is None:
        typer.echo(line)
    else:
        user_command.put(users, name, line)


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass()
    if getpass("The same again: ") != password:
        raise UsageError("these are two passwords")
    return password


def _link(text: str) -> str:
    """A link that a page may show: of the web, with nobody's password in it."""
    try:
        parts = urlsplit(text)
        plain = parts.hostname and parts.username is None and parts.port != 0
    except ValueError:  # not a port, not an address
        plain = False
    if not plain or parts.scheme not in ("http", "https") or not text.isprintable() or " " in text:
        raise UsageError(f"--grafana {text}: expected http://HOST... or https://HOST...")
    return text


def _listen(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise UsageError(f"--listen {text}: expected HOST:PORT")
    return host.strip("[]"), int(port)
