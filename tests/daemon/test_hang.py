"""A real service of which one thread hangs: systemd, health pages and the log hear of it."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from beatgan.model.loading import Loaded
from beatgan.model.scorer import Scorer
from beatgan.spec import PreprocessSpec
from beatgan_daemon.service import start
from beatgan_daemon.storage.journal import Journal
from beatgan_daemon.systemd import Notifier
from beatgan_train.training.coefficients import coefficients_of
from tests.support.settings import loopback_settings

COEFFICIENTS = coefficients_of("full")

LIMIT_S = 2.0  # the publisher moves once a second when it has nothing to do


@dataclass
class Gate:
    """A place where a thread is held while it is shut."""

    open: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self.open.set()

    def __call__(self, *_: object) -> bool:
        self.open.wait(30)
        return False


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.setblocking(False)
        yield end


def pings(manager: socket.socket) -> int:
    """How often systemd was told of progress since this was last asked."""
    count = 0
    while True:
        try:
            count += manager.recv(1024) == b"WATCHDOG=1"
        except BlockingIOError:
            return count


def until(condition: Callable[[], object]) -> None:
    end = monotonic() + 20
    while not condition():
        assert monotonic() < end
        sleep(0.02)


@pytest.mark.parametrize("hung", ["pipeline", "publisher"])
def test_each_thread_that_hangs_is_noticed(
    hung: str,
    manager: socket.socket,
    new_scorer: Callable[[], Scorer],
    logged: Callable[[], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    gates = {"pipeline": Gate(), "publisher": Gate()}
    monkeypatch.setattr(Journal, "retry_backlog", gates["publisher"])
    stop = Event()
    environment = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "200000"}
    settings = loopback_settings(**{"state.dir": str(tmp_path)})
    loaded = Loaded("student", "d1gest", PreprocessSpec(), COEFFICIENTS, new_scorer(), "cpu")
    with ExitStack() as resources:
        service = start(settings, loaded, resources, Notifier(environment), lambda: settings)
        service.announce()
        service.liveness.limit = LIMIT_S
        serving = Thread(target=service.serve, args=(lambda: gates["pipeline"]() or stop.is_set(),))
        serving.start()
        try:
            until(lambda: pings(manager))
            gates[hung].open.clear()
            until(service.liveness.stalled)
            until(lambda: [line for line in logged() if line["event"] == "a thread hangs"])
            pings(manager)
            sleep(0.5)
            assert pings(manager) == 0
            with pytest.raises(HTTPError, match="503") as answer:
                urlopen(f"http://{service.http.address}/livez", timeout=5)
            assert answer.value.read().decode().startswith(f"the {hung} has not moved for ")
            answer.value.close()
            gates[hung].open.set()
            until(lambda: pings(manager))
        finally:
            gates[hung].open.set()
            stop.set()
            serving.join()
    said = [(line["event"], line["thread"]) for line in logged() if "thread" in line]
    assert said == [("a thread hangs", hung), ("a thread moves again", hung)]
