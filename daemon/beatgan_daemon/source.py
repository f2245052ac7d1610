"""ECG frames from ZeroMQ publishers: one SUB socket, any number of endpoints.

Its bounded queue is ZeroMQ's own, kept short by intake.py: what overflows there shows up as a hole
in the sample count.
Does not look into a frame.
"""

from collections.abc import Sequence
from math import ceil
from typing import Self

import zmq

from beatgan_daemon import endpoints
from beatgan_daemon.wire import MAX_LEADS, MAX_SAMPLES

_NOBLOCK = int(zmq.NOBLOCK)  # as plain numbers: enumerations are slow
MAX_PART = 4 * MAX_LEADS * MAX_SAMPLES  # bytes: the largest payload the protocol allows


class Source:
    """A SUB socket for topics ``ecg.``; owned and used by one thread."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        bind: Sequence[str] = (),
        connect: Sequence[str] = (),
        *,
        high_water: int = 100_000,
        max_part: int = MAX_PART,
    ) -> None:
        """``high_water``: frames queued for each peer; a longer part than ``max_part`` bytes
        costs its sender the connection. Raises UsageError or StartError."""
        self.socket = context.socket(zmq.SUB)
        self.socket.linger = 0
        self.socket.rcvhwm = high_water
        self.socket.maxmsgsize = max_part
        endpoints.keep_alive(self.socket)
        self.socket.subscribe(b"ecg.")
        try:
            self.bound = tuple(endpoints.bind(self.socket, each, "ingest") for each in bind)
            for each in connect:
                endpoints.connect(self.socket, each, "ingest")
        except BaseException:
            self.close()
            raise

    def wait(self, seconds: float | None) -> bool:
        """Whether a frame is there, within so many seconds; None waits for ever."""
        timeout = None if seconds is None else max(0, ceil(1000 * seconds))
        return bool(self.socket.poll(timeout))

    def receive(self) -> list[bytes] | None:
        """The next frame's parts, or None if none is there; never blocks."""
        try:
            part = self.socket.recv(_NOBLOCK, copy=False)
        except zmq.Again:
            return None
        parts = [part.bytes]
        while part.more:  # recv_multipart asks the socket instead, which costs more than a part
            part = self.socket.recv(copy=False)
            parts.append(part.bytes)
        return parts

    def close(self) -> None:
        """Drop what is queued and free the endpoints."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
