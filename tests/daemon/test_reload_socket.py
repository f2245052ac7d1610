"""The command `reload` and the daemon it asks: two ends of a local socket."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep
from typing import Any

import pytest

from beatgan.errors import UsageError
from beatgan_daemon import cli, reload_socket
from beatgan_daemon.reload_socket import Answer, ReloadSocket, ask_for_reload


@pytest.fixture
def listener() -> Iterator[ReloadSocket]:
    with ReloadSocket() as listener:
        yield listener


def next_request(listener: ReloadSocket) -> Answer:
    end = monotonic() + 10
    while not (found := listener.requests()):
        assert monotonic() < end
        sleep(0.005)
    (answer,) = found
    return answer


@pytest.mark.parametrize(
    ("outcome", "code"), [("applied", 0), ("refused: m.pt: damaged", 3), ("failed: see the log", 1)]
)
def test_the_command_ends_as_the_reload_did(
    listener: ReloadSocket,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    outcome: str,
    code: int,
) -> None:
    monkeypatch.setattr("sys.argv", ["beatgan-daemon", "reload", str(os.getpid())])
    with ThreadPoolExecutor(1) as pool:
        daemon = pool.submit(lambda: next_request(listener)(outcome))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        daemon.result()
    assert ended.value.code == code
    assert capsys.readouterr().out == outcome + "\n"


def test_nobody_to_ask_is_an_error() -> None:
    with pytest.raises(UsageError, match="takes no requests to reload"):
        ask_for_reload(os.getpid(), 5.0)


def test_no_answer_is_an_error(listener: ReloadSocket) -> None:
    with pytest.raises(UsageError, match=r"did not answer within 0\.1 s"):
        ask_for_reload(os.getpid(), 0.1)


def test_another_user_is_not_served(
    listener: ReloadSocket, monkeypatch: pytest.MonkeyPatch, logged: Any
) -> None:
    real = reload_socket._credentials
    monkeypatch.setattr(reload_socket, "_credentials", lambda peer: (real(peer)[0], 12345, 12345))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask_for_reload, os.getpid(), 10.0)
        while not logged():
            assert listener.requests() == []
            sleep(0.005)
        with pytest.raises(UsageError, match="hung up"):
            asked.result()
    assert "user 12345" in logged()[0]["why"]


def test_a_second_listener_of_a_process_says_so_and_serves_nobody(
    listener: ReloadSocket, logged: Any
) -> None:
    with ReloadSocket() as second:
        assert second.requests() == []
    assert logged()[0]["event"] == "the command reload will not reach this daemon"
