"""ECG frames from ZeroMQ publishers, and who sent each: SUB sockets, any number of endpoints.

Under whichever topic a stream's frames came, they leave here under the plain one.

The queue is ZeroMQ's own and bounded; the frame queue keeps it short. Senders wait where it is
full; what overflows at their end shows up as a gap in the sample count. Does not decode a frame.
"""

from collections.abc import Sequence, Set
from contextlib import ExitStack
from math import ceil
from time import monotonic, sleep
from typing import Self

import zmq

from beatgan.protocol.buckets import ALL, bucket_of, bucket_prefix, plain_topic
from beatgan.protocol.frames import MAX_SAMPLES
from beatgan.protocol.names import ECG, stream_of_topic
from beatgan.types import MAX_LEADS
from beatgan_daemon.security.allow_list import Role
from beatgan_daemon.security.zap_authenticator import ZapAuthenticator
from beatgan_daemon.sockets.bound_socket import NOBLOCK, USER_ID, BoundSocket

MAX_PART = 4 * MAX_LEADS * MAX_SAMPLES  # bytes: the largest payload the protocol allows
QUEUE_BYTES = 2**26  # that may wait, here for each connection, unless told otherwise
MIN_QUEUED = 2  # frames that may wait for each connection, however large
MAX_PARTS = 4  # of a message; one more than a frame has, so that a longer one is recognised
REFILL_S = 1e-4  # in which ZeroMQ's thread reads on, once there is room in a connection's queue
TURN = 64  # frames taken from one socket before the next one is asked
GATHER_S = 0.005  # between two waits: to wake up for each of many frames costs more than the frames

SOURCE = int(zmq.SRCFD)  # of a message: the descriptor of the connection that it came by


class _EcgSocket(BoundSocket):
    """One SUB socket for topics ``ecg.``."""

    KIND, ROLE, PURPOSE = zmq.SUB, Role.INGEST, "ingest"

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        bind: Sequence[str],
        connect: Sequence[str],
        queued: int,
        max_part: int,
        authenticator: ZapAuthenticator | None,
        topics: Sequence[bytes],
    ) -> None:
        self._queued, self._max_part, self._topics = queued, max_part, topics
        self.sender: str | None = None  # of the frame received last
        self.connection: str | int | None = (
            None  # likewise: the sender, or without keys a descriptor
        )
        self._asks = authenticator is not None and bool(bind)
        if authenticator is not None and not bind:
            self.sender = connect[0]
        super().__init__(context, bind, connect, authenticator)

    def _set_options(self, socket: zmq.Socket[bytes]) -> None:
        socket.linger = 0
        socket.rcvhwm = self._queued
        socket.maxmsgsize = self._max_part
        for topic in self._topics:
            socket.subscribe(topic)

    def subscribe(self, topics: Sequence[bytes]) -> None:
        """To these instead, without a moment of neither."""
        before, self._topics = self._topics, topics
        for topic in set(topics).difference(before):
            self.socket.subscribe(topic)
        for topic in set(before).difference(topics):
            self.socket.unsubscribe(topic)

    def receive(self) -> list[bytes] | None:
        try:
            part = self.socket.recv(NOBLOCK, copy=False)
        except zmq.Again:
            return None
        if self._asks:
            self.sender = str(part.get(USER_ID))
        self.connection = self.sender or int(part.get(SOURCE))
        parts = [part.bytes]
        while part.more:  # recv_multipart asks the socket instead, which costs more than a part
            part = self.socket.recv(copy=False)
            if len(parts) < MAX_PARTS:
                parts.append(part.bytes)
        return parts


class IngestSocket:
    """All endpoints for ECG; owned and used by one thread at a time."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        bind: Sequence[str] = (),
        connect: Sequence[str] = (),
        *,
        high_water: int = 100_000,
        max_part: int = MAX_PART,
        queue_bytes: int = QUEUE_BYTES,
        authenticator: ZapAuthenticator | None = None,
        buckets: Set[int] = ALL,
        plain: bool = True,
    ) -> None:
        """``high_water``: frames queued for each connection, fewer where frames of ``max_part``
        bytes would be more than ``queue_bytes``; a longer part than ``max_part`` bytes costs its
        sender the connection. ``buckets``: those whose streams are taken; ``plain``: under topics
        without a bucket, too, of which those of other buckets are let go here. The rest as in
        `BoundSocket`.

        How many stays as it is: libzmq counts what was read in steps of half of it, so that a
        connection whose bound changes later may wait for ever to be read on.

        With an ``authenticator`` each endpoint that is called has a socket of its own: ZeroMQ
        tells who a caller is, but not which of those that were called sent a frame.
        """
        apart = [(each,) for each in connect] if authenticator is not None else []
        together = (bind, () if authenticator is not None else connect)
        plans = [together, *(((), each) for each in apart)]
        queued = min(high_water, max(MIN_QUEUED, queue_bytes // max_part))
        self._plain = plain
        self._served: Set[int] | None = None if buckets == ALL else buckets
        topics = self._topics(buckets)
        with ExitStack() as opened:
            self._sockets = [
                opened.enter_context(
                    _EcgSocket(context, *plan, queued, max_part, authenticator, topics)
                )
                for plan in plans
                if any(plan)
            ]
            self._opened = opened.pop_all()
        self._poller = zmq.Poller()
        self._register()
        self._turn = self._taken = 0
        self._room = ceil(queued / 2)  # from so many read on ZeroMQ makes use of it
        self._in_a_row, self._waited = 0, monotonic()
        self.sender: str | None = None  # of the frame received last: a key, or a called endpoint
        self.connection: str | int | None = None  # likewise: `sender`, or without keys a connection

    def _topics(self, buckets: Set[int]) -> list[bytes]:
        if self._plain or buckets == ALL:
            return [ECG]
        return [*map(bucket_prefix, sorted(buckets))]

    def serve(self, buckets: Set[int]) -> None:
        """From now on, take the streams of these buckets."""
        if buckets != self._served:
            self._served = buckets
            for each in self._sockets:
                each.subscribe(self._topics(buckets))

    def _register(self) -> None:
        for each in self._sockets:
            self._poller.register(each.socket, zmq.POLLIN)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The endpoints that it listens on, wildcards resolved."""
        return tuple(each for socket in self._sockets for each in socket.endpoints)

    @property
    def endpoint(self) -> str:
        """The first of `endpoints`."""
        return self.endpoints[0]

    def wait(self, seconds: float | None) -> bool:
        """Whether a frame is there, within so many seconds; None waits for ever.

        Asked again too soon, it lets frames gather first.
        """
        gather = self._waited + GATHER_S - monotonic()
        if gather > 0:
            sleep(gather if seconds is None else min(gather, max(0.0, seconds)))
        timeout = None if seconds is None else max(0, ceil(1000 * seconds))
        found = bool(self._poller.poll(timeout))
        self._waited = monotonic()
        return found

    def receive(self) -> list[bytes] | None:
        """The next frame's parts, at most MAX_PARTS, or None if none is there, at once.

        `sender` says who sent it. Where a connection's queue may have been full, what its peer had
        sent by then is given REFILL_S to follow.
        """
        while (parts := self._take()) is not None:
            parts[0] = plain_topic(parts[0])
            if self._served is None or not self._plain or self._is_served(parts[0], self._served):
                return parts
        return None

    def _take(self) -> list[bytes] | None:
        """The next frame, of whatever bucket."""
        parts = self._next()
        if parts is None and self._in_a_row >= self._room:
            sleep(REFILL_S)
            parts = self._next()
        self._in_a_row = 0 if parts is None else self._in_a_row + 1
        return parts

    @staticmethod
    def _is_served(topic: bytes, buckets: Set[int]) -> bool:
        """Whether the frames of this topic are for who serves these buckets; an odd one's are."""
        stream = stream_of_topic(topic)
        return stream is None or bucket_of(stream) in buckets

    def _next(self) -> list[bytes] | None:
        for _ in self._sockets:
            socket = self._sockets[self._turn]
            parts = socket.receive()
            self._taken += 1
            if parts is None or self._taken >= TURN:
                self._turn, self._taken = (self._turn + 1) % len(self._sockets), 0
            if parts is not None:
                self.sender, self.connection = socket.sender, socket.connection
                return parts
        return None

    def reopen(self) -> None:
        """End every connection, see `BoundSocket.reopen`."""
        for each in self._sockets:
            self._poller.unregister(each.socket)
            each.reopen()
        self._register()

    def close(self) -> None:
        """Free the endpoints."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
