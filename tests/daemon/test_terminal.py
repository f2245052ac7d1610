"""A terminal that closes ends the daemon in order; whoever else sends SIGHUP wants a reload."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from beatgan_daemon import signals
from beatgan_daemon.signals import reload_signal, stop_signals
from beatgan_daemon.terminal import LATE_S, Terminal


@pytest.fixture(autouse=True)
def without_nohup() -> Iterator[None]:
    """Whoever started the tests, perhaps with nohup, has said nothing of SIGHUP."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


class World:
    """A terminal that goes when told, and a clock that moves when told."""

    def __init__(self) -> None:
        self.present, self.now = True, 100.0

    def terminal(self) -> Terminal:
        return Terminal(lambda: self.present, lambda: self.now)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Whose terminal is none of this process's own."""
    monkeypatch.setattr("os.isatty", lambda _: False)
    return World()


def outcome(world: World, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> tuple[bool, bool]:
    """Whether a SIGHUP now stops, and whether it reloads."""
    monkeypatch.setattr(signals, "_terminal", terminal)
    with stop_signals() as stopping, reload_signal() as reloading:
        signal.raise_signal(signal.SIGHUP)
        return stopping(), reloading()


def test_a_hangup_stops_and_any_other_reloads(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = world.terminal()
    assert outcome(world, terminal, monkeypatch) == (False, True)
    world.present = False
    assert outcome(world, terminal, monkeypatch) == (True, False)


def test_without_a_terminal_it_is_always_a_reload(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.present = False
    assert outcome(world, world.terminal(), monkeypatch) == (False, True)


def test_a_terminal_that_went_long_ago_is_no_reason(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job in the background, whose terminal went without a signal."""
    terminal = world.terminal()
    world.present = False
    terminal.check()
    world.now += LATE_S
    assert outcome(world, terminal, monkeypatch) == (False, True)


def test_who_started_it_with_nohup_wants_it_to_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        terminal = world.terminal()
        world.present = False
        assert outcome(world, terminal, monkeypatch) == (False, True)
    finally:
        signal.signal(signal.SIGHUP, before)


PROGRAM = """
import sys, time
from beatgan_daemon.signals import hold_reload, reload_signal, stop_signals
hold_reload()
with stop_signals() as stopping, reload_signal() as reloading:
    print("ready", flush=True)
    while not stopping():
        if reloading():
            print("reload", flush=True)
        time.sleep(0.01)
    print("to a terminal that is gone", file=sys.stderr, flush=True)
    print("to a terminal that is gone", flush=True)
sys.exit(7)
"""


def test_a_real_terminal_that_closes() -> None:
    """A session of its own on a pseudo-terminal, which is then closed."""
    child, terminal = pty.fork()
    if child == 0:  # the child: no Python of ours runs on in it
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM])
    try:
        said = b""
        while b"ready" not in said:
            said += os.read(terminal, 100)
        os.kill(child, signal.SIGHUP)
        while b"reload" not in said:
            said += os.read(terminal, 100)
    finally:
        os.close(terminal)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7


def test_without_a_terminal_in_earnest(tmp_path: Any) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGHUP)
        assert process.stdout.readline() == "reload\n"
        process.terminate()
        assert process.wait(10) == 7
