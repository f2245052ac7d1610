"""ECG frames from ZeroMQ publishers: one SUB socket, any number of endpoints.

Its bounded queue is ZeroMQ's own, kept short by intake.py: what overflows there shows up as a hole
in the sample count.
Does not look into a frame.
"""

from collections.abc import Sequence
from math import ceil
from typing import Protocol, Self

import zmq

from beatgan.protocol.frames import MAX_LEADS, MAX_SAMPLES
from beatgan.protocol.names import ECG
from beatgan_daemon import zmq_endpoints
from beatgan_daemon.security.allow_list import Role

_NOBLOCK = int(zmq.NOBLOCK)  # as plain numbers: enumerations are slow
MAX_PART = 4 * MAX_LEADS * MAX_SAMPLES  # bytes: the largest payload the protocol allows
MAX_PARTS = 4  # kept: one more than a frame has is enough to refuse it


class Door(Protocol):
    """Who may call, and who is expected where the daemon calls; a doorkeeper.Doorkeeper."""

    def guard(self, socket: zmq.Socket[bytes], role: Role) -> None:
        """Called once, before anything is bound."""

    def call(self, socket: zmq.Socket[bytes], endpoint: str) -> None:
        """Called before ``endpoint`` is connected, after everything is bound."""


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
        door: Door | None = None,
    ) -> None:
        """``high_water``: frames queued for each peer; a longer part than ``max_part`` bytes
        costs its sender the connection. Without a ``door`` anybody may call who can reach the
        endpoints. Raises UsageError or StartError."""
        self._context, self._door = context, door
        self._high_water, self._max_part = high_water, max_part
        self._connect = tuple(connect)
        self._open(bind, zmq_endpoints.bind)

    def _open(self, listen: Sequence[str], bind: zmq_endpoints.Binding) -> None:
        self.socket = self._context.socket(zmq.SUB)
        self.socket.linger = 0
        self.socket.rcvhwm = self._high_water
        self.socket.maxmsgsize = self._max_part
        zmq_endpoints.keep_alive(self.socket)
        self.socket.subscribe(ECG)
        try:
            self._attach(listen, bind)
        except BaseException:
            self.close()
            raise

    def _attach(self, listen: Sequence[str], bind: zmq_endpoints.Binding) -> None:
        if self._door:
            self._door.guard(self.socket, Role.INGEST)
        self.bound = tuple(bind(self.socket, each, "ingest") for each in listen)
        for each in self._connect:
            if self._door:
                self._door.call(self.socket, each)
            zmq_endpoints.connect(self.socket, each, "ingest")

    def reopen(self) -> None:
        """End every connection; those who may come in again call again within a second or so.

        What waits in the socket is dropped, and what is sent meanwhile: holes in the sample count.
        Raises StartError if an endpoint is taken by somebody else meanwhile.
        """
        self.close()
        self._open(self.bound, zmq_endpoints.bind_again)

    def wait(self, seconds: float | None) -> bool:
        """Whether a frame is there, within so many seconds; None waits for ever."""
        timeout = None if seconds is None else max(0, ceil(1000 * seconds))
        return bool(self.socket.poll(timeout))

    def receive(self) -> list[bytes] | None:
        """The next frame's parts, at most MAX_PARTS, or None if none is there; never blocks."""
        try:
            part = self.socket.recv(_NOBLOCK, copy=False)
        except zmq.Again:
            return None
        parts = [part.bytes]
        while part.more:  # recv_multipart asks the socket instead, which costs more than a part
            part = self.socket.recv(copy=False)
            if len(parts) < MAX_PARTS:
                parts.append(part.bytes)
        return parts

    def close(self) -> None:
        """Drop what is queued and free the endpoints."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
