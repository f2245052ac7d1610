"""SUB sockets of several daemons, which come and go, behind the interface of one."""

from collections import Counter
from collections.abc import Iterator, Mapping

import zmq

from beatgan_daemon.clients.subscriber import Subscriber
from beatgan_daemon.security.curve import ConfigureSocket


class Subscribers:
    """Subscribed to the same at every daemon; used by one thread."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        purpose: str,
        configure: ConfigureSocket | None,
    ) -> None:
        """Nobody is listened to yet, see `listen_to`."""
        self._context, self._purpose, self._configure = context, purpose, configure
        self._topics: Counter[bytes] = Counter()
        self._sockets: dict[str, tuple[str, Subscriber]] = {}  # by name, with its endpoint

    def listen_to(self, endpoints: Mapping[str, str]) -> None:
        """From now on hear these and no others, by name. Raises UsageError on an impossible one."""
        for name, (endpoint, socket) in [*self._sockets.items()]:
            if endpoints.get(name) != endpoint:
                del self._sockets[name]
                socket.close()
        for name in endpoints.keys() - self._sockets.keys():
            socket = Subscriber(self._context, endpoints[name], self._purpose, self._configure)
            for topic in self._topics.elements():
                socket.subscribe(topic)
            self._sockets[name] = endpoints[name], socket

    @property
    def connected(self) -> dict[str, bool]:
        """Whether each is connected now, by name."""
        return {name: socket.connected for name, (_, socket) in self._sockets.items()}

    def subscribe(self, topic: bytes) -> None:
        """From now on hear what begins with ``topic``."""
        self._topics[topic] += 1
        for _, socket in self._sockets.values():
            socket.subscribe(topic)

    def unsubscribe(self, topic: bytes) -> None:
        """The end of one subscription."""
        self._topics[topic] -= 1
        for _, socket in self._sockets.values():
            socket.unsubscribe(topic)

    def messages(self) -> Iterator[tuple[str, list[bytes]]]:
        """Those that have come, each with the name of who sent it."""
        for name, (_, socket) in [*self._sockets.items()]:
            for parts in socket.messages():
                yield name, parts

    def wait(self, seconds: float) -> None:
        """Until something has come, at most so long."""
        waiting = [each for _, socket in self._sockets.values() for each in socket.waited_for]
        zmq.select(waiting, [], [], seconds)

    def close(self) -> None:
        """End the connections."""
        self.listen_to({})
