"""ECG frames from ZeroMQ publishers: one SUB socket, any number of endpoints.

The queue is ZeroMQ's own and bounded; the frame queue keeps it short. Frames that overflow it show
up as a gap in the sample count. Does not decode a frame.
"""

from collections.abc import Sequence
from math import ceil

import zmq

from beatgan.protocol.frames import MAX_SAMPLES
from beatgan.protocol.names import ECG
from beatgan.types import MAX_LEADS
from beatgan_daemon.security.allow_list import Role
from beatgan_daemon.security.zap_authenticator import ZapAuthenticator
from beatgan_daemon.sockets.bound_socket import NOBLOCK, BoundSocket

MAX_PART = 4 * MAX_LEADS * MAX_SAMPLES  # bytes: the largest payload the protocol allows
MAX_PARTS = 4  # of a message; one more than a frame has, so that a longer one is recognised


class IngestSocket(BoundSocket):
    """A SUB socket for topics ``ecg.``."""

    KIND, ROLE, PURPOSE = zmq.SUB, Role.INGEST, "ingest"

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        bind: Sequence[str] = (),
        connect: Sequence[str] = (),
        *,
        high_water: int = 100_000,
        max_part: int = MAX_PART,
        authenticator: ZapAuthenticator | None = None,
    ) -> None:
        """``high_water``: frames queued for each peer; a longer part than ``max_part`` bytes
        costs its sender the connection. The rest as in `BoundSocket`."""
        self._high_water, self._max_part = high_water, max_part
        super().__init__(context, bind, connect, authenticator)

    def _set_options(self, socket: zmq.Socket[bytes]) -> None:
        socket.linger = 0
        socket.rcvhwm = self._high_water
        socket.maxmsgsize = self._max_part
        socket.subscribe(ECG)

    def wait(self, seconds: float | None) -> bool:
        """Whether a frame is there, within so many seconds; None waits for ever."""
        timeout = None if seconds is None else max(0, ceil(1000 * seconds))
        return bool(self.socket.poll(timeout))

    def receive(self) -> list[bytes] | None:
        """The next frame's parts, at most MAX_PARTS, or None if none is there; never blocks."""
        try:
            part = self.socket.recv(NOBLOCK, copy=False)
        except zmq.Again:
            return None
        parts = [part.bytes]
        while part.more:  # recv_multipart asks the socket instead, which costs more than a part
            part = self.socket.recv(copy=False)
            if len(parts) < MAX_PARTS:
                parts.append(part.bytes)
        return parts
