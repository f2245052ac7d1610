"""Who moves, who hangs, and who hears of it: systemd, health pages, the log, the status line."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any

import pytest

from beatgan_daemon.liveness import STALL_S, Liveness, WallClock, Watchdog
from beatgan_daemon.metrics import Metrics
from beatgan_daemon.systemd import Notifier

LIMIT_S = 0.3
THREADS = ("pipeline", "publisher", "third")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_without_a_hang_nothing_is_wrong(clock: Clock) -> None:
    liveness = Liveness(Metrics("1", "2"), Notifier({}), clock, 0)
    clock.now += STALL_S
    assert liveness.stalled() is None
    assert liveness.unready() is None


def test_every_thread_that_hangs_is_named(clock: Clock) -> None:
    liveness = Liveness(Metrics("1", "2"), Notifier({}), clock, 0)
    moved = {"publisher": clock.now, "third": clock.now + 8}
    liveness.watch("publisher", lambda: moved["publisher"])
    liveness.watch("third", lambda: moved["third"])
    clock.now += 12
    liveness.iterated(clock.now)
    assert liveness.stalled() == "the publisher has not moved for 12 s"
    clock.now += 11
    assert set(liveness.stalled_threads()) == {"pipeline", "publisher", "third"}
    assert "the pipeline has not moved for 11 s, the publisher has" in str(liveness.stalled())
    assert liveness.unready() == liveness.stalled()


def test_trouble_of_another_kind_is_no_hang_but_no_time_to_send_ecg(clock: Clock) -> None:
    metrics = Metrics("1", "2")
    liveness = Liveness(metrics, Notifier({}), clock, 0)
    assert metrics.total("ready") == 1
    liveness.full = "full: 2 streams or more find no place (streams.max)"
    assert (liveness.stalled(), liveness.unready()) == (None, liveness.full)
    liveness.stopping = True
    assert (liveness.stalled(), liveness.unready()) == (None, "stopping")
    assert metrics.total("ready") == 0


def test_the_status_line_tells_of_the_time_since_the_last(
    clock: Clock, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    metrics = Metrics("1", "2")
    liveness = Liveness(metrics, Notifier({}), clock, 60.0)
    metrics.streams(3)
    for second in range(120):
        metrics.scored(2 if second < 60 else 4)
        clock.now += 1
        liveness.iterated(clock.now)
    said = [line for line in logged() if line["event"] == "status"]
    assert [(line["seconds"], line["beats"], line["beats_per_s"]) for line in said] == [
        (60, 120, 2.0),
        (60, 240, 4.0),
    ]
    assert said[0]["streams"] == 3


def test_status_lines_can_be_switched_off_while_it_runs(
    clock: Clock, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    liveness = Liveness(Metrics("1", "2"), Notifier({}), clock, 60.0)
    liveness.status_s = 0.0
    clock.now += 600
    liveness.iterated(clock.now)
    assert logged() == []


class Worker:
    """A thread that moves until told to hang."""

    def __init__(self) -> None:
        self.moved = monotonic()
        self.hang, self.end = Event(), Event()
        self.thread = Thread(target=self._run, daemon=True)
        self.thread.start()

    def last_moved(self) -> float:
        return self.moved

    def _run(self) -> None:
        while not self.end.wait(0.01):
            if not self.hang.is_set():
                self.moved = monotonic()


@pytest.fixture
def workers() -> Iterator[dict[str, Worker]]:
    made = {name: Worker() for name in THREADS}
    yield made
    for worker in made.values():
        worker.end.set()
        worker.thread.join()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[tuple[Notifier, socket.socket]]:
    """A notifier with a watchdog of 0.2 s, and its service manager's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.settimeout(5)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        yield Notifier(environment), end


def emptied(end: socket.socket) -> int:
    """How many datagrams were waiting."""
    end.setblocking(False)
    count = 0
    try:
        while end.recv(1024):
            count += 1
    except BlockingIOError:
        end.settimeout(5)
    return count


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end
        sleep(0.01)


@pytest.mark.parametrize("stalled_threads", THREADS)
def test_each_thread_that_hangs_stops_the_pings(
    workers: dict[str, Worker],
    manager: tuple[Notifier, socket.socket],
    logged: Callable[[], list[dict[str, Any]]],
    stalled_threads: str,
) -> None:
    notifier, end = manager
    liveness = Liveness(Metrics("1", "2"), notifier, monotonic, 0, limit=LIMIT_S)
    for name, worker in workers.items():
        liveness.watch(name, worker.last_moved)
    with Watchdog(liveness, notifier):
        assert end.recv(1024) == b"WATCHDOG=1"
        workers[stalled_threads].hang.set()
        until(liveness.stalled)
        until(lambda: len(logged()) == 1)
        emptied(end)
        sleep(2 * LIMIT_S)
        assert emptied(end) == 0
        workers[stalled_threads].hang.clear()
        assert end.recv(1024) == b"WATCHDOG=1"
        until(lambda: len(logged()) == 2)
    assert [(line["event"], line["thread"]) for line in logged()] == [
        ("a thread hangs", stalled_threads),
        ("a thread moves again", stalled_threads),
    ]


def test_without_systemd_a_hang_is_logged_all_the_same(
    clock: Clock,
    logged: Callable[[], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("beatgan_daemon.liveness.CHECK_S", 0.01)
    liveness = Liveness(Metrics("1", "2"), Notifier({}), clock, 0)
    clock.now += 15
    with Watchdog(liveness, Notifier({})):
        until(logged)
        sleep(0.1)
    assert [(line["thread"], line["seconds"]) for line in logged()] == [("pipeline", 15)]


def test_a_clock_that_is_set_is_noticed_and_one_that_drifts_is_not() -> None:
    now, running = [1e9], [5.0]
    clock = WallClock(lambda: now[0], lambda: running[0])
    for step, expected in ((0.0, 0.0), (0.01, 0.0), (60 * 86_400.0, 5_184_000.0), (-90.0, -90.0)):
        now[0] += 1.0 + step
        running[0] += 1.0
        assert clock.stepped() == pytest.approx(expected)
    assert clock.stepped() == 0.0  # told once


def test_lost_lines_of_the_log_are_told_until_that_is_not_lost(
    clock: Clock,
    logged: Callable[[], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lost = iter((0, 5, 6, 7, 7, 7, 9))
    monkeypatch.setattr("beatgan_daemon.log_writer.lost_lines", lambda: next(lost, 9))
    monkeypatch.setattr("beatgan_daemon.liveness.CHECK_S", 0.001)
    with Watchdog(Liveness(Metrics("1", "2"), Notifier({}), clock, 0), Notifier({})):
        end = monotonic() + 30
        while len(logged()) < 4 and monotonic() < end:
            sleep(0.01)
    assert [line["count"] for line in logged()] == [5, 6, 7, 2]
