"""Messages to ZeroMQ subscribers: one XPUB socket that never blocks and reports subscriptions.

A subscriber slower than its queue misses messages; the count in each alert shows it. Does not read
into a message.
"""

from collections.abc import Iterator

import zmq

from beatgan.protocol.subscriptions import Subscriptions, WantedBeats, covered
from beatgan_daemon.security.allow_list import Role
from beatgan_daemon.security.zap_authenticator import ZapAuthenticator
from beatgan_daemon.sockets.bound_socket import NOBLOCK, SNDMORE, BoundSocket

LONGEST_TOPIC = 1_024  # bytes of a subscription; a longer one costs its sender the connection
AT_ONCE = 1_000  # subscriptions read in one call
UNREAD = 10  # of each subscriber: ZeroMQ keeps subscriptions before we hear of them
MAX_SUBSCRIBED = 2**20  # bytes of all subscriptions
_MORE = SNDMORE | NOBLOCK


class PublishSocket(BoundSocket):
    """An XPUB socket."""

    KIND, ROLE, PURPOSE = zmq.XPUB, Role.SUBSCRIBE, "publish"

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        bind: str,
        *,
        high_water: int = 10_000,
        linger: float = 2.0,
        authenticator: ZapAuthenticator | None = None,
        subscriptions: Subscriptions | None = None,
    ) -> None:
        """``high_water``: messages queued for each subscriber; ``linger``: how many seconds
        closing may wait for subscribers to take them; ``subscriptions``: where they are kept for
        others to see. The rest as in `BoundSocket`."""
        self._high_water, self._linger_ms = high_water, round(1000 * linger)
        self._subscriptions = Subscriptions() if subscriptions is None else subscriptions
        super().__init__(context, (bind,), (), authenticator)

    def _set_options(self, socket: zmq.Socket[bytes]) -> None:
        socket.linger = self._linger_ms
        socket.sndhwm = self._high_water
        socket.maxmsgsize = LONGEST_TOPIC
        socket.rcvhwm = UNREAD
        socket.setsockopt(zmq.XPUB_MANUAL, 1)  # we say what is sent for a subscription
        self._subscriptions.clear()

    def send(self, topic: bytes, body: bytes) -> None:
        """Queue the message for every subscriber whose queue has room; never blocks."""
        self.socket.send(topic, _MORE)
        self.socket.send(body, NOBLOCK)

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
                for prefix in covered(event[1:]):
                    self.socket.subscribe(prefix)
                self._subscriptions.add(event[1:], connection)
                yield event[1:]
            elif event.startswith(b"\x00"):
                for prefix in covered(event[1:]):
                    self.socket.unsubscribe(prefix)
                self._subscriptions.remove(event[1:], connection)

    @property
    def wanted(self) -> WantedBeats:
        """The beats that somebody is subscribed to; any thread may ask."""
        return self._subscriptions.wanted

    @property
    def overfull(self) -> bool:
        """Whether subscriptions take more memory than they may: `reopen` frees it.

        ZeroMQ does not say whose they are, so that everybody has to subscribe again.
        """
        return self._subscriptions.bytes > MAX_SUBSCRIBED


def _connection(frame: zmq.Frame) -> int | None:
    """The descriptor of the connection that a message came over; None: ZeroMQ made it itself."""
    try:
        return int(frame.get(zmq.SRCFD))
    except zmq.ZMQError:
        return None
