"""A daemon as a source of ECG sees it: it subscribes, and keeps the frames that come."""

from collections.abc import Sequence
from threading import Event, Thread
from time import monotonic, sleep
from typing import Self

import zmq

from beatgan.protocol.frame_decoder import decode_frame
from beatgan.types import Chunk

PATIENCE_S = 20.0


class ListeningDaemon:
    """Used as a context. It may end, and another one begin at the same ``endpoint``."""

    def __init__(
        self, endpoint: str = "tcp://127.0.0.1:*", topics: Sequence[bytes] = (b"ecg.",)
    ) -> None:
        self.endpoint, self._topics = endpoint, topics
        self.frames: list[list[bytes]] = []
        self.reading = Event()  # clear it, and nothing is taken off the socket
        self.reading.set()
        self._ready, self._over = Event(), Event()
        self._thread = Thread(target=self._run)

    def chunks(self, stream: str) -> list[Chunk]:
        """Of one stream, in their order."""
        found = [decode_frame(parts) for parts in self.frames]
        return [chunk for chunk in found if chunk.stream == stream]

    def wait_for(self, frames: int) -> bool:
        """Whether there are so many frames by now, or soon."""
        end = monotonic() + PATIENCE_S
        while len(self.frames) < frames and monotonic() < end:
            sleep(0.01)
        return len(self.frames) >= frames

    def _run(self) -> None:
        with zmq.Context[zmq.Socket[bytes]]() as context, context.socket(zmq.SUB) as socket:
            socket.linger, socket.rcvhwm = 0, 10
            socket.bind(self.endpoint)
            self.endpoint = socket.getsockopt_string(zmq.LAST_ENDPOINT)
            for topic in self._topics:
                socket.subscribe(topic)
            self._ready.set()
            while not self._over.is_set():
                if socket.poll(10) and self.reading.wait(0.01):
                    self.frames.append(socket.recv_multipart())

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(5.0)
        return self

    def stop(self) -> None:
        """Close the socket."""
        self._over.set()
        self._thread.join()

    def __exit__(self, *_: object) -> None:
        self.stop()
