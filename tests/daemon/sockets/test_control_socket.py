"""What clients may ask: every answer, and that no bytes crash or block it."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from beatgan.errors import UsageError
from beatgan.protocol import control_answers
from beatgan.protocol.alert_journal import JournalEntry
from beatgan.protocol.control import MAX_REQUEST_BYTES
from beatgan.protocol.control_answers import Caller, Reply, answer
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.security.allow_list import AllowList, Role
from beatgan_daemon.security.curve import KeyPair
from beatgan_daemon.security.zap_authenticator import ZapAuthenticator
from beatgan_daemon.sockets.control_socket import ControlSocket
from beatgan_daemon.storage.journal import Journal
from tests.support.actions import RecordedActions
from tests.support.actions import entry as entry_of

ANY = "tcp://127.0.0.1:*"
Socket = zmq.Socket[bytes]


def entry(n: int, phase: str = "start", size: int = 0) -> JournalEntry:
    return JournalEntry(n, f"bed/{n}", "bed", phase, b'{"n":%d,"pad":"%s"}' % (n, b"x" * size))


@pytest.fixture
def book() -> Iterator[Journal]:
    """Ten alerts: five episodes that are over, five that go on."""
    journal = Journal(None, lambda text: None)
    starts = [entry(n) for n in range(5)] + [
        JournalEntry(n, f"bed/{n - 5}", "bed", "end", b"{}") for n in range(5, 10)
    ]
    journal.append([*starts, *(entry(n) for n in range(10, 15))], {}, 0)
    yield journal
    journal.close()


def ask(book: Journal, **request: Any) -> tuple[dict[str, Any], list[bytes]]:
    kind, outcome, (header, *bodies) = answer(
        json.dumps({"v": 1, **request}).encode(), book, RecordedActions()
    )
    decoded = json.loads(header)
    assert decoded["v"] == 1
    assert (decoded["type"] == "error") == (outcome != "ok")
    assert kind in (*control_answers.RIGHTS, "unknown")
    return decoded, bodies


def test_alerts_since_a_number(book: Journal) -> None:
    header, bodies = ask(book, type="alerts", since=12)
    assert header == {"v": 1, "type": "alerts", "since": 12, "next": 15, "oldest": 0, "more": False}
    assert bodies == [entry(n).body for n in range(12, 15)]


def test_alerts_come_in_pages(book: Journal) -> None:
    since, found, pages = 0, list[bytes](), 0
    while True:
        header, bodies = ask(book, type="alerts", since=since, limit=4)
        found += bodies
        pages += 1
        since = header["next"]
        if not header["more"]:
            break
    assert (len(found), pages) == (15, 4)


def test_a_page_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_answers, "MAX_REPLY_BYTES", 1000)
    journal = Journal(None, lambda text: None)
    journal.append([entry(0, size=3000), entry(1, size=400), entry(2, size=400)], {}, 0)
    header, bodies = ask(journal, type="alerts", since=0)
    assert (header["next"], header["more"], len(bodies)) == (1, True, 1)  # one, however long
    header, bodies = ask(journal, type="alerts", since=1)
    assert (header["next"], header["more"], len(bodies)) == (3, False, 2)
    journal.close()


def test_no_page_has_more_than_a_thousand_alerts() -> None:
    journal = Journal(None, lambda text: None)
    journal.append([entry(n) for n in range(1500)], {}, 0)
    for kind in ("alerts", "active"):
        header, bodies = ask(journal, type=kind, since=0, limit=10**9)
        assert (len(bodies), header["next"], header["more"]) == (1000, 1000, True)
        header, bodies = ask(journal, type=kind, since=1000)
        assert (len(bodies), header["next"], header["more"]) == (500, 1500, False)
    journal.close()


def test_nothing_is_there_after_the_end(book: Journal) -> None:
    for since in (15, 16, 2**63 - 1):
        header, bodies = ask(book, type="alerts", since=since)
        assert (header["next"], header["more"], bodies) == (15, False, [])


def test_active_episodes(book: Journal) -> None:
    header, bodies = ask(book, type="active")
    assert header["more"] is False
    assert bodies == [entry(n).body for n in range(10, 15)]
    header, bodies = ask(book, type="active", limit=2)
    assert (header["next"], header["more"]) == (12, True)
    header, bodies = ask(book, type="active", since=header["next"])
    assert bodies == [entry(n).body for n in range(12, 15)]


def test_an_acknowledgement_is_passed_on(book: Journal) -> None:
    actions = RecordedActions()
    reply = answer(b'{"v":1,"type":"acknowledge","id":"bed/12"}', book, actions)
    assert reply[:2] == ("acknowledge", "ok")
    assert json.loads(reply.frames[0]) == {
        "v": 1,
        "type": "acknowledge",
        "id": "bed/12",
        "ok": True,
    }
    assert actions.acknowledged == [("bed/12", None)]


def test_an_episode_that_is_over_cannot_be_acknowledged(book: Journal) -> None:
    for episode in ("bed/3", "nonsense", "", "ü\n"):
        header, _ = ask(book, type="acknowledge", id=episode)
        assert header["error"] == "unknown-episode"


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        (b"", "malformed"),
        (b"{}", "malformed"),
        (b"[]", "malformed"),
        (b"\xff", "malformed"),
        (b'{"v":1}', "malformed"),
        (b'{"v":"1","type":"alerts"}', "malformed"),
        (b'{"v":1,"type":"alerts"}', "malformed"),
        (b'{"v":1,"type":"alerts","since":-1}', "malformed"),
        (b'{"v":1,"type":"alerts","since":1.5}', "malformed"),
        (b'{"v":1,"type":"alerts","since":99999999999999999999}', "malformed"),
        (b'{"v":1,"type":"alerts","since":0,"limit":0}', "malformed"),
        (b'{"v":1,"type":"acknowledge","id":7}', "malformed"),
        (b'{"v":1,"type":"acknowledge","id":"%s"}' % (b"x" * 2000), "malformed"),
        (b'{"v":1,"type":"acknowledge"}', "malformed"),
        (b'{"v":1,"type":"acknowledge","all":false}', "malformed"),
        (b'{"v":1,"type":"acknowledge","id":"bed/12","all":true}', "malformed"),
        (b'{"v":1,"type":"acknowledge","id":"bed/12","stream":"bed"}', "malformed"),
        (b'{"v":1,"type":"acknowledge","stream":"other"}', "unknown-episode"),
        (b'{"v":1,"type":"discharge"}', "malformed"),
        (b'{"v":1,"type":"discharge","stream":"other"}', "unknown-stream"),
        (b'{"v":1,"type":"discharge","stream":""}', "unknown-stream"),
        (b'{"v":1,"type":"streams","after":7}', "malformed"),
        (b'{"v":2,"type":"alerts","since":0}', "unknown-version"),
        (b'{"v":1,"type":"shutdown"}', "unknown-type"),
        (b"[" * 4000, "malformed"),
        (b'{"v":1,"type":"alerts","since":' + b"[" * 4000, "malformed"),
        (b'{"v":1,"type":"active","x":"%s"}' % (b"x" * MAX_REQUEST_BYTES), "malformed"),
    ],
)
def test_a_bad_request_is_answered_with_the_reason(
    book: Journal, request_: bytes, word: str
) -> None:
    actions = RecordedActions()
    reply = answer(request_, book, actions)
    assert reply.outcome == word
    assert not actions.acknowledged
    assert not actions.discharged
    error = json.loads(reply.frames[0])
    assert (error["type"], error["error"]) == ("error", word)
    assert 0 < len(error["text"]) < 500


def test_unknown_keys_are_ignored(book: Journal) -> None:
    header, _ = ask(book, type="alerts", since=0, colour="blue")
    assert header["type"] == "alerts"


def test_no_bytes_crash_it(book: Journal) -> None:
    """Valid requests with bytes altered, cut or added; and plain noise."""
    chance = random.Random(5)
    outcomes: Counter[str] = Counter()
    valid = [
        b'{"v":1,"type":"alerts","since":3,"limit":2}',
        b'{"v":1,"type":"active","since":0}',
        b'{"v":1,"type":"acknowledge","id":"bed/12"}',
        b'{"v":1,"type":"acknowledge","stream":"bed"}',
        b'{"v":1,"type":"streams","after":"bed","limit":2}',
        b'{"v":1,"type":"discharge","stream":"bed"}',
        b'{"v":1,"type":"alerts","since":[[[{"a":1e400}]]]}',
    ]
    for _ in range(20_000):
        request = bytearray(chance.choice(valid))
        for _ in range(chance.randrange(4)):
            place = chance.randrange(len(request) + 1)
            request[place : place + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
        reply = answer(bytes(request), book, RecordedActions())
        assert isinstance(reply, Reply)
        json.loads(reply.frames[0])
        outcomes[reply.outcome] += 1
    assert outcomes.keys() >= {"ok", "malformed", "unknown-type", "unknown-version"}


# --- who may ask, and for what --------------------------------------------------------------------

REQUESTS: dict[str, dict[str, Any]] = {
    "alerts": {"since": 0},
    "active": {},
    "streams": {},
    "acknowledge": {"id": "bed/12"},
    "discharge": {"stream": "bed"},
}


@pytest.mark.parametrize("kind", control_answers.RIGHTS)
def test_each_request_needs_its_right(book: Journal, kind: str) -> None:
    request_ = json.dumps({"v": 1, "type": kind, **REQUESTS[kind]}).encode()
    right = control_answers.RIGHTS[kind]
    for rights in [{right}, {"control", "acknowledge", "discharge"} - {right}, set()]:
        actions = RecordedActions(entry_of("bed"))
        reply = answer(request_, book, actions, Caller("desk", frozenset(rights)))
        assert reply.outcome == ("ok" if right in rights else "not-allowed")
        done = actions.acknowledged + actions.discharged
        assert bool(done) == (reply.outcome == "ok" and right != "control")
        assert {by for _, by in done} <= {"desk"}
    assert "desk has not the role" in json.loads(reply.frames[0])["text"]


def test_all_alarms_of_a_stream_are_acknowledged_or_all(book: Journal) -> None:
    seen = JournalEntry(15, "other/1", "other", "update", b'{"acknowledged":true}')
    unseen = JournalEntry(16, "other/2", "other", "start", b'{"acknowledged":false}')
    book.append([seen, unseen], {}, 0)
    for which, episodes in (
        ({"stream": "other"}, ["other/2"]),
        ({"stream": "bed"}, [f"bed/{n}" for n in range(10, 15)]),
        ({"all": True}, [*(f"bed/{n}" for n in range(10, 15)), "other/2"]),
    ):
        actions = RecordedActions()
        request_ = json.dumps({"v": 1, "type": "acknowledge", **which}).encode()
        reply = answer(request_, book, actions, Caller("desk", None))
        assert json.loads(reply.frames[0]) == {
            **{"v": 1, "type": "acknowledge", "ok": True, "count": len(episodes)},
            **which,
        }
        assert actions.acknowledged == [(episode, "desk") for episode in episodes]


def test_all_alarms_may_be_none() -> None:
    journal = Journal(None, lambda text: None)
    actions = RecordedActions()
    reply = answer(b'{"v":1,"type":"acknowledge","all":true}', journal, actions)
    assert json.loads(reply.frames[0])["count"] == 0
    assert actions.acknowledged == []
    journal.close()


def test_streams_come_in_pages_by_name(book: Journal) -> None:
    actions = RecordedActions(*(entry_of(f"bed-{k:04}") for k in range(2500)))
    found, after, pages = list[str](), "", 0
    while True:
        request_ = json.dumps({"v": 1, "type": "streams", "after": after}).encode()
        header, *bodies = answer(request_, book, actions).frames
        found += [json.loads(body)["stream"] for body in bodies]
        pages += 1
        after, more = json.loads(header)["after"], json.loads(header)["more"]
        if not more:
            break
    assert (pages, found) == (3, [f"bed-{k:04}" for k in range(2500)])


def test_a_discharge_says_whether_frames_still_come(book: Journal) -> None:
    actions = RecordedActions(entry_of("here"), entry_of("gone", state="silent"))
    for stream, sending in (("here", True), ("gone", False), ("bed", False)):
        request_ = json.dumps({"v": 1, "type": "discharge", "stream": stream}).encode()
        reply = json.loads(answer(request_, book, actions, Caller("desk", None)).frames[0])
        assert reply == {
            **{"v": 1, "type": "discharge", "stream": stream, "sending": sending, "ok": True}
        }
    assert actions.discharged == [(stream, "desk") for stream in ("here", "gone", "bed")]


# --- the socket -----------------------------------------------------------------------------------


class ActiveAlarms:
    """A control socket and what it counted."""

    def __init__(self, context: zmq.Context[Socket], book: Journal) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.book = book
        self.control = ControlSocket(
            context,
            ANY,
            actions=RecordedActions(),
            requested=lambda kind, outcome: self.counts.update([(kind, outcome)]),
        )

    def serve(self) -> None:
        self.control.socket.poll(2000)
        self.control.serve(self.book, 1.0)


@pytest.fixture
def active_alarms(context: zmq.Context[Socket], book: Journal) -> Iterator[ActiveAlarms]:
    active_alarms = ActiveAlarms(context, book)
    yield active_alarms
    active_alarms.control.close()


@pytest.mark.parametrize("kind", [zmq.REQ, zmq.DEALER])
def test_both_kinds_of_clients_are_answered(
    kind: int, context: zmq.Context[Socket], active_alarms: ActiveAlarms
) -> None:
    with context.socket(kind) as client:
        client.connect(active_alarms.control.endpoint)
        client.send(b'{"v":1,"type":"alerts","since":13}')
        active_alarms.serve()
        assert client.poll(2000)
        header, *bodies = client.recv_multipart()
        assert json.loads(header)["next"] == 15
        assert bodies == [entry(13).body, entry(14).body]
    assert active_alarms.counts == {("alerts", "ok"): 1}


def test_hostile_messages_cost_little(
    context: zmq.Context[Socket], active_alarms: ActiveAlarms
) -> None:
    with context.socket(zmq.DEALER) as hostile, context.socket(zmq.DEALER) as client:
        hostile.linger = client.linger = 0
        hostile.connect(active_alarms.control.endpoint)
        client.connect(active_alarms.control.endpoint)
        hostile.send_multipart([b"{}"] * 10_000)  # of many parts
        hostile.send_multipart([b""] * 3)
        hostile.send(b"\xff" * MAX_REQUEST_BYTES)
        hostile.send(b"x" * 10 * MAX_REQUEST_BYTES)  # costs the connection
        hostile.send(b"after it has called again")
        for _ in range(50):
            active_alarms.serve()
            if sum(active_alarms.counts.values()) >= 3:
                break
        client.send(b'{"v":1,"type":"active"}')
        for _ in range(50):
            active_alarms.serve()
            if client.poll(20):
                break
        assert json.loads(client.recv_multipart()[0])["type"] == "active"
    assert set(active_alarms.counts) == {("unknown", "malformed"), ("active", "ok")}


def test_serving_ends_in_time(context: zmq.Context[Socket], active_alarms: ActiveAlarms) -> None:
    with context.socket(zmq.DEALER) as client:
        client.linger = 0
        client.connect(active_alarms.control.endpoint)
        for _ in range(50):
            client.send(b"{}")
        active_alarms.control.socket.poll(2000)
        assert active_alarms.control.serve(
            active_alarms.book, 0.0
        )  # one is answered, more may wait
        assert sum(active_alarms.counts.values()) == 1


def test_a_bad_endpoint_is_named(context: zmq.Context[Socket], active_alarms: ActiveAlarms) -> None:
    def nothing(*_: str) -> None: ...

    with pytest.raises(StartError, match=r"control endpoint .*: the port is in use"):
        ControlSocket(
            context,
            active_alarms.control.endpoint,
            actions=RecordedActions(),
            requested=nothing,
        )
    with pytest.raises(UsageError, match="control endpoint 'nonsense'"):
        ControlSocket(context, "nonsense", actions=RecordedActions(), requested=nothing)


class RecordingAuthenticator(ZapAuthenticator):
    """Remembers where each socket listened when it was to be given its key."""

    def as_server(self, socket: Socket, role: Role) -> None:
        self.endpoints.append(socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0"))
        super().as_server(socket, role)

    def __init__(self, context: zmq.Context[Socket]) -> None:
        self.endpoints: list[str] = []
        key = KeyPair(*zmq.curve_keypair())
        super().__init__(context, key, AllowList({}), {}, lambda *_: None)


def test_a_socket_is_secured_before_it_is_bound(context: zmq.Context[Socket]) -> None:
    def nothing(*_: str) -> None: ...

    with (
        RecordingAuthenticator(context) as authenticator,
        ControlSocket(
            context,
            ANY,
            actions=RecordedActions(),
            requested=nothing,
            authenticator=authenticator,
        ) as control,
    ):
        control.reopen()
    assert authenticator.endpoints == ["", ""]
