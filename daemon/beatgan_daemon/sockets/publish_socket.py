"""Messages to ZeroMQ subscribers: one XPUB socket that never blocks, and hears who subscribes.

A subscriber slower than its queue misses messages; alerts carry a count that shows it.
Does not look into a message.
"""

from collections.abc import Iterator
from typing import Self

import zmq

from beatgan_daemon import zmq_endpoints
from beatgan_daemon.security.curve import Secure

_LAST = int(zmq.NOBLOCK)  # as plain numbers: enumerations are slow
_FIRST = int(zmq.SNDMORE) | _LAST
LONGEST_TOPIC = 1_024  # bytes of a subscription; a longer one costs its sender the connection
AT_ONCE = 1_000  # subscriptions


class Sink:
    """An XPUB socket; owned and used by one thread at a time."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        bind: str,
        *,
        high_water: int = 10_000,
        linger: float = 2.0,
        secure: Secure | None = None,
    ) -> None:
        """``high_water``: messages queued for each subscriber; ``linger``: how many seconds
        closing may wait for subscribers to take them; ``secure`` is called with the socket before
        it is bound. Raises UsageError or StartError."""
        self._context, self._secure = context, secure
        self._high_water, self._linger_ms = high_water, round(1000 * linger)
        self._open(bind, zmq_endpoints.bind)

    def _open(self, endpoint: str, bind: zmq_endpoints.Binding) -> None:
        self.socket = self._context.socket(zmq.XPUB)
        self.socket.linger = self._linger_ms
        self.socket.sndhwm = self._high_water
        self.socket.maxmsgsize = LONGEST_TOPIC
        self.socket.setsockopt(zmq.XPUB_VERBOSE, 1)  # tells of everyone, not of the first alone
        zmq_endpoints.keep_alive(self.socket)
        try:
            if self._secure is not None:
                self._secure(self.socket)
            self.bound = bind(self.socket, endpoint, "publish")
        except BaseException:
            self.close()
            raise

    def send(self, topic: bytes, body: bytes) -> None:
        """Hand the message to every subscriber whose queue has room; never blocks."""
        self.socket.send(topic, _FIRST)
        self.socket.send(body, _LAST)

    def subscriptions(self) -> Iterator[bytes]:
        """The topics that were subscribed to since the last call, at most some; never blocks."""
        for _ in range(AT_ONCE):
            try:
                told = self.socket.recv(_LAST)
            except zmq.Again:
                return
            if told.startswith(b"\x01"):
                yield told[1:]

    def reopen(self) -> None:
        """End every connection; those who may come in again connect again within a second or so.

        What is queued for them is dropped. Raises StartError if the endpoint is taken meanwhile.
        """
        self.socket.close(linger=0)
        self._open(self.bound, zmq_endpoints.bind_again)

    def close(self) -> None:
        """Let subscribers take what is queued while the context lives, then free the endpoint."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
