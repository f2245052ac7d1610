"""The socket on which clients ask: one ROUTER that never blocks. What is answered: requests.py."""

from collections.abc import Callable
from time import monotonic
from typing import Self

import zmq

from beatgan.protocol.control import MAX_REQUEST_BYTES, AlertJournal, answer
from beatgan_daemon import zmq_endpoints
from beatgan_daemon.security.curve import Secure

_NOBLOCK = int(zmq.NOBLOCK)
REPLIES = 4  # queued for each client, beyond which it gets none
REQUESTS = 100  # queued from each client
MAX_PARTS = 4  # kept: one more than a request has is enough to tell


class Control:
    """A ROUTER socket; owned and used by one thread at a time."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        bind: str,
        *,
        acknowledge: Callable[[str], None],
        requested: Callable[[str, str], None],
        secure: Secure | None = None,
    ) -> None:
        """``acknowledge`` hears the ids of episodes that somebody has seen; ``requested`` what
        was asked for and how it went; ``secure`` is called with the socket before it is bound.
        Raises UsageError or StartError."""
        self._context, self._secure = context, secure
        self._acknowledge, self._requested = acknowledge, requested
        self._open(bind, zmq_endpoints.bind)

    def _open(self, endpoint: str, bind: zmq_endpoints.Binding) -> None:
        self.socket = self._context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.sndhwm, self.socket.rcvhwm = REPLIES, REQUESTS
        self.socket.maxmsgsize = MAX_REQUEST_BYTES  # a longer part costs its sender the connection
        zmq_endpoints.keep_alive(self.socket)
        try:
            if self._secure is not None:
                self._secure(self.socket)
            self.bound = bind(self.socket, endpoint, "control")
        except BaseException:
            self.close()
            raise

    def serve(self, book: AlertJournal, seconds: float) -> bool:
        """Answer what was asked, for about so long at most; whether more may wait."""
        end = monotonic() + seconds
        while (parts := self._receive()) is not None:
            self._answer(parts, book)
            if monotonic() > end:
                return True
        return False

    def _receive(self) -> list[bytes] | None:
        """The next request's parts, at most MAX_PARTS, the first being who asks."""
        try:
            parts = [self.socket.recv(_NOBLOCK)]
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
        self.socket.send_multipart([*envelope, *reply.frames], _NOBLOCK)

    def reopen(self) -> None:
        """End every connection; those who may come in again connect again within a second or so.

        Raises StartError if the endpoint is taken meanwhile.
        """
        self.close()
        self._open(self.bound, zmq_endpoints.bind_again)

    def close(self) -> None:
        """Drop what is queued and free the endpoint."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
