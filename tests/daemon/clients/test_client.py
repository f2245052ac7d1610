"""Asking a daemon's control socket: pages, silence, nonsense, and a daemon that comes back."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Event, Thread
from typing import Self

import pytest
import zmq
from typer.testing import CliRunner

from beatgan.errors import UsageError
from beatgan.protocol.alert_journal import JournalEntry
from beatgan_daemon.cli import app
from beatgan_daemon.clients import client as client_module
from beatgan_daemon.clients.client import (
    AnswerUnavailableError,
    Client,
    NoAnswerError,
    acknowledge,
    active,
    fetch_alerts,
    fetch_episode,
    follow_alerts,
)
from beatgan_daemon.sockets.control_socket import ControlSocket
from beatgan_daemon.storage.journal import Journal
from tests.support.actions import RecordedActions
from tests.support.actions import entry as entry_of

ANY = "tcp://127.0.0.1:*"
Socket = zmq.Socket[bytes]


def entry(n: int, episode: str = "") -> JournalEntry:
    return JournalEntry(n, episode or f"e{n}", "bed", "start", b'{"n":%d}' % n)


class Served:
    """A control socket with a journal behind it, served by a thread of its own."""

    def __init__(self, alerts: int, endpoint: str = ANY) -> None:
        self.actions = RecordedActions(entry_of("bed-7"))
        self._pending: list[JournalEntry] = [entry(n) for n in range(alerts)]
        self._endpoint, self._ready, self._over = endpoint, Event(), Event()
        self._thread = Thread(target=self._run)

    def append(self, *entries: JournalEntry) -> None:
        self._pending += entries

    def _run(self) -> None:
        journal = Journal(None, lambda text: None)
        with (
            zmq.Context[Socket]() as context,
            ControlSocket(
                context,
                self._endpoint,
                actions=self.actions,
                requested=lambda kind, outcome: None,
            ) as control,
        ):
            self.endpoint = control.endpoint
            self._ready.set()
            while not self._over.is_set():
                pending, self._pending = self._pending, []
                journal.append(pending, {}, 0)
                if control.socket.poll(10):
                    control.serve(journal, 1.0)
        journal.close()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(5.0)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@pytest.fixture
def served() -> Iterator[Served]:
    with Served(2500) as served:
        yield served


def test_all_pages_come(served: Served) -> None:
    assert [json.loads(body)["n"] for body in fetch_alerts(served.endpoint)] == list(range(2500))
    assert list(fetch_alerts(served.endpoint, 2498)) == [b'{"n":2498}', b'{"n":2499}']
    assert list(fetch_alerts(served.endpoint, 2500)) == []
    assert len(list(active(served.endpoint))) == 2500


def told(n: int, episode: str, phase: str) -> JournalEntry:
    body = json.dumps({"id": episode, "n": n, "phase": phase}).encode()
    return JournalEntry(n, episode, "bed", phase, body)


@pytest.mark.parametrize("ends", [501, 1400])
def test_an_episode_is_found_from_the_latest_alert_backwards(ends: int) -> None:
    others = [told(n, f"e{n}", "start") for n in range(1500)]
    others[0] = told(0, "wanted", "update")  # before its start: of an earlier life, say
    for n, phase in ((500, "start"), (ends, "end")):
        others[n] = told(n, "wanted", phase)
    with Served(0) as served:
        served.append(*others)
        while len(list(fetch_alerts(served.endpoint))) < 1500:
            pass
        found = fetch_episode(served.endpoint, "wanted")
        assert [json.loads(body)["n"] for body in found] == [500, ends]
        assert fetch_episode(served.endpoint, "nobody") == []


def test_an_episode_is_acknowledged_or_unknown(served: Served) -> None:
    acknowledge(served.endpoint, "e7")
    assert served.actions.acknowledged == [("e7", None)]
    with pytest.raises(UsageError, match="unknown-episode: no episode of that id"):
        acknowledge(served.endpoint, "e9999")


def test_silence_is_an_error_in_time() -> None:
    with zmq.Context[Socket]() as context, context.socket(zmq.ROUTER) as mute:
        mute.linger = 0
        endpoint = f"tcp://127.0.0.1:{mute.bind_to_random_port('tcp://127.0.0.1')}"
        with pytest.raises(NoAnswerError, match=r"no answer within 0\.05 s"):
            list(fetch_alerts(endpoint, timeout=0.05))
    with pytest.raises(UsageError, match="control endpoint 'nonsense'"):
        list(fetch_alerts("nonsense"))


def test_the_end_does_not_wait_for_a_name_server() -> None:
    """libzmq waits for it in the thread that has to end. Here an open socket stands for that."""
    client = Client("tcp://127.0.0.1:9")
    left = client._context.socket(zmq.PAIR)
    began = time.monotonic()
    client.close()
    assert time.monotonic() - began < 5.0
    left.close()


def test_a_late_answer_is_not_taken_for_the_next_ones() -> None:
    with zmq.Context[Socket]() as context, context.socket(zmq.ROUTER) as slow:
        slow.linger = 0
        endpoint = f"tcp://127.0.0.1:{slow.bind_to_random_port('tcp://127.0.0.1')}"
        with Client(endpoint, timeout=0.1) as client:
            with pytest.raises(NoAnswerError):
                client.alerts(0)
            caller, _ = slow.recv_multipart()
            slow.send_multipart([caller, b'{"v":1,"type":"alerts","next":1}', b"late"])
            with pytest.raises(NoAnswerError):
                client.alerts(0)


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (b"\xff", "not an answer"),
        (b"[]", "not an answer"),
        (b'{"v":2,"type":"alerts"}', "expected alerts of version 1, got alerts of 2"),
        (b'{"v":1,"type":"active"}', "expected alerts of version 1, got active of 1"),
        (b'{"v":1,"type":"error","error":"word","text":"why"}', "word: why"),
    ],
)
def test_nonsense_is_an_error(frame: bytes, text: str) -> None:
    with ExitStack() as resources:
        context = resources.enter_context(zmq.Context[Socket]())
        fake = resources.enter_context(context.socket(zmq.ROUTER))
        endpoint = f"tcp://127.0.0.1:{fake.bind_to_random_port('tcp://127.0.0.1')}"

        def reply() -> None:
            caller, _ = fake.recv_multipart()
            fake.send_multipart([caller, frame])

        thread = Thread(target=reply)
        thread.start()
        resources.callback(thread.join)
        with pytest.raises(UsageError, match=text):
            list(fetch_alerts(endpoint))


UNAVAILABLE = b'{"v":1,"type":"error","error":"unavailable","text":"the disk is slow"}'


@contextmanager
def scripted(*replies: list[bytes]) -> Iterator[str]:
    """A daemon's endpoint that gives these answers, one after another."""
    with ExitStack() as resources:
        context = resources.enter_context(zmq.Context[Socket]())
        fake = resources.enter_context(context.socket(zmq.ROUTER))
        fake.linger = 0
        endpoint = f"tcp://127.0.0.1:{fake.bind_to_random_port('tcp://127.0.0.1')}"

        def reply() -> None:
            for frames in replies:
                caller, _ = fake.recv_multipart()
                fake.send_multipart([caller, *frames])

        thread = Thread(target=reply)
        thread.start()
        resources.callback(thread.join)
        yield endpoint


def page(following: int, *bodies: bytes, more: bool = False) -> list[bytes]:
    header = {"v": 1, "type": "alerts", "next": following, "more": more}
    return [json.dumps(header).encode(), *bodies]


def test_a_daemon_whose_disk_is_slow_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first page and a later one; nothing is told twice."""
    monkeypatch.setattr(client_module, "AGAIN_S", 0.01)
    first, second = page(1, b"a", more=True), page(2, b"b")
    with scripted([UNAVAILABLE], [UNAVAILABLE], first, [UNAVAILABLE], second) as endpoint:
        assert list(fetch_alerts(endpoint)) == [b"a", b"b"]


def test_a_daemon_whose_disk_stays_slow_is_given_up() -> None:
    with (
        scripted([UNAVAILABLE]) as endpoint,
        pytest.raises(
            AnswerUnavailableError, match=r"unavailable: the disk is slow \(asked for 0 s\)$"
        ),
    ):
        list(fetch_alerts(endpoint, patience=0))


def test_following_goes_on_where_the_disk_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FOLLOW_S", 0.0)
    with scripted([UNAVAILABLE], page(1, b"a")) as endpoint:
        assert next(follow_alerts(endpoint, 0, lambda: False)) == b"a"


def test_following_goes_on_over_a_restart() -> None:
    over, found = Event(), list[bytes]()

    def until(number: int) -> None:
        for _ in range(1000):
            if len(found) >= number:
                return
            time.sleep(0.01)
        pytest.fail(f"only {len(found)} of {number}")

    with Served(3) as first:
        endpoint = first.endpoint

        def follow() -> None:
            found.extend(follow_alerts(endpoint, 1, over.is_set, timeout=0.2))

        thread = Thread(target=follow)
        thread.start()
        until(2)
        first.append(entry(3))
        until(3)
    with Served(1, endpoint):  # a journal in memory: it counts anew
        until(4)
        over.set()
        thread.join()
    assert found == [b'{"n":1}', b'{"n":2}', b'{"n":3}', b'{"n":0}']


def test_the_socket_is_secured_before_it_connects(served: Served) -> None:
    seen: list[Socket] = []
    list(fetch_alerts(served.endpoint, configure=seen.append))
    assert len(seen) == 1


# --- the commands ---------------------------------------------------------------------------------


def said(*arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_streams_are_a_table_or_json(served: Served) -> None:
    served.actions.entries["bed-10"] = entry_of("bed-10", state="silent", sender="gate-1", key="k")
    head, first, second = said("streams", "--connect", served.endpoint).splitlines()
    assert head.split("  ")[0] == "STREAM"
    assert first.split()[:2] == ["bed-10", "silent"]
    assert first.endswith("gate-1")
    assert second.split()[:2] == ["bed-7", "watched"]
    assert second.endswith(" -")
    assert len({line.index(word) for line, word in ((first, "silent"), (second, "watched"))}) == 1
    lines = said("streams", "--json", "--connect", served.endpoint).splitlines()
    assert [json.loads(line)["stream"] for line in lines] == ["bed-10", "bed-7"]
    assert json.loads(lines[0])["key"] == "k"


def test_a_stream_is_discharged(served: Served) -> None:
    output = said("discharge", "bed-7", "--connect", served.endpoint)
    assert output.startswith("discharged bed-7")
    assert "was still sending" in output
    assert served.actions.discharged == [("bed-7", None)]
    with pytest.raises(UsageError, match="unknown-stream"):
        said("discharge", "bed-99", "--connect", served.endpoint)


def test_alarms_are_acknowledged_one_by_one_or_together(served: Served) -> None:
    where = ["--connect", served.endpoint]
    assert said("acknowledge", "e7", *where) == "acknowledged e7\n"
    assert said("acknowledge", "--stream", "bed", *where) == "acknowledged 2500 alarm(s)\n"
    assert said("acknowledge", "--all", *where) == "acknowledged 2500 alarm(s)\n"
    assert len(served.actions.acknowledged) == 5001
    for arguments in ([], ["e7", "--all"], ["--stream", "bed", "--all"]):
        with pytest.raises(UsageError, match="give one of ID, --stream STREAM, --all"):
            said("acknowledge", *arguments, *where)
