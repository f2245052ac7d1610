"""The socket on which clients ask: one ROUTER that never blocks. The answers: protocol.control."""

from collections.abc import Callable
from time import monotonic

import zmq

from beatgan.protocol.control import MAX_REQUEST_BYTES, AlertJournal, answer
from beatgan_daemon.security.allow_list import Role
from beatgan_daemon.security.zap_authenticator import ZapAuthenticator
from beatgan_daemon.sockets.bound_socket import NOBLOCK, BoundSocket

REPLIES = 4  # queued for each client; further ones are dropped
REQUESTS = 100  # queued from each client
MAX_PARTS = 4  # of a message; one more than a request has, so that a longer one is recognised


class ControlSocket(BoundSocket):
    """A ROUTER socket."""

    KIND, ROLE, PURPOSE = zmq.ROUTER, Role.CONTROL, "control"

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        bind: str,
        *,
        acknowledge: Callable[[str], None],
        requested: Callable[[str, str], None],
        authenticator: ZapAuthenticator | None = None,
    ) -> None:
        """``acknowledge`` is called with the id of each episode that a client acknowledges,
        ``requested`` with each request's kind and outcome. The rest as in `BoundSocket`."""
        self._acknowledge, self._requested = acknowledge, requested
        super().__init__(context, (bind,), (), authenticator)

    def _set_options(self, socket: zmq.Socket[bytes]) -> None:
        socket.linger = 0
        socket.sndhwm, socket.rcvhwm = REPLIES, REQUESTS
        socket.maxmsgsize = MAX_REQUEST_BYTES  # a longer part costs its sender the connection

    def serve(self, book: AlertJournal, seconds: float) -> bool:
        """Answer requests for about ``seconds``; whether more may be waiting."""
        end = monotonic() + seconds
        while (parts := self._receive()) is not None:
            self._answer(parts, book)
            if monotonic() > end:
                return True
        return False

    def _receive(self) -> list[bytes] | None:
        """The next request's parts, at most MAX_PARTS; the first is the client's identity."""
        try:
            parts = [self.socket.recv(NOBLOCK)]
        except zmq.Again:
            return None
        while self.socket.getsockopt(zmq.RCVMORE):
            part = self.socket.recv()
            if len(parts) < MAX_PARTS:
                parts.append(part)
        return parts

    def _answer(self, parts: list[bytes], book: AlertJournal) -> None:
        """A REQ socket puts an empty part before its request, and wants it back."""
        envelope = parts[:2] if len(parts) > 2 and parts[1] == b"" else parts[:1]
        request = parts[len(envelope) :]
        reply = answer(request[0] if len(request) == 1 else b"", book, self._acknowledge)
        self._requested(reply.kind, reply.outcome)
        self.socket.send_multipart([*envelope, *reply.frames], NOBLOCK)
