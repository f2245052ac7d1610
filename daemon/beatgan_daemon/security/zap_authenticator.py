"""ZeroMQ's authentication handler (RFC 27, ZAP): checks the key of every peer that connects.

A thread of its own, so that a handshake does not wait for the pipeline. Without it no peer is let
in. Knows sockets and keys, not what a peer sends afterwards.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from time import monotonic
from typing import NamedTuple, Self

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from beatgan_daemon import log
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.security import curve, handshake_monitor
from beatgan_daemon.security.allow_list import SOCKET_ROLES, AllowList, Client, Role, Server
from beatgan_daemon.security.curve import KeyPair
from beatgan_daemon.security.handshake_monitor import HandshakeMonitor, Refusal

UNKNOWN_KEY, NOT_ALLOWED = "unknown-key", "not-allowed"
POLL_MS = 1_000  # how often the thread shows that it moves

_ZAP = "inproc://zeromq.zap.01"
_WAKE = "inproc://authenticator"
_VERSION = b"1.0"

Socket = zmq.Socket[bytes]


class _MonitoredSocket(NamedTuple):
    """A socket's monitor, and what it reports."""

    role: Role
    monitor: Socket
    handshake_monitor: HandshakeMonitor


class ZapAuthenticator:
    """Lets in peers that the allow-list names for the socket's role; counts and logs the others.

    One per context, made before the sockets that it protects and closed after them.
    """

    def __init__(
        self,
        context: zmq.Context[Socket],
        key: KeyPair,
        allow_list: AllowList,
        servers: Mapping[str, Server],
        refused: Callable[[str, str], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """``servers``: the sources to call, by endpoint. ``refused`` is called, in the
        authenticator's thread, with role and reason of each connection that was not let in."""
        self._context, self._key, self._servers = context, key, servers
        self._refused, self._clock = refused, clock
        self._refusals = log.Rejections(log.get(), event="connections refused")
        self._keyring, self._lock = allow_list, Lock()
        self._inside: dict[Role, set[bytes]] = {role: set() for role in SOCKET_ROLES}
        self._new: SimpleQueue[_MonitoredSocket] = SimpleQueue()
        self._watched: dict[Socket, _MonitoredSocket] = {}
        self._monitors = 0
        self._moved = clock()
        self._over = Event()
        self._zap, self._woken = _bound(context, zmq.REP, _ZAP), _bound(context, zmq.PULL, _WAKE)
        self._thread = Thread(target=self._serve, name="authenticator", daemon=True)
        self._thread.start()

    # --- for the threads that own sockets -----------------------------------------------------

    def as_server(self, socket: Socket, role: Role) -> None:
        """Let only clients with ``role`` connect to ``socket``; call it before `bind`."""
        curve.as_server(socket, self._key, role)
        self._monitor(socket, role)

    def as_client(self, socket: Socket, endpoint: str) -> None:
        """Expect the known key at ``endpoint``; call it before `connect`, after every `bind`."""
        if endpoint not in self._servers:
            raise StartError(f"{endpoint}: its public key is not known; see security.servers")
        curve.as_client(socket, self._key, self._servers[endpoint].key)

    def replace(self, allow_list: AllowList) -> frozenset[Role]:
        """Go by another allow-list from now on.

        ZeroMQ asks for a key only when a connection begins. The roles that are returned have, or
        had, somebody inside who may not be: their sockets must be closed and opened anew, and
        `guard`ed again, which everybody else's connections survive by calling again.
        """
        with self._lock:
            self._keyring = allow_list
            lost = {
                role: {key for key in inside if not allow_list.may_connect(key, role)}
                for role, inside in self._inside.items()
            }
            for role, keys in lost.items():
                self._inside[role] -= keys
        return frozenset(role for role, keys in lost.items() if keys)

    def client(self, key: str) -> Client | None:
        """Who holds a public key, by the allow-list in force; any thread may ask."""
        return self._keyring.clients.get(key.encode())

    def sender(self, sender: str) -> Client | Server | None:
        """Who a frame's sender is: a client by its key, a source that is called by its endpoint."""
        return self._servers.get(sender) or self.client(sender)

    def moved(self) -> float:
        """When the thread last completed an iteration (monotonic seconds); any thread may ask."""
        return self._moved

    def close(self) -> None:
        """End the thread. From then on nobody gets in."""
        self._over.set()
        self._wake()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _monitor(self, socket: Socket, role: Role) -> None:
        """Have the thread read the events of ``socket``'s connections."""
        with self._lock:
            self._monitors += 1
            endpoint = f"inproc://callers-{id(self)}-{self._monitors}"
        socket.monitor(endpoint, sum(handshake_monitor.EVENTS))
        monitor = self._context.socket(zmq.PAIR)
        monitor.linger = monitor.rcvhwm = 0  # unbounded: libzmq's I/O thread waits for room
        monitor.connect(endpoint)
        self._new.put(_MonitoredSocket(role, monitor, HandshakeMonitor(self._servers)))
        self._wake()

    def _wake(self) -> None:
        with self._context.socket(zmq.PUSH) as socket:
            socket.sndtimeo = 0  # a thread that has ended takes none
            socket.connect(_WAKE)
            with suppress(zmq.Again):
                socket.send(b"")

    # --- the thread ---------------------------------------------------------------------------

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._zap, zmq.POLLIN)
        poller.register(self._woken, zmq.POLLIN)
        while not self._over.is_set():
            for socket, _ in poller.poll(POLL_MS):
                self._dispatch(socket, poller)
            self._moved = self._clock()
            self._refusals.flush(self._moved)
        self._monitor_new(poller)
        for socket in (self._zap, self._woken, *self._watched):
            socket.close(linger=0)

    def _monitor_new(self, poller: zmq.Poller) -> None:
        while True:
            try:
                watched = self._new.get_nowait()
            except Empty:
                return
            self._watched[watched.monitor] = watched
            poller.register(watched.monitor, zmq.POLLIN)

    def _dispatch(self, socket: Socket, poller: zmq.Poller) -> None:
        if socket is self._zap:
            self._zap.send_multipart(self._answer(self._zap.recv_multipart()))
        elif socket is self._woken:
            self._woken.recv()
            self._monitor_new(poller)
        else:
            self._on_monitor_event(self._watched[socket], poller)

    def _on_monitor_event(self, watched: _MonitoredSocket, poller: zmq.Poller) -> None:
        event = recv_monitor_message(watched.monitor)
        if event["event"] == zmq.EVENT_MONITOR_STOPPED:
            poller.unregister(watched.monitor)
            self._watched.pop(watched.monitor).monitor.close()
            return
        what = event["event"], event["value"], event["endpoint"].decode()
        if refusal := watched.handshake_monitor.take_event(*what, self._clock()):
            self._refuse(watched.role, refusal)

    def _answer(self, request: list[bytes]) -> list[bytes]:
        """The reply to one ZAP request: version, id, status, text, the client's key, metadata.

        The key is the `User-Id` of every message of the connection: what its owner may do is asked
        for each message anew, so that it holds at once when the allow-list changes.
        """
        _, number, domain, address, _, mechanism, *credentials = request
        role, peer = Role(domain.decode()), address.decode()
        verdict = self._decide(role, peer, mechanism, credentials)
        if isinstance(verdict, Refusal):
            self._refuse(role, verdict)
            return [_VERSION, number, b"400", b"refused", b"", b""]
        return [_VERSION, number, b"200", b"OK", verdict, b""]

    def _decide(
        self, role: Role, peer: str, mechanism: bytes, credentials: list[bytes]
    ) -> bytes | Refusal:
        """The client's key, or why it is not let in."""
        if mechanism != b"CURVE" or len(credentials) != 1:
            return Refusal(handshake_monitor.HANDSHAKE, peer, "it does not use CURVE")
        key = z85.encode(credentials[0])
        with self._lock:
            client = self._keyring.clients.get(key)
            if client is None:
                return Refusal(UNKNOWN_KEY, peer, f"no client has its key {key.decode()}")
            if not client.may_connect(role):
                return Refusal(NOT_ALLOWED, peer, f"{client.name} has not the role {role}")
            self._inside[role].add(key)
        return key

    def _refuse(self, role: Role, refusal: Refusal) -> None:
        self._refused(role, refusal.reason)
        text = f"{role} from {refusal.peer}: {refusal.why}"
        self._refusals.add(f"{role}: {refusal.reason}", text, self._clock())


def _bound(context: zmq.Context[Socket], kind: int, endpoint: str) -> Socket:
    socket = context.socket(kind)
    socket.linger = 0
    socket.bind(endpoint)
    return socket
