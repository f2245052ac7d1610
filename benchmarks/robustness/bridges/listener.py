"""What the daemon says and what ECG it took, heard on its sockets."""

from threading import Event, Thread
from typing import Self

import zmq

from beatgan.protocol.frame_decoder import decode_frame
from beatgan.types import Chunk
from beatgan_daemon.clients.process import Endpoints


class Listener:
    """Used as a context; a thread of its own reads while it is open."""

    def __init__(self, endpoints: Endpoints) -> None:
        self.frames: dict[str, list[Chunk]] = {}
        self.beats: dict[str, list[bytes]] = {}
        self._endpoints, self._over = endpoints, Event()
        self._thread = Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        with (
            zmq.Context[zmq.Socket[bytes]]() as context,
            context.socket(zmq.SUB) as tap,
            context.socket(zmq.SUB) as published,
        ):
            for socket in (tap, published):
                socket.linger = socket.rcvhwm = 0
            assert self._endpoints.tap is not None
            tap.connect(self._endpoints.tap)
            tap.subscribe(b"ecg.")
            published.connect(self._endpoints.publish)
            published.subscribe(b"beat.")
            while not self._over.is_set():
                ready, _, _ = zmq.select([tap, published], [], [], 0.1)
                if tap in ready:
                    chunk = decode_frame(tap.recv_multipart())
                    self.frames.setdefault(chunk.stream, []).append(chunk)
                if published in ready:
                    topic, body = published.recv_multipart()
                    self.beats.setdefault(topic.decode().partition(".")[2], []).append(body)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
