"""The web process: listens, says where, tells systemd, ends with SIGTERM or by a fault."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn

from beatgan_daemon import log
from beatgan_daemon.clients.address import Daemon, Daemons, FixedDaemons
from beatgan_daemon.clients.shards import ShardDirectory
from beatgan_daemon.exit_codes import StartError, one_line
from beatgan_daemon.security.curve import ConfigureSocket
from beatgan_daemon.storage.strip_store import StripStore
from beatgan_daemon.systemd import Notifier
from beatgan_daemon.web.access import Access, access
from beatgan_daemon.web.app import application
from beatgan_daemon.web.daemon_http import DaemonsHttp
from beatgan_daemon.web.options import Options
from beatgan_daemon.web.scribe import Scribe
from beatgan_daemon.web.ward import Ward

MOST_MESSAGE: Final = 16_384  # bytes of a page's message: 64 streams with long names
MOST_CONNECTIONS: Final = 200
MUTE_S: Final = 10.0  # between pings of a tab, and as long for its answer: then it is gone
GOODBYE_S: Final = 1
SAY_S: Final = 0.05
PINGS: Final = 4  # in each of the watchdog's intervals


def serve(options: Options, configure: ConfigureSocket | None) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises StartError where it cannot begin, and whatever ended it else.
    """
    log.configure()
    asyncio.run(_serve(options, configure))


async def _serve(options: Options, configure: ConfigureSocket | None) -> None:
    notifier = Notifier()
    with _listener(options.host, options.port) as listener:
        opened = access(options.access, listener.getsockname()[1])
        daemons = _daemons(options)
        ward = Ward(daemons, configure, _scribe(options))
        metrics = DaemonsHttp(
            lambda: {name: at.http for name, at in daemons.daemons.items() if at.http}
        )
        server = _server(ward, metrics, opened, options.grafana)
        tasks = [
            asyncio.create_task(server.serve([listener]), name="server"),
            asyncio.create_task(ward.run(), name="ward"),
            asyncio.create_task(_report(notifier, server, opened), name="report"),
            asyncio.create_task(metrics.run(), name="metrics"),
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        notifier.send("STOPPING=1")
        server.should_exit = True
        await asyncio.wait(tasks[:1])
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for task, end in zip(tasks, ended, strict=True):
        if end is not None and not isinstance(end, asyncio.CancelledError):
            log.get().error(
                "the page's server ends by a fault", task=task.get_name(), why=_why(end)
            )
            raise end


def _daemons(options: Options) -> Daemons:
    if options.shards is not None:
        return ShardDirectory(options.shards)
    daemon = Daemon(options.connect, options.control, tap=options.tap, http=options.metrics)
    return FixedDaemons([daemon])


def _server(ward: Ward, daemon: DaemonsHttp, opened: Access, grafana: str | None) -> uvicorn.Server:
    tls = opened.tls
    config = uvicorn.Config(
        application(ward, daemon, opened.addresses, opened.sessions, grafana),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="websockets-sansio",
        ws_max_size=MOST_MESSAGE,
        ws_per_message_deflate=False,
        ws_ping_interval=MUTE_S,
        ws_ping_timeout=MUTE_S,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=GOODBYE_S,
        ssl_context_factory=None if tls is None else lambda *_: tls,
    )
    server = uvicorn.Server(config)
    server.capture_signals = _leave_signals  # type: ignore[method-assign]  # they are ours
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, setattr, server, "should_exit", True)
    return server


async def _report(notifier: Notifier, server: uvicorn.Server, opened: Access) -> None:
    """Say where the page is once it is there; then that this loop goes round."""
    while not server.started:
        await asyncio.sleep(SAY_S)
    print(opened.opened_at, flush=True)  # noqa: T201
    notifier.send("READY=1", f"STATUS=serving {opened.opened_at.partition('?')[0]}")
    interval = notifier.watchdog_s
    while True:
        if interval is not None:
            notifier.send("WATCHDOG=1")
        await asyncio.sleep(60.0 if interval is None else interval / PINGS)


def _scribe(options: Options) -> Scribe | None:
    if options.strips is None:
        return None
    keep = options.strips_keep_days, options.strips_keep_mb
    return Scribe(
        StripStore(options.strips, *keep, lambda what: log.get().warning("strips.db", why=what))
    )


def _listener(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family)
        # Who reads nothing would keep his place: what waits for him keeps his connection open.
        # Connections have it of their listener (Linux).
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(1_000 * MUTE_S))
        return listener
    except OSError as error:
        raise StartError(f"--listen {host}:{port}: {error.strerror}") from None


def _why(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {one_line(error)}"


@contextmanager
def _leave_signals() -> Iterator[None]:
    yield
