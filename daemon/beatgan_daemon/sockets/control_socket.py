"""The socket on which clients ask: one ROUTER that never blocks.

The answers: `protocol.control_answers`.
"""

from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

import zmq

from beatgan.protocol.alert_journal import AlertJournal
from beatgan.protocol.control import MAX_REQUEST_BYTES
from beatgan.protocol.control_answers import ANYBODY, Caller, StreamActions, answer
from beatgan_daemon.security.allow_list import Role
from beatgan_daemon.security.zap_authenticator import ZapAuthenticator
from beatgan_daemon.sockets.bound_socket import NOBLOCK, USER_ID, BoundSocket

REPLIES = 4  # queued for each client; further ones are dropped
REQUESTS = 100  # queued from each client
MAX_PARTS = 4  # of a message; one more than a request has, so that a longer one is recognised


class _Request(NamedTuple):
    parts: list[bytes]
    caller: Caller


class ControlSocket(BoundSocket):
    """A ROUTER socket."""

    KIND, ROLE, PURPOSE = zmq.ROUTER, Role.CONTROL, "control"

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        bind: str,
        *,
        actions: StreamActions,
        requested: Callable[[str, str], None],
        authenticator: ZapAuthenticator | None = None,
    ) -> None:
        """``requested`` is called with each request's kind and outcome. The rest as in
        `BoundSocket`."""
        self._actions, self._requested = actions, requested
        super().__init__(context, (bind,), (), authenticator)

    def _set_options(self, socket: zmq.Socket[bytes]) -> None:
        socket.linger = 0
        socket.sndhwm, socket.rcvhwm = REPLIES, REQUESTS
        socket.maxmsgsize = MAX_REQUEST_BYTES  # a longer part costs its sender the connection

    def serve(self, book: AlertJournal, seconds: float) -> bool:
        """Answer requests for about ``seconds``; whether more may be waiting."""
        end = monotonic() + seconds
        while (request := self._receive()) is not None:
            self._answer(request, book)
            if monotonic() > end:
                return True
        return False

    def _receive(self) -> _Request | None:
        """The next request: at most MAX_PARTS, the first of which is the client's identity."""
        try:
            first = self.socket.recv(NOBLOCK, copy=False)
        except zmq.Again:
            return None
        parts = [first.bytes]
        while self.socket.getsockopt(zmq.RCVMORE):
            part = self.socket.recv()
            if len(parts) < MAX_PARTS:
                parts.append(part)
        return _Request(parts, self._caller(first))

    def _caller(self, frame: zmq.Frame) -> Caller:
        """Who sent it, and what he may do by the allow-list in force."""
        if self._authenticator is None:
            return ANYBODY
        client = self._authenticator.client(str(frame.get(USER_ID)))
        return Caller(None, frozenset()) if client is None else Caller(client.name, client.roles)

    def _answer(self, request: _Request, book: AlertJournal) -> None:
        """A REQ socket puts an empty part before its request, and wants it back."""
        parts, caller = request
        envelope = parts[:2] if len(parts) > 2 and parts[1] == b"" else parts[:1]
        said = parts[len(envelope) :]
        reply = answer(said[0] if len(said) == 1 else b"", book, self._actions, caller)
        self._requested(reply.kind, reply.outcome)
        self.socket.send_multipart([*envelope, *reply.frames], NOBLOCK)
