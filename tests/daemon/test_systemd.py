"""What systemd hears, on a socket of our own in its place."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import enumerate as enumerate_threads
from time import monotonic, monotonic_ns

import pytest

from beatgan_daemon.systemd import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """The service manager's end, and the address as systemd would write it."""
    end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    end.settimeout(5)
    if request.param == "path":
        address = str(tmp_path / "notify")
        end.bind(address)
    else:
        address = f"@beatgan-test-{os.getpid()}"
        end.bind("\0" + address[1:])
    yield end, address
    end.close()


def test_lines_arrive_together(manager: tuple[socket.socket, str]) -> None:
    end, address = manager
    Notifier({"NOTIFY_SOCKET": address}).send("READY=1", "STATUS=0 streams")
    assert end.recv(1024) == b"READY=1\nSTATUS=0 streams"


def test_without_a_manager_nothing_happens(tmp_path: Path) -> None:
    Notifier({}).send("READY=1")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).send("READY=1")


def test_a_manager_that_does_not_listen_holds_nothing_up(
    manager: tuple[socket.socket, str],
) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager[1]})
    began = monotonic()
    for _ in range(20):  # more than the socket's queue holds
        notifier.send("WATCHDOG=1")
    assert monotonic() - began < 10


def test_a_reload_tells_when_it_began(manager: tuple[socket.socket, str]) -> None:
    end, address = manager
    before = monotonic_ns() // 1000
    Notifier({"NOTIFY_SOCKET": address}).reloading()
    said = dict(line.split("=") for line in end.recv(1024).decode().split("\n"))
    assert said["RELOADING"] == "1"
    assert before <= int(said["MONOTONIC_USEC"]) <= monotonic_ns() // 1000


def test_while_it_warms_up_it_asks_for_time_and_not_for_ever(
    manager: tuple[socket.socket, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    end, address = manager
    monkeypatch.setattr("beatgan_daemon.systemd.EXTENSION_S", 0.1)
    monkeypatch.setattr("beatgan_daemon.systemd.EXTENSIONS", 3)
    notifier = Notifier({"NOTIFY_SOCKET": address})
    with notifier.warming_up("thinking"):
        assert end.recv(1024) == b"STATUS=thinking"
        for _ in range(3):
            assert end.recv(1024) == b"EXTEND_TIMEOUT_USEC=100000"
        end.settimeout(0.3)
        with pytest.raises(TimeoutError):
            end.recv(1024)
    with notifier.warming_up("again"):
        pass
    assert end.recv(1024) == b"STATUS=again"


def test_warming_up_ends_with_what_went_wrong(manager: tuple[socket.socket, str]) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        Notifier({"NOTIFY_SOCKET": manager[1]}).warming_up("thinking"),
    ):
        raise ZeroDivisionError
    assert not [thread for thread in enumerate_threads() if thread.name == "warming-up"]


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "often"}, None),
    ],
)
def test_watchdog_interval(environment: dict[str, str], seconds: float | None) -> None:
    assert Notifier(environment).watchdog_s == seconds
