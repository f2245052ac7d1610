"""`watch` as a person has it: the whole command on a terminal, keys and all."""

import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fcntl import ioctl
from threading import Event, Thread
from time import monotonic
from typing import Any

from beatgan.records import excerpt
from beatgan_daemon.clients.process import COMMAND, environment
from beatgan_daemon.playback.replay import Plan, replay

LINES, COLUMNS = 30, 160
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x1b\x07]*(?:\x1b\\|\x07)")
WAIT_S = 30.0


class Terminal:
    """The side of a terminal where a person sits."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self.written = descriptor, ""

    def press(self, *keys: str) -> None:
        os.write(self._descriptor, "".join(keys).encode())

    def read(self, seconds: float = 0.1) -> bool:
        """Take what was written; whether anything more may come."""
        if not select.select([self._descriptor], [], [], seconds)[0]:
            return True
        try:
            self.written += os.read(self._descriptor, 65_536).decode("utf-8", "replace")
        except OSError:  # nobody has the other side open any more
            return False
        return True

    def screen(self) -> str:
        """What stands on it: what was written since the cursor was last at home."""
        return ESCAPE.sub("", self.written.rpartition("\x1b[H")[2]).replace("\r", "")

    def until(self, wanted: Callable[[str], object]) -> str:
        """The first whole screen on which there is what is ``wanted``."""
        end = monotonic() + WAIT_S
        while monotonic() < end:
            self.read()
            for frame in self.written.split("\x1b[H")[-3:]:
                text = ESCAPE.sub("", frame).replace("\r", "")
                if "not a medical device" in text and wanted(text):
                    return text
        raise AssertionError(f"it never stood there; the last screen:\n{self.screen()}")


@contextmanager
def on_terminal(*arguments: str) -> Iterator[tuple[Terminal, subprocess.Popen[bytes], int]]:
    """The command on a terminal of its own; the terminal's other side, to ask for its settings."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment({"TERM": "xterm-256color", "COLUMNS": "", "LINES": ""}),
        start_new_session=True,
    )
    try:
        yield Terminal(ours), process, theirs
    finally:
        process.kill()
        process.wait()
        for descriptor in (ours, theirs):
            with suppress(OSError):
                os.close(descriptor)


def row(screen: str, stream: str) -> str:
    """A bed's line; empty where it has none."""
    return next((line for line in screen.splitlines() if f" {stream} " in line), "")


@contextmanager
def fed(ingest: str, *names: str) -> Iterator[None]:
    """Streams of these excerpts, ten times as fast as life."""
    stop, recordings = Event(), [excerpt.read(name).recording for name in names]
    options = {"connect": ingest, "stop": stop}
    feed = Thread(target=replay, args=(recordings, Plan(speed=10, loop=True)), kwargs=options)
    feed.start()
    try:
        yield
    finally:
        stop.set()
        feed.join()


def test_watch_shows_beds_and_alarms_acknowledges_by_a_key_and_leaves_the_terminal_as_it_was(
    start: Any,
) -> None:
    with (
        start() as daemon,
        fed(daemon.ingest, "bigeminy", "normal"),
        on_terminal("watch", "--connect", daemon.publish, "--control", daemon.control) as told,
    ):
        terminal, process, theirs = told
        before = termios.tcgetattr(theirs)
        terminal.until(lambda text: row(text, "bigeminy") and row(text, "normal"))
        assert not termios.tcgetattr(theirs)[3] & termios.ICANON  # single keys
        terminal.until(lambda text: "** MEDIUM" in row(text, "bigeminy"))
        terminal.press("\x1b[B", "a")
        terminal.until(lambda text: re.search(r"> bigeminy .*seen", text))
        terminal.press("/", "n", "o", "r", "\r")
        terminal.until(lambda text: row(text, "normal") and not row(text, "bigeminy"))
        terminal.press("q")
        assert process.wait(10) == 0
        while terminal.read() and "\x1b[?1049l" not in terminal.written:
            pass
        assert terminal.written.count("\x1b[?1049h") == terminal.written.count("\x1b[?1049l") == 1
        assert terminal.written.rfind("\x1b[?25h") > terminal.written.rfind("\x1b[?25l")
        assert termios.tcgetattr(theirs) == before
        assert "Traceback" not in terminal.written


def test_ctrl_c_ends_it_as_well(start: Any) -> None:
    with (
        start() as daemon,
        on_terminal("watch", "--connect", daemon.publish) as (terminal, process, theirs),
    ):
        terminal.until(lambda text: "0 of 0 beds" in text and "last word" in text)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert termios.tcgetattr(theirs)[3] & termios.ECHO
