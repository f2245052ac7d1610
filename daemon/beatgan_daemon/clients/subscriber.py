"""A SUB socket that is read when asked; it knows when its peer is away."""

from collections.abc import Iterator

import zmq
from zmq.utils.monitor import recv_monitor_message

from beatgan_daemon import zmq_endpoints
from beatgan_daemon.security.curve import ConfigureSocket

HIGH_WATER = 10_000  # messages that may wait
AT_ONCE = 2_000  # messages read before others have their turn
_EVENTS = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED


class Subscriber:
    """Subscribed to what is wanted; used by one thread."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        purpose: str,
        configure: ConfigureSocket | None,
    ) -> None:
        """Raises UsageError on an impossible endpoint. Nobody need be there yet."""
        self.connected = False
        self._socket = context.socket(zmq.SUB)
        self._socket.linger, self._socket.rcvhwm = 0, HIGH_WATER
        zmq_endpoints.keep_alive(self._socket)
        try:
            if configure is not None:
                configure(self._socket)
            self._monitor = self._socket.get_monitor_socket(_EVENTS)
            zmq_endpoints.connect(self._socket, endpoint, purpose)
        except BaseException:
            self._socket.close()
            raise

    def subscribe(self, topic: bytes) -> None:
        """From now on hear what begins with ``topic``."""
        self._socket.subscribe(topic)

    def unsubscribe(self, topic: bytes) -> None:
        """The end of one subscription."""
        self._socket.unsubscribe(topic)

    def messages(self) -> Iterator[list[bytes]]:
        """Those that have come, AT_ONCE at most."""
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)["event"]
            self.connected = event == zmq.EVENT_HANDSHAKE_SUCCEEDED
        for _ in range(AT_ONCE):
            try:
                yield self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return

    def wait(self, seconds: float) -> None:
        """Until something has come, at most so long."""
        zmq.select(self.waited_for, [], [], seconds)

    @property
    def waited_for(self) -> list[zmq.Socket[bytes]]:
        """The sockets that something may come by."""
        return [self._socket, self._monitor]

    def close(self) -> None:
        """End the connection."""
        self._socket.disable_monitor()
        self._monitor.close()
        self._socket.close()
