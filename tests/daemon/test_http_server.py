"""The HTTP side: metrics, liveness, readiness, and nothing else."""

import http.client
import io
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from select import select
from time import monotonic

import pytest
import structlog

from beatgan_daemon import log
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.http_server import MAX_CLIENTS, REQUEST_TIMEOUT_S, HttpServer
from beatgan_daemon.settings_schema import Address

LOOPBACK = Address("127.0.0.1", 0)


class Health:
    alive: str | None = None
    ready: str | None = None


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def server(health: Health) -> Iterator[HttpServer]:
    server = HttpServer(
        LOOPBACK, lambda: b"beatgan_x 1\n", lambda: health.alive, lambda: health.ready
    )
    yield server
    server.close()


def get(server: HttpServer, path: str, method: str = "GET") -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(*server.address, timeout=5)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, answer.headers["Content-Type"], body


def test_metrics_page(server: HttpServer) -> None:
    status, kind, body = get(server, "/metrics")
    assert (status, body) == (200, "beatgan_x 1\n")
    assert kind.startswith("text/plain; version=")


def test_health_follows_the_checks(server: HttpServer, health: Health) -> None:
    assert get(server, "/livez")[::2] == (200, "ok\n")
    assert get(server, "/readyz")[::2] == (200, "ok\n")
    health.alive, health.ready = "the pipeline has not moved for 12 s", "starting"
    assert get(server, "/livez")[::2] == (503, "the pipeline has not moved for 12 s\n")
    assert get(server, "/readyz")[::2] == (503, "starting\n")


def test_everything_else_is_not_found(server: HttpServer) -> None:
    for path in ("/", "/metrics/", "/etc/passwd", "/livez2"):
        assert get(server, path)[0] == 404


def test_query_is_ignored_and_head_has_no_body(server: HttpServer) -> None:
    assert get(server, "/livez?verbose")[0] == 200
    assert get(server, "/livez", "HEAD")[::2] == (200, "")
    assert get(server, "/livez", "POST")[0] == 501


def test_port_in_use_is_named(server: HttpServer) -> None:
    with pytest.raises(StartError, match=rf"http\.listen.*{server.address}.*in use"):
        HttpServer(server.address, lambda: b"", lambda: None, lambda: None)


def test_port_is_free_again_after_close() -> None:
    first = HttpServer(LOOPBACK, lambda: b"", lambda: None, lambda: None)
    first.close()
    again = HttpServer(first.address, lambda: b"", lambda: None, lambda: None)
    again.close()


def test_a_client_that_dawdles_is_cut_off(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beatgan_daemon.http_server.REQUEST_TIMEOUT_S", 0.5)
    with socket.create_connection(server.address, timeout=5) as client:
        began = monotonic()
        with suppress(ConnectionError):  # that is what being cut off may look like
            while monotonic() < began + 5:
                client.sendall(b"G")  # never idle for long, never done
                if select([client], [], [], 0.05)[0] and not client.recv(10):
                    break
        assert monotonic() < began + 3
    assert get(server, "/livez")[0] == 200


def test_slow_clients_in_any_number_keep_nobody_from_an_answer(server: HttpServer) -> None:
    """Each of them sends half a request and waits."""
    threads = threading.active_count()
    with ExitStack() as stack:
        clients = []
        for _ in range(3 * MAX_CLIENTS):
            client = stack.enter_context(socket.create_connection(server.address, timeout=5))
            client.sendall(b"GET /livez HTTP/1.1\r\nX: ")
            clients.append(client)
        began = monotonic()
        for path in ("/livez", "/readyz", "/metrics"):
            assert get(server, path)[0] == 200
        assert monotonic() - began < REQUEST_TIMEOUT_S  # none of them had to time out first
        with suppress(ConnectionError):
            assert clients[0].recv(10) == b""  # the first to come is the first to go
        assert clients[-1] in select([], [clients[-1]], [], 5)[1]
        assert threading.active_count() <= threads + 2 * MAX_CLIENTS


def test_a_bug_behind_a_page_reaches_the_log_and_harms_no_other_page() -> None:
    def broken() -> bytes:
        raise ZeroDivisionError("a bug")

    out = io.StringIO()
    log.configure(form="json", stream=out)
    server = HttpServer(LOOPBACK, broken, lambda: None, lambda: None)
    try:
        with pytest.raises(http.client.RemoteDisconnected):
            get(server, "/metrics")
        assert get(server, "/livez")[0] == 200
    finally:
        server.close()
        structlog.reset_defaults()
    assert "ZeroDivisionError: a bug" in json.loads(out.getvalue())["exception"]
