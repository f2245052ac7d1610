"""Real sockets with keys: who is let in, who is not, why, and that each refusal is counted."""

import json
import re
import socket as sockets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
import zmq

from beatgan_daemon import zmq_endpoints
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.security import curve
from beatgan_daemon.security.allow_list import (
    SOCKET_ROLES,
    AllowList,
    Client,
    Role,
    Server,
)
from beatgan_daemon.security.curve import ConfigureSocket, KeyPair
from beatgan_daemon.security.zap_authenticator import ZapAuthenticator
from beatgan_daemon.sockets.ingest_socket import IngestSocket

ANY = "tcp://127.0.0.1:*"
Socket = zmq.Socket[bytes]
Context = zmq.Context[Socket]
PEERS = {
    Role.INGEST: (zmq.SUB, zmq.PUB),
    Role.SUBSCRIBE: (zmq.XPUB, zmq.SUB),
    Role.CONTROL: (zmq.ROUTER, zmq.DEALER),
    Role.SIGNAL: (zmq.XPUB, zmq.SUB),
}

SERVER, MEMBER, OTHER, STRANGER = (KeyPair(*zmq.curve_keypair()) for _ in range(4))
EVERYTHING = frozenset(Role)
NOBODY = AllowList({})


def allow_list(role: Role) -> AllowList:
    """MEMBER has the role, OTHER every other one."""
    return AllowList(
        {
            MEMBER.public: Client("member", frozenset({role})),
            OTHER.public: Client("other", frozenset(SOCKET_ROLES) - {role}),
        }
    )


class Hall:
    """A daemon's side: one guarded socket of each role, and what the authenticator counted."""

    def __init__(
        self, context: Context, key: KeyPair = SERVER, allow_list: AllowList = NOBODY
    ) -> None:
        self.context = context
        self.refused: Counter[tuple[str, str]] = Counter()
        self.authenticator = ZapAuthenticator(context, key, allow_list, {}, self._count)
        self.sockets: dict[Role, Socket] = {}

    def _count(self, role: str, reason: str) -> None:
        self.refused[role, reason] += 1

    def open(self, role: Role, endpoint: str = ANY) -> str:
        socket = self.sockets[role] = self.context.socket(PEERS[role][0])
        socket.linger = 0
        self.authenticator.as_server(socket, role)
        if role is Role.INGEST:
            socket.subscribe(b"")
        for _ in range(1000):
            try:
                return zmq_endpoints.bind(socket, endpoint, role)
            except StartError:
                sleep(0.002)
        raise TimeoutError(endpoint)

    def until_refused(self, role: Role, reason: str) -> None:
        end = monotonic() + 10
        while not self.refused[role, reason]:
            assert monotonic() < end, self.refused
            sleep(0.01)

    def close(self) -> None:
        for socket in self.sockets.values():
            socket.close()
        self.authenticator.close()


@pytest.fixture
def hall(logged: object) -> Iterator[Hall]:
    with zmq.Context[Socket]() as context:
        hall = Hall(context)
        yield hall
        hall.close()


class Peer:
    """Somebody else's process: a context of its own."""

    def __init__(self, role: Role, endpoint: str, configure: ConfigureSocket | None) -> None:
        self.context: Context = zmq.Context()
        self.socket = self.context.socket(PEERS[role][1])
        self.socket.linger = 0
        if configure:
            configure(self.socket)
        if PEERS[role][1] == zmq.SUB:
            self.socket.subscribe(b"")
        self.socket.connect(endpoint)

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.context.destroy()


def passes(role: Role, inside: Socket, outside: Socket, seconds: float) -> bool:
    """Whether anything at all gets through between the two."""
    end = monotonic() + seconds
    while monotonic() < end:
        if PEERS[role][1] == zmq.SUB:
            inside.send(b"alert")
        else:
            with suppress(zmq.Again):  # nobody is at the other end
                outside.send(b"x", zmq.NOBLOCK)
        if inside.poll(5) or outside.poll(5):
            return True
    return False


def plain(socket: Socket) -> None:
    socket.plain_username, socket.plain_password = b"member", b"secret"


INTRUDERS: dict[str, tuple[ConfigureSocket | None, str]] = {
    "NULL": (None, "handshake"),
    "PLAIN": (plain, "handshake"),
    "a wrong server key": (curve.client_configuration(MEMBER, STRANGER.public), "handshake"),
    "a key not on the list": (curve.client_configuration(STRANGER, SERVER.public), "unknown-key"),
    "a key with another role": (curve.client_configuration(OTHER, SERVER.public), "not-allowed"),
}


@pytest.mark.parametrize("role", SOCKET_ROLES)
@pytest.mark.parametrize("intruder", INTRUDERS)
def test_who_does_not_belong_gets_nothing_in_or_out(
    hall: Hall, role: Role, intruder: str, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    configure, reason = INTRUDERS[intruder]
    hall.authenticator.replace(allow_list(role))
    endpoint = hall.open(role)
    with Peer(role, endpoint, configure) as peer:
        hall.until_refused(role, reason)
        assert not passes(role, hall.sockets[role], peer.socket, 0.3)
    assert set(hall.refused) == {(role, reason)}
    assert_told(logged(), role, reason, intruder)


def assert_told(lines: list[dict[str, Any]], role: Role, reason: str, intruder: str) -> None:
    """Who called, and why it was not let in, but no secret; and not as often as it tried."""
    (line,) = [line for line in lines if line["event"] == "connections refused"]
    assert line["reason"] == f"{role}: {reason}"
    assert re.match(rf"{role} from (127\.0\.0\.1|an unknown address): \w", line["why"])
    assert ("other has not the role" in line["why"]) == (intruder == "a key with another role")
    assert (STRANGER.public.decode() in line["why"]) == (intruder == "a key not on the list")
    for pair in (SERVER, MEMBER, OTHER, STRANGER):
        assert pair.secret.decode() not in json.dumps(lines)


@pytest.mark.parametrize("role", SOCKET_ROLES)
def test_who_belongs_is_let_in(hall: Hall, role: Role) -> None:
    hall.authenticator.replace(allow_list(role))
    with Peer(role, hall.open(role), curve.client_configuration(MEMBER, SERVER.public)) as peer:
        assert passes(role, hall.sockets[role], peer.socket, 10.0)
    assert not hall.refused


@pytest.mark.parametrize("role", SOCKET_ROLES)
def test_a_revoked_key_loses_its_connection_too(hall: Hall, role: Role) -> None:
    hall.authenticator.replace(allow_list(role))
    endpoint = hall.open(role)
    with Peer(role, endpoint, curve.client_configuration(MEMBER, SERVER.public)) as peer:
        assert passes(role, hall.sockets[role], peer.socket, 10.0)
        assert hall.authenticator.replace(allow_list(role)) == frozenset()
        assert hall.authenticator.replace(NOBODY) == {role}
        hall.sockets[role].close()
        hall.open(role, endpoint)
        hall.until_refused(role, "unknown-key")
        while peer.socket.poll(50) and role is not Role.INGEST:
            peer.socket.recv()  # what had come before
        assert not passes(role, hall.sockets[role], peer.socket, 0.3)
        assert hall.authenticator.replace(NOBODY) == frozenset(), "nobody is inside"
    hall.authenticator.replace(allow_list(role))
    with Peer(role, endpoint, curve.client_configuration(MEMBER, SERVER.public)) as peer:
        assert passes(role, hall.sockets[role], peer.socket, 10.0), "let in again"


GREETING = b"\xff" + bytes(7) + b"\x01\x7f"


@pytest.mark.parametrize(
    "said",
    [
        b"\x01\x00",  # ZMTP 1.0, which has no security at all
        GREETING + b"\x01\x01",  # ZMTP 2.0, likewise
        GREETING + b"\x03\x00NULL" + bytes(48),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"",
    ],
)
def test_who_speaks_another_protocol_is_refused_and_counted(hall: Hall, said: bytes) -> None:
    """libzmq alone takes ZMTP 1.0 and 2.0 for NULL where no ZAP domain is set."""
    hall.authenticator.replace(allow_list(Role.INGEST))
    port = int(hall.open(Role.INGEST).rpartition(":")[2])
    with sockets.create_connection(("127.0.0.1", port), timeout=10) as caller:
        caller.sendall(said)
        if not said:
            caller.shutdown(sockets.SHUT_WR)
        try:
            while caller.recv(4096):
                pass
        except ConnectionResetError:
            pass
    hall.until_refused(Role.INGEST, "handshake")
    sleep(0.05)
    assert hall.refused == {(Role.INGEST, "handshake"): 1}
    assert not hall.sockets[Role.INGEST].poll(0)


def test_without_a_doorkeeper_nobody_gets_in() -> None:
    with zmq.Context[Socket]() as context, context.socket(zmq.SUB) as sub:
        curve.as_server(sub, SERVER, Role.INGEST)
        sub.subscribe(b"")
        endpoint = zmq_endpoints.bind(sub, ANY, "ingest")
        with Peer(Role.INGEST, endpoint, curve.client_configuration(MEMBER, SERVER.public)) as peer:
            assert not passes(Role.INGEST, sub, peer.socket, 0.5)


def test_the_thread_proves_that_it_moves(hall: Hall) -> None:
    before = hall.authenticator.moved()
    sleep(1.2)
    assert hall.authenticator.moved() > before
    hall.authenticator.close()
    after = hall.authenticator.moved()
    sleep(0.3)
    assert hall.authenticator.moved() == after


# --- the ECG source's socket, which calls as well ---------------------------------------------


@pytest.fixture
def bed() -> Iterator[tuple[str, Socket, Hall]]:
    """An ECG source that listens: MEMBER's key, and whoever calls must be SERVER."""
    with zmq.Context[Socket]() as context:
        daemon = Client("daemon", EVERYTHING)
        hall = Hall(context, MEMBER, AllowList({SERVER.public: daemon}))
        socket = context.socket(zmq.PUB)
        socket.linger = 0
        hall.sockets[Role.INGEST] = socket
        hall.authenticator.as_server(socket, Role.INGEST)
        yield zmq_endpoints.bind(socket, ANY, "bed"), socket, hall
        hall.close()


def hears(source: IngestSocket, publisher: Socket, seconds: float) -> bool:
    end = monotonic() + seconds
    while monotonic() < end:
        publisher.send_multipart([b"ecg.bed", b"", b""])
        if source.wait(0.01):
            return True
    return False


def test_a_source_is_called_by_its_key(bed: tuple[str, Socket, Hall], logged: object) -> None:
    endpoint, publisher, _ = bed
    refused: Counter[tuple[str, str]] = Counter()

    def count(role: str, reason: str) -> None:
        refused[role, reason] += 1

    everybody = AllowList({OTHER.public: Client("other", EVERYTHING)})
    for server, lets in ((MEMBER, True), (STRANGER, False)):
        servers = {endpoint: Server(server.public)}
        with (
            zmq.Context[Socket]() as context,
            ZapAuthenticator(context, SERVER, everybody, servers, count) as authenticator,
            IngestSocket(context, [ANY], [endpoint], authenticator=authenticator) as source,
        ):
            assert hears(source, publisher, 10.0 if lets else 0.3) == lets
            assert bool(refused) != lets
            with Peer(Role.INGEST, source.endpoint, None) as intruder:
                assert not hears(source, intruder.socket, 0.3) or lets
            with Peer(
                Role.INGEST, source.endpoint, curve.client_configuration(OTHER, SERVER.public)
            ) as member:
                assert hears(source, member.socket, 10.0)
    assert refused[Role.INGEST, "handshake"] >= 3


def test_a_source_without_a_known_key_is_not_called(logged: object) -> None:
    with (
        zmq.Context[Socket]() as context,
        ZapAuthenticator(context, SERVER, NOBODY, {}, lambda *_: None) as authenticator,
        pytest.raises(StartError, match="its public key is not known"),
    ):
        IngestSocket(context, [ANY], ["tcp://127.0.0.1:9"], authenticator=authenticator)


def test_a_source_reopens_at_its_endpoints_and_keeps_who_may_stay(hall: Hall) -> None:
    both = AllowList({key.public: Client("bed", EVERYTHING) for key in (MEMBER, OTHER)})
    hall.authenticator.replace(both)
    with (
        IngestSocket(hall.context, [ANY], authenticator=hall.authenticator) as source,
        Peer(
            Role.INGEST, source.endpoint, curve.client_configuration(MEMBER, SERVER.public)
        ) as member,
        Peer(
            Role.INGEST, source.endpoint, curve.client_configuration(OTHER, SERVER.public)
        ) as other,
    ):
        assert hears(source, member.socket, 10.0)
        assert hears(source, other.socket, 10.0)
        bound = source.endpoints
        hall.authenticator.replace(AllowList({MEMBER.public: both.clients[MEMBER.public]}))
        source.reopen()
        assert source.endpoints == bound
        hall.until_refused(Role.INGEST, "unknown-key")
        assert not hears(source, other.socket, 0.3)
        assert hears(source, member.socket, 10.0)


def test_a_wrong_key_file_is_no_way_in(tmp_path: Path) -> None:
    """What keygen writes is what the sockets take."""
    made = curve.keygen(tmp_path / "x")
    with zmq.Context[Socket]() as context, context.socket(zmq.DEALER) as socket:
        curve.as_client(socket, made, SERVER.public)
        assert socket.getsockopt(zmq.MECHANISM) == zmq.CURVE
