"""The tap: ECG frames as they came in, to whoever is subscribed to their stream.

It never blocks: a subscriber slower than its queue misses frames. Does not decode a frame.
"""

from collections.abc import Callable, Sequence

import zmq

from beatgan.protocol.subscriptions import FrameSubscriptions, covered_frames
from beatgan_daemon import log
from beatgan_daemon.security.allow_list import Role
from beatgan_daemon.security.zap_authenticator import ZapAuthenticator
from beatgan_daemon.sockets.bound_socket import MORE, NOBLOCK
from beatgan_daemon.sockets.subscribed_socket import SubscribedSocket


class TapSocket(SubscribedSocket):
    """Owned and used by the thread that accepts frames."""

    ROLE, PURPOSE = Role.SIGNAL, "tap"

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        bind: Sequence[str],
        *,
        high_water: int,
        sent: Callable[[], None],
        dropped: Callable[[], None],
        authenticator: ZapAuthenticator | None = None,
    ) -> None:
        """``sent`` is called for each frame that somebody is subscribed to; ``dropped`` where it
        found the queue of one of them full. The rest as in `SubscribedSocket`."""
        self._sent, self._dropped = sent, dropped
        self._wanted = FrameSubscriptions()
        super().__init__(
            context,
            bind,
            high_water=high_water,
            linger=0.0,
            authenticator=authenticator,
            subscriptions=self._wanted,
        )

    def _set_options(self, socket: zmq.Socket[bytes]) -> None:
        super()._set_options(socket)
        socket.setsockopt(zmq.XPUB_NODROP, 1)  # a full queue is told of, not passed over

    def _covered(self, prefix: bytes) -> Sequence[bytes]:
        return covered_frames(prefix)

    def take_subscriptions(self) -> None:
        """Go by what was subscribed to since the last call.

        Subscriptions beyond what memory they may take end every connection.
        """
        for _ in self.subscriptions():
            pass
        if self.overfull:
            log.get().warning("too many subscriptions", why="all connections to tap are ended")
            self.reopen()

    def wants(self, topic: bytes) -> bool:
        """Whether somebody is subscribed to frames under ``topic``; any thread may ask."""
        return self._wanted.wants(topic)

    def send(self, frame: Sequence[bytes]) -> None:
        """Queue a frame, its parts as they are, for every subscriber of its stream whose queue has
        room."""
        if not self.wants(frame[0]):
            return
        try:
            self._queue(frame)
        except zmq.Again:  # of one at least the queue is full: now for the others
            self.socket.setsockopt(zmq.XPUB_NODROP, 0)
            self._queue(frame)
            self.socket.setsockopt(zmq.XPUB_NODROP, 1)
            self._dropped()
        self._sent()

    def _queue(self, frame: Sequence[bytes]) -> None:
        topic, header, payload = frame
        self.socket.send(topic, MORE)
        self.socket.send(header, MORE)
        self.socket.send(payload, NOBLOCK)
