"""What the two sockets that clients subscribe to have in common: an XPUB that knows who wants what.

It never blocks, whoever subscribes to whatever. Does not read what it sends.
"""

from collections.abc import Iterator, Sequence

import zmq

from beatgan.protocol.subscriptions import Subscriptions
from beatgan_daemon.security.zap_authenticator import ZapAuthenticator
from beatgan_daemon.sockets.bound_socket import NOBLOCK, BoundSocket

LONGEST_TOPIC = 1_024  # bytes of a subscription; a longer one costs its sender the connection
AT_ONCE = 1_000  # subscriptions read in one call
UNREAD = 10  # of each subscriber: ZeroMQ keeps subscriptions before we hear of them
MAX_SUBSCRIBED = 2**20  # bytes of all subscriptions


class SubscribedSocket(BoundSocket):
    """An XPUB socket; a subclass says what is sent for a subscription."""

    KIND = zmq.XPUB

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        bind: Sequence[str],
        *,
        high_water: int,
        linger: float,
        authenticator: ZapAuthenticator | None,
        subscriptions: Subscriptions,
    ) -> None:
        """``high_water``: messages queued for each subscriber; ``linger``: how many seconds
        closing may wait for subscribers to take them; ``subscriptions``: where they are kept.
        The rest as in `BoundSocket`."""
        self._high_water, self._linger_ms = high_water, round(1000 * linger)
        self._known = subscriptions
        super().__init__(context, bind, (), authenticator)

    def _set_options(self, socket: zmq.Socket[bytes]) -> None:
        socket.linger = self._linger_ms
        socket.sndhwm = self._high_water
        socket.maxmsgsize = LONGEST_TOPIC
        socket.rcvhwm = UNREAD
        socket.setsockopt(zmq.XPUB_MANUAL, 1)  # we say what is sent for a subscription
        self._known.clear()

    def _covered(self, prefix: bytes) -> Sequence[bytes]:
        """The prefixes of what is sent for a subscription to ``prefix``."""
        raise NotImplementedError

    def subscriptions(self) -> Iterator[bytes]:
        """Topics subscribed to since the last call, at most AT_ONCE; never blocks.

        What is subscribed to is sent from then on that it has been asked for here.
        """
        for _ in range(AT_ONCE):
            try:
                frame = self.socket.recv(NOBLOCK, copy=False)
            except zmq.Again:
                return
            event, connection = frame.bytes, _connection(frame)
            if event.startswith(b"\x01"):
                for prefix in self._covered(event[1:]):
                    self.socket.subscribe(prefix)
                self._known.add(event[1:], connection)
                yield event[1:]
            elif event.startswith(b"\x00"):
                for prefix in self._covered(event[1:]):
                    self.socket.unsubscribe(prefix)
                self._known.remove(event[1:], connection)

    @property
    def overfull(self) -> bool:
        """Whether subscriptions take more memory than they may: `reopen` frees it.

        ZeroMQ does not say whose they are, so that everybody has to subscribe again.
        """
        return self._known.bytes > MAX_SUBSCRIBED


def _connection(frame: zmq.Frame) -> int | None:
    """The descriptor of the connection that a message came over; None: ZeroMQ made it itself."""
    try:
        return int(frame.get(zmq.SRCFD))
    except zmq.ZMQError:
        return None
