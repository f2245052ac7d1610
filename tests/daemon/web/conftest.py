"""A daemon that a test speaks for, and the web process that hears it."""

import http.client
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np
import pytest
import zmq
from websockets.sync.client import ClientConnection, connect

from beatgan.protocol.alert_journal import JournalEntry
from beatgan.protocol.control_answers import answer
from beatgan.protocol.frames import encode_frame
from beatgan.protocol.messages import AlertMessage, BeatMessage, encode_json, encode_message
from beatgan.types import Chunk
from tests.support.actions import RecordedActions, entry

FS = 360.0
START_S = 20.0


class Journal:
    """Alerts in a list."""

    oldest = 0

    def __init__(self) -> None:
        self.entries: list[JournalEntry] = []

    @property
    def next_n(self) -> int:
        return len(self.entries)

    @next_n.setter
    def next_n(self, _: int) -> None:
        raise AssertionError

    def since(self, n: int, limit: int) -> Iterator[tuple[int, bytes]]:
        return iter([(each.n, each.body) for each in self.entries[n : n + limit]])

    def active(self) -> Sequence[JournalEntry]:
        last = {each.id: each for each in self.entries}
        return [each for each in last.values() if not each.ends_episode]

    def find(self, episode: str) -> JournalEntry | None:
        return next((each for each in self.active() if each.id == episode), None)


class Daemon:
    """Sockets like a daemon's; what is asked is answered by the daemon's own code."""

    def __init__(self) -> None:
        self.context = zmq.Context[zmq.Socket[bytes]]()
        self.outlet, self.tap = self.context.socket(zmq.XPUB), self.context.socket(zmq.XPUB)
        self._control = self.context.socket(zmq.ROUTER)
        self.journal, self.actions = Journal(), RecordedActions(entry("bed-1"), entry("bed-10"))
        for socket in (self.outlet, self.tap, self._control):
            socket.linger = 0
            socket.bind("tcp://127.0.0.1:*")
        self._stop = Event()
        self._thread = Thread(target=self._serve)
        self._thread.start()

    @property
    def endpoints(self) -> list[str]:
        pairs = zip(
            ("--connect", "--tap", "--control"),
            (self.outlet, self.tap, self._control),
            strict=True,
        )
        return [
            word
            for flag, socket in pairs
            for word in (flag, socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0"))
        ]

    def _serve(self) -> None:
        while not self._stop.is_set():
            if self._control.poll(20):
                client, request = self._control.recv_multipart()
                reply = answer(request, self.journal, self.actions)
                self._control.send_multipart([client, *reply.frames])

    def alert(self, message: AlertMessage, *, heard: bool = True) -> None:
        body = encode_json(message)
        self.journal.entries.append(
            JournalEntry(message.n, message.id, message.stream, message.phase, body)
        )
        if heard:
            self.outlet.send_multipart(encode_message(message))

    def beat(self, message: BeatMessage) -> None:
        self.outlet.send_multipart(encode_message(message))

    def frame(self, stream: str, first: int, millivolt: np.ndarray[Any, Any]) -> None:
        samples = np.asarray(millivolt, np.float32).reshape(-1, 1)
        self.tap.send_multipart(
            encode_frame(Chunk(stream, 7, 0, first, 10**18, FS, ("II",), samples))
        )

    def wait_for(self, socket: zmq.Socket[bytes], topic: bytes) -> None:
        """Until somebody has subscribed to ``topic``."""
        end = monotonic() + START_S
        while monotonic() < end:
            if socket.poll(100) and socket.recv() == b"\x01" + topic:
                return
        raise AssertionError(f"nobody subscribed to {topic!r}")

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        for socket in (self.outlet, self.tap, self._control):
            socket.close()
        self.context.term()


class Web:
    """The process, and a browser's part."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self.url = urlsplit(process.stdout.readline().strip())
        self.host = self.url.netloc
        self.cookie = self.get(f"/?{self.url.query}")[1]["set-cookie"].split(";")[0]

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body; ``headers``: with _ for -."""
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        with closing(http.client.HTTPConnection(self.host, timeout=10)) as connection:
            connection.request("GET", path, headers=sent)
            reply = connection.getresponse()
            return (
                reply.status,
                {key.lower(): value for key, value in reply.getheaders()},
                reply.read(),
            )

    def socket(self, **changed: Any) -> ClientConnection:
        headers = {"Cookie": changed.pop("cookie", self.cookie)}
        options: dict[str, Any] = {"origin": f"http://{self.host}", "compression": None, **changed}
        opened: ClientConnection = connect(
            f"ws://{self.host}/ws", additional_headers=headers, **options
        )
        return opened


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with closing(Daemon()) as daemon:
        yield daemon


@contextmanager
def serving_web(command: Sequence[str]) -> Iterator[Web]:
    """The server that ``command`` starts; it has to end well."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield Web(process)
    finally:
        process.terminate()
        assert process.wait(10) == 0
        assert process.stdout is not None
        process.stdout.close()


@contextmanager
def serving(daemon: Daemon, *options: str) -> Iterator[Web]:
    command = [sys.executable, "-m", "beatgan_daemon", "web", *daemon.endpoints, *options]
    with serving_web([*command, "--listen", "127.0.0.1:0"]) as web:
        yield web


@pytest.fixture
def web(daemon: Daemon) -> Iterator[Web]:
    with serving(daemon) as web:
        yield web


def until(socket: ClientConnection, wanted: Callable[[Any], bool]) -> Any:
    """The first message, JSON read, that is wanted."""
    end = monotonic() + 10
    while monotonic() < end:
        said = socket.recv(timeout=10)
        message = said if isinstance(said, bytes) else msgspec.json.decode(said)
        if wanted(message):
            return message
    raise AssertionError("it never came")


def eventually(what: Callable[[], bool]) -> None:
    end = monotonic() + 10
    while not what():
        assert monotonic() < end
        sleep(0.02)
