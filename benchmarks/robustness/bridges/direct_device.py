"""A device that speaks the daemon's own protocol, for a bridge that has no way in."""

from time import time_ns

import zmq

from beatgan.protocol.frames import encode_frame
from beatgan.types import Chunk, Floats
from benchmarks.robustness.bridges.counterpart import FS, LEAD

SUBSCRIBED_S = 10.0


class DirectDevice:
    """A PUB socket that connects to a daemon."""

    def __init__(self, ingest: str) -> None:
        """Wait for the daemon's subscription."""
        self._epoch = time_ns()
        self._context = zmq.Context[zmq.Socket[bytes]]()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.linger = 0
        self._socket.connect(ingest)
        assert self._socket.poll(round(1000 * SUBSCRIBED_S))

    def send(self, stream: str, first: int, samples: Floats) -> None:
        """See `counterpart.Counterpart`."""
        time = self._epoch + round(first / FS * 1e9)
        chunk = Chunk(stream, self._epoch, 0, first, time, FS, (LEAD,), samples[:, None])
        self._socket.send_multipart(encode_frame(chunk))

    def close(self) -> None:
        """End the connection."""
        self._socket.close()
        self._context.term()
