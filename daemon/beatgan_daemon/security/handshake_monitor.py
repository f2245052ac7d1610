"""Handshakes that failed, from a socket's monitor events: which peer, and why.

libzmq does not say which connection an event is about, but reports the end of a refused one right
after the reason; for a peer that does not speak ZMTP 3 it reports nothing but the end. A client
that sees first that the daemon wants CURVE breaks off by itself: all of those get one reason.
"""

import os
import socket as sockets
from collections.abc import Collection
from typing import Final, NamedTuple

import zmq

from beatgan_daemon.security.curve import HANDSHAKE_MS

HANDSHAKE = "handshake"
UNKNOWN = "an unknown address"
LONGEST_HANDSHAKE_S = HANDSHAKE_MS / 1000 + 1.0  # a connection that is older has got in

_FAILED: Final = (
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL,
    zmq.EVENT_HANDSHAKE_FAILED_AUTH,
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL,
)
EVENTS: Final = (
    *(zmq.EVENT_ACCEPTED, zmq.EVENT_CONNECTED, zmq.EVENT_DISCONNECTED),
    *(zmq.EVENT_HANDSHAKE_SUCCEEDED, *_FAILED, zmq.EVENT_MONITOR_STOPPED),
)
_WHY: Final[dict[int, str]] = {
    int(zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH): "it does not use CURVE",
    int(zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC): (
        "it expects another key of this daemon, or its bytes were altered"
    ),
}
_BROKE_OFF: Final = "it broke off, or does not follow ZMTP"
_SILENT: Final = "it does not speak ZMTP 3"
_LOCKED_OUT: Final = "it does not let this daemon's key in"
_REPORTED_BY_ZAP: Final = ""  # by the ZAP handler


class Refusal(NamedTuple):
    """A connection that was not let in: a fixed word, who it was, and the reason in words."""

    reason: str
    peer: str
    why: str


class _Connection(NamedTuple):
    peer: str
    since: float  # monotonic seconds


class HandshakeMonitor:
    """The connections of one socket whose handshake has not finished."""

    def __init__(self, called: Collection[str]) -> None:
        """``called``: the endpoints that the socket calls itself."""
        self._called = called
        self._waiting: dict[int, _Connection] = {}  # by descriptor: as many as a process may have
        self._failed: str | None = None

    def take_event(self, kind: int, value: int, endpoint: str, now: float) -> Refusal | None:
        """Take in one event of the socket's monitor; a refusal, if that is what it completes.

        Refusals by the ZAP handler are not reported: it has reported them itself.
        """
        if kind in (zmq.EVENT_ACCEPTED, zmq.EVENT_CONNECTED):
            self._waiting[value] = _Connection(_peer(value), now)
        elif kind == zmq.EVENT_HANDSHAKE_SUCCEEDED and self._waiting:
            self._waiting.popitem()  # the latest: if it was another, that one is too old by its end
        elif kind in _FAILED:
            self._failed = self._why(kind, value, endpoint)
        elif kind == zmq.EVENT_DISCONNECTED:
            return self._disconnected(self._waiting.pop(value, None), now)
        return None

    def _why(self, kind: int, value: int, endpoint: str) -> str:
        if kind != zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            return _WHY.get(value, _BROKE_OFF)
        return _LOCKED_OUT if endpoint in self._called else _REPORTED_BY_ZAP

    def _disconnected(self, caller: _Connection | None, now: float) -> Refusal | None:
        failed, self._failed = self._failed, None
        if failed is None and caller is not None and now - caller.since < LONGEST_HANDSHAKE_S:
            failed = _SILENT
        return Refusal(HANDSHAKE, caller.peer if caller else UNKNOWN, failed) if failed else None


def _peer(descriptor: int) -> str:
    """The address at the other end, as long as the connection is there."""
    try:
        with sockets.socket(fileno=os.dup(descriptor)) as connection:
            address = connection.getpeername()
    except OSError:
        return UNKNOWN
    return str(address[0]) if isinstance(address, tuple) else "this machine"
