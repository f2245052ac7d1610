"""The web process: listens, says where, tells systemd, ends with SIGTERM."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn

from beatgan_daemon import log
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.security.curve import ConfigureSocket
from beatgan_daemon.settings_schema import StateSettings
from beatgan_daemon.storage.strip_store import StripStore
from beatgan_daemon.systemd import Notifier
from beatgan_daemon.web.addresses import LOOPBACK, addresses
from beatgan_daemon.web.app import application
from beatgan_daemon.web.daemon_http import DaemonHttp
from beatgan_daemon.web.scribe import Scribe
from beatgan_daemon.web.sessions import TokenSession
from beatgan_daemon.web.ward import Ward

KEEP_DAYS, KEEP_MB = StateSettings().keep_days, StateSettings().keep_mb  # as alerts
MOST_MESSAGE: Final = 16_384  # bytes of a page's message: 64 streams with long names
MOST_CONNECTIONS: Final = 200
GOODBYE_S: Final = 2
SAY_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says. Endpoints of the daemon, and where to listen."""

    connect: str
    tap: str | None
    control: str
    host: str
    port: int
    metrics: str | None = None  # HOST:PORT of its HTTP
    strips: Path | None = None  # where they are kept; None: nowhere
    strips_keep_days: float = KEEP_DAYS
    strips_keep_mb: float = KEEP_MB


def serve(options: Options, configure: ConfigureSocket | None) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises StartError where it cannot listen."""
    log.configure()
    asyncio.run(_serve(options, configure))


async def _serve(options: Options, configure: ConfigureSocket | None) -> None:
    listener = _listener(options.host, options.port)
    port = listener.getsockname()[1]
    sessions = TokenSession()
    ward = Ward(options.connect, options.tap, options.control, configure, _scribe(options))
    daemon = DaemonHttp(options.metrics)
    where = addresses("http", LOOPBACK, port)
    app = application(ward, daemon, where, sessions, cookie=f"beatgan-{port}")
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="websockets-sansio",
            ws_max_size=MOST_MESSAGE,
            ws_per_message_deflate=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=GOODBYE_S,
        )
    )
    server.capture_signals = _leave_signals  # type: ignore[method-assign]  # they are ours
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, setattr, server, "should_exit", True)
    notifier = Notifier()
    serving = asyncio.create_task(server.serve([listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(SAY_S)
    if server.started:
        host = f"[{options.host}]" if ":" in options.host else options.host
        print(f"http://{host}:{port}/?token={sessions.token}", flush=True)  # noqa: T201
        notifier.send("READY=1", f"STATUS=serving on {host}:{port}")
    await serving
    notifier.send("STOPPING=1")


def _scribe(options: Options) -> Scribe | None:
    if options.strips is None:
        return None
    return Scribe(StripStore(options.strips, options.strips_keep_days, options.strips_keep_mb))


def _listener(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise StartError(f"--listen {host}:{port}: {error.strerror}") from None


@contextmanager
def _leave_signals() -> Iterator[None]:
    yield
