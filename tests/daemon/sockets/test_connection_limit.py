"""Peers that take too many connections lose the latest of them."""

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event
from time import monotonic

import pytest
import zmq

from beatgan_daemon import descriptors
from beatgan_daemon.security.allow_list import Role
from beatgan_daemon.sockets import connection_limit
from beatgan_daemon.sockets.connection_limit import ConnectionLimit, _Connection, ranked


def of(host: str, *numbers: int) -> list[_Connection]:
    return [_Connection(number, number, Role.INGEST, host) for number in numbers]


def test_who_has_most_loses_first_and_the_latest_of_them() -> None:
    there = [*of("a", 50, 51), *of("b", 10, 11, 12, 13), *of("c", 99)]
    cut = [(each.host, each.descriptor) for each in ranked(there)]
    assert cut == [("b", 13), ("b", 12), ("a", 51), ("b", 11), ("c", 99), ("a", 50), ("b", 10)]


@pytest.fixture(params=["tcp", "ipc", "ipc-abstract"])
def endpoint(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """One of a real socket."""
    places = {
        "tcp": "tcp://127.0.0.1:*",
        "ipc": f"ipc://{tmp_path}/socket",
        "ipc-abstract": f"ipc://@beatgan-{tmp_path.name}",
    }
    with zmq.Context() as context, context.socket(zmq.SUB) as bound:
        bound.bind(places[request.param])
        yield bound.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")


def call(endpoint: str) -> socket.socket:
    scheme, _, rest = endpoint.partition("://")
    if scheme == "tcp":
        return socket.create_connection(("127.0.0.1", int(rest.rpartition(":")[2])), timeout=20)
    caller = socket.socket(socket.AF_UNIX)
    caller.settimeout(20)
    caller.connect(rest.replace("@", "\0"))
    return caller


def is_cut(caller: socket.socket) -> bool:
    """Whether it was ended from the other side."""
    caller.setblocking(False)
    try:
        while caller.recv(100):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True


def test_the_latest_are_cut_off_and_counted(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limit, used = 2 * (descriptors.used() + 100), descriptors.used
    monkeypatch.setattr(descriptors, "limit", lambda: limit)
    monkeypatch.setattr(descriptors, "used", lambda: used() - len(callers))  # as if not ours
    callers: list[socket.socket] = []
    refused: Counter[tuple[str, str]] = Counter()
    cut = Event()

    def count(role: str, reason: str) -> None:
        refused[role, reason] += 1
        cut.set()

    with ExitStack() as opened:
        for _ in range(20):
            callers.append(opened.enter_context(call(endpoint)))
            assert callers[-1].recv(100)  # ZMTP's greeting: libzmq has it
        opened.enter_context(ConnectionLimit({Role.CONTROL: [endpoint]}, count))
        while not cut.is_set():
            assert len(callers) < 1_000
            callers.append(opened.enter_context(call(endpoint)))
            with suppress(ConnectionError):  # if it was cut
                callers[-1].recv(100)
        end = monotonic() + 20
        while not any(map(is_cut, callers[20:])):
            assert monotonic() < end
        assert not any(map(is_cut, callers[:20]))
    assert refused.keys() == {("control", "too-many")}


def test_what_is_cut_is_counted_once() -> None:
    """Until libzmq has closed it, it is there."""
    refused: list[str] = []
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        ConnectionLimit({}, lambda *_: None) as idle,
    ):
        endpoint = "tcp://{}:{}".format(*server.getsockname())
        with call(endpoint), server.accept()[0] as taken:
            idle._roles = {connection_limit._place(endpoint): Role.INGEST}
            idle._refused = lambda role, _: refused.append(role)
            idle._cut_down(1, 1)  # there is room for it
            assert refused == []
            idle._cut_down(1, 2)
            idle._cut_down(1, 2)
            assert taken.recv(1) == b""
    assert refused == ["ingest"]


def test_where_no_descriptor_is_left_connections_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none_left(_: str) -> list[str]:
        raise OSError(24, "Too many open files")

    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = "tcp://{}:{}".format(*server.getsockname())
        with call(endpoint), server.accept()[0] as taken:
            with ConnectionLimit({Role.INGEST: [endpoint]}, lambda *_: None) as limit:
                monkeypatch.setattr("os.listdir", none_left)
                monkeypatch.setattr(descriptors, "limit", lambda: taken.fileno() + 1)
                limit._cut_down(0, 1)
            assert taken.recv(1) == b""
