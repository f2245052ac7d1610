"""Messages to ZeroMQ subscribers: one PUB socket that never blocks.

A subscriber slower than its queue misses messages; alerts carry a count that shows it.
Does not look into a message beyond its encoding.
"""

from typing import Self

import zmq

from beatgan_daemon import endpoints
from beatgan_daemon.messages import Message, encode_message

_LAST = int(zmq.NOBLOCK)  # as plain numbers: enumerations are slow
_FIRST = int(zmq.SNDMORE) | _LAST


class Sink:
    """A PUB socket; owned and used by one thread."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        bind: str,
        *,
        high_water: int = 10_000,
        linger: float = 2.0,
    ) -> None:
        """``high_water``: messages queued for each subscriber; ``linger``: how many seconds
        closing may wait for subscribers to take them. Raises UsageError or StartError."""
        self.socket = context.socket(zmq.PUB)
        self.socket.linger = round(1000 * linger)
        self.socket.sndhwm = high_water
        endpoints.keep_alive(self.socket)
        try:
            self.bound = endpoints.bind(self.socket, bind, "publish")
        except BaseException:
            self.close()
            raise

    def send(self, message: Message) -> None:
        """Hand the message to every subscriber whose queue has room; never blocks."""
        topic, body = encode_message(message)
        self.socket.send(topic, _FIRST)
        self.socket.send(body, _LAST)

    def close(self) -> None:
        """Let subscribers take what is queued while the context lives, then free the endpoint."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
