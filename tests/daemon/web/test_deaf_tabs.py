"""Tabs that never read keep nobody out for long, and nobody waiting."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from beatgan_daemon.web.options import AccessOptions, Options, written
from tests.daemon.web.conftest import FS, Daemon, Web, eventually, serving_web
from tests.support.actions import RecordedActions, entry
from tests.support.deaf_tab import deaf_tab

STREAMS = [f"bed-{number:02}" for number in range(64)]
MUTE_S = 3.0  # in place of 10
GROWS_MB = 15.0  # at most, of 31 tabs whose wishes come to 900 kB each
PAST_S = 5.0  # in which 20 s of ECG and more come, which those get who come later
QUICK = f"""
from beatgan_daemon.web import server
server.MUTE_S = {MUTE_S}
from beatgan_daemon.web.__main__ import main
main()
"""
WISH = {
    "t": "want",
    "streams": [{"stream": each, "leads": [0], "zoom": "full"} for each in STREAMS],
}


@pytest.fixture
def ward(daemon: Daemon) -> Iterator[Daemon]:
    """64 beds that send ECG."""
    daemon.actions = RecordedActions(*map(entry, STREAMS))
    ended, ecg = Event(), np.zeros(round(FS / 5), np.float32)

    def send() -> None:
        turn = 0
        while not ended.wait(0.2 if turn > 150 else 0.01):  # 30 s at once
            for each in STREAMS:
                daemon.frame(each, turn * len(ecg), ecg)
            turn += 1

    sender = Thread(target=send)
    sender.start()
    yield daemon
    ended.set()
    sender.join()


@pytest.fixture
def quick_web(ward: Daemon) -> Iterator[Web]:
    """Deaf tabs are dropped sooner than 10 s."""
    _, connect, _, tap, _, control = ward.endpoints
    options = Options(connect, tap, control, "127.0.0.1", 0, AccessOptions("127.0.0.1"))
    with serving_web([sys.executable, "-c", QUICK, written(options)]) as web:
        yield web


def memory_mb(web: Web) -> float:
    status = Path(f"/proc/{web.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024  # at most so far


def lets_in(web: Web) -> bool:
    with web.socket() as one:
        try:
            return bool(json.loads(one.recv(5))["t"] == "hello")
        except ConnectionClosed:
            return False


class Reader:
    """A tab that reads, and the longest that it waited for a message, s."""

    def __init__(self, socket: ClientConnection) -> None:
        self.longest_s = 0.0
        self._socket, self._thread = socket, Thread(target=self._read)
        socket.send(json.dumps(WISH))
        self._thread.start()

    def _read(self) -> None:
        last = monotonic()
        with suppress(ConnectionClosed):
            while True:
                self._socket.recv()
                self.longest_s, last = max(self.longest_s, monotonic() - last), monotonic()

    def close(self) -> None:
        self._socket.close()
        self._thread.join()


def test_fifty_that_never_read_keep_nobody_out_for_long(quick_web: Web) -> None:
    web = quick_web
    with ExitStack() as opened:
        reader = opened.enter_context(closing(Reader(opened.enter_context(web.socket()))))
        sleep(PAST_S)
        reader.longest_s, before = 0.0, memory_mb(web)
        for _ in range(50):
            opened.enter_context(closing(deaf_tab(web.host, web.cookie, STREAMS, [0])))
        eventually(lambda: not lets_in(web))
        sleep(2 * MUTE_S + 1)  # a ping, and the time for its answer
        assert lets_in(web), "tabs that answer no ping keep their places"
        longest, grown = reader.longest_s, memory_mb(web) - before
    assert longest < 3.0, f"the tab that reads waited for {longest:.1f} s"
    assert grown < GROWS_MB, f"the server grew by {grown:.0f} MB"
