"""What the daemon's sockets have in common: opened, bound, connected, reopened, closed.

Knows CURVE only as the authenticator that is passed in, and nothing of what travels through.
"""

from collections.abc import Sequence
from time import monotonic, sleep
from typing import ClassVar, Self

import zmq

from beatgan_daemon import descriptors, zmq_endpoints
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.security.allow_list import Role
from beatgan_daemon.security.curve import HANDSHAKE_MS
from beatgan_daemon.security.zap_authenticator import ZapAuthenticator

NOBLOCK = int(zmq.NOBLOCK)  # as plain numbers: enumerations are slow
MORE = int(zmq.SNDMORE) | NOBLOCK  # of all parts but the last
NEEDED = 16  # descriptors to open a socket anew; without one libzmq ends the process
PATIENCE_S = 2.0  # for them
USER_ID = "User-Id"  # of a message, as the ZAP authenticator said it: the sender's key


class BoundSocket:
    """A socket that listens on its endpoints; owned and used by one thread at a time.

    A subclass says what kind it is, who may connect, and which options it has.
    """

    KIND: ClassVar[int]  # zmq.SUB, ...
    ROLE: ClassVar[Role]  # what a client must be allowed to do
    PURPOSE: ClassVar[str]  # in error messages: "cannot bind the PURPOSE endpoint"

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        bind: Sequence[str],
        connect: Sequence[str] = (),
        authenticator: ZapAuthenticator | None = None,
    ) -> None:
        """Bind first, then connect. Without an ``authenticator`` everybody is let in who can
        reach the endpoints. Raises UsageError or StartError."""
        self._context, self._authenticator = context, authenticator
        self._connect = tuple(connect)
        for each in bind:
            zmq_endpoints.require_descriptors(each, self.PURPOSE)
        self._open(bind, zmq_endpoints.listen)

    def _open(self, endpoints: Sequence[str], bind: zmq_endpoints.Binding) -> None:
        self.socket = self._context.socket(self.KIND)
        self.socket.handshake_ivl = HANDSHAKE_MS  # who does not speak by then is cut off
        self._set_options(self.socket)
        try:
            if self._authenticator is not None:
                self._authenticator.as_server(self.socket, self.ROLE)
            self.endpoints = tuple(bind(self.socket, each, self.PURPOSE) for each in endpoints)
            zmq_endpoints.keep_alive(self.socket)
            for each in self._connect:
                if self._authenticator is not None:
                    self._authenticator.as_client(self.socket, each)
                zmq_endpoints.connect(self.socket, each, self.PURPOSE)
        except BaseException:
            self.close()
            raise

    def _set_options(self, socket: zmq.Socket[bytes]) -> None:
        """Set what must be set before the socket is bound."""
        raise NotImplementedError

    @property
    def endpoint(self) -> str:
        """The endpoint that it listens on, wildcards resolved: the first, where it has several."""
        return self.endpoints[0]

    def reopen(self) -> None:
        """End every connection; peers that are still allowed connect again within about a second.

        What is queued, either way, is dropped. Raises StartError if another process has taken an
        endpoint meanwhile, or where no descriptors are left.
        """
        self.socket.close(linger=0)
        self._await_descriptors()
        self._open(self.endpoints, zmq_endpoints.listen_again)

    def _await_descriptors(self) -> None:
        """Raise StartError where the connection limit does not free any in time."""
        end = monotonic() + PATIENCE_S
        while descriptors.free() < NEEDED:
            if monotonic() > end:
                raise StartError(f"cannot open the {self.PURPOSE} socket: no descriptors are left")
            sleep(0.001)

    def close(self) -> None:
        """Free the endpoints. Messages still queued go out within the socket's linger time."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
