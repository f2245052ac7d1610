"""Messages to ZeroMQ subscribers: a socket that never blocks.

A subscriber slower than its queue misses messages; the count in each alert shows it. Does not read
into a message.
"""

from collections.abc import Sequence

import zmq

from beatgan.protocol.subscriptions import BeatSubscriptions, WantedBeats, covered
from beatgan_daemon.security.allow_list import Role
from beatgan_daemon.security.zap_authenticator import ZapAuthenticator
from beatgan_daemon.sockets.bound_socket import MORE, NOBLOCK
from beatgan_daemon.sockets.subscribed_socket import SubscribedSocket


class PublishSocket(SubscribedSocket):
    """Where beats, alerts and status messages go."""

    ROLE, PURPOSE = Role.SUBSCRIBE, "publish"

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        bind: str,
        *,
        high_water: int = 10_000,
        linger: float = 2.0,
        authenticator: ZapAuthenticator | None = None,
        subscriptions: BeatSubscriptions | None = None,
    ) -> None:
        """``subscriptions``: where they are kept for others to see. The rest as in
        `SubscribedSocket`."""
        self._subscriptions = BeatSubscriptions() if subscriptions is None else subscriptions
        super().__init__(
            context,
            (bind,),
            high_water=high_water,
            linger=linger,
            authenticator=authenticator,
            subscriptions=self._subscriptions,
        )

    def _covered(self, prefix: bytes) -> Sequence[bytes]:
        return covered(prefix)

    def send(self, topic: bytes, body: bytes) -> None:
        """Queue the message for every subscriber whose queue has room; never blocks."""
        self.socket.send(topic, MORE)
        self.socket.send(body, NOBLOCK)

    @property
    def wanted(self) -> WantedBeats:
        """The beats that somebody is subscribed to; any thread may ask."""
        return self._subscriptions.wanted
