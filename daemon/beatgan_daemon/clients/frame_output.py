"""Where frames go: to a daemon's ingest socket, or printed. Knows no stream's past."""

import sys
from collections.abc import Sequence
from typing import Protocol

import msgspec
import zmq
from zmq.utils.monitor import recv_monitor_message

from beatgan.errors import UsageError
from beatgan.protocol.buckets import topic_for
from beatgan.protocol.names import stream_of_topic
from beatgan_daemon import zmq_endpoints
from beatgan_daemon.security.curve import ConfigureSocket

QUEUE = 1_000  # frames that wait for a daemon that is away, or slow
LINGER_S = 2.0  # at the end, for what is queued
END_S = 1.0  # for the connection to end: a name server may not answer
LONGEST_TOPIC = 1_024  # bytes of a subscription
_EVENTS = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED


class FrameOutput(Protocol):
    """Takes frames, three parts each."""

    @property
    def connected(self) -> bool:
        """Whether somebody is there to take what is sent."""

    @property
    def reconnects(self) -> int:
        """How often somebody was there again."""

    def send(self, parts: Sequence[bytes]) -> bool:
        """Whether the frame was taken. Never waits."""

    def wants(self, stream: str, /) -> bool:
        """Whether somebody is there who wants this stream's frames."""

    def wait(self, seconds: float, /) -> bool:
        """Whether somebody is there who wants ECG, by then at the latest."""

    def close(self) -> None:
        """Send what waits, if somebody takes it."""


class DaemonOutput:
    """A daemon's ingest socket; used by one thread.

    What it is sent before it subscribed is not taken. While it is away after that, QUEUE frames
    wait for it, and no further ones are taken.
    """

    def __init__(
        self,
        *,
        bind: str | None = None,
        connect: str | None = None,
        configure: ConfigureSocket | None = None,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        """``context``: to be shared; the output has one of its own where none is given.

        Raises UsageError or StartError on a bad endpoint. Nobody need be there yet."""
        if (bind is None) == (connect is None):
            raise UsageError("give either an endpoint to bind or one to connect to")
        self.connected, self.reconnects = False, 0
        self._heard, self._topics = 0, set[bytes]()
        self._context = context or zmq.Context[zmq.Socket[bytes]]()
        self._context_is_shared = context is not None
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.setsockopt(zmq.XPUB_NODROP, 1)
        self._socket.sndhwm, self._socket.maxmsgsize = QUEUE, LONGEST_TOPIC
        self._socket.linger = 0
        self._monitor = self._socket.get_monitor_socket(_EVENTS)
        zmq_endpoints.keep_alive(self._socket)
        try:
            if configure is not None:
                configure(self._socket)
            if bind is not None:
                self.endpoint = zmq_endpoints.bind(self._socket, bind, "bridge")
            elif connect is not None:
                zmq_endpoints.connect(self._socket, connect, "ingest")
                self.endpoint = connect
        except BaseException:
            self._end()
            raise

    def send(self, parts: Sequence[bytes]) -> bool:
        """See `FrameOutput`."""
        self._listen()
        topic = topic_for(stream_of_topic(parts[0]) or "", self._topics)
        if topic is None:
            return False
        try:
            self._socket.send_multipart([topic, *parts[1:]], zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def wants(self, stream: str) -> bool:
        """See `FrameOutput`."""
        self._listen()
        return topic_for(stream, self._topics) is not None

    @property
    def away(self) -> bool:
        """Whether the daemon was there, and is not now."""
        self._listen()
        return self._heard > 0 and not self.connected

    def wait(self, seconds: float) -> bool:
        """See `FrameOutput`."""
        self._listen()
        if not self._topics and self._socket.poll(round(1000 * seconds)):
            self._listen()
        return bool(self._topics)

    def _listen(self) -> None:
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)["event"]
            self.connected = event == zmq.EVENT_HANDSHAKE_SUCCEEDED
            self._heard += self.connected
            self.reconnects = max(0, self._heard - 1)
        while self._socket.poll(0):
            word = self._socket.recv()
            if word[:1] == b"\x01":
                self._topics.add(word[1:])
            elif word[:1] == b"\x00":
                self._topics.discard(word[1:])

    def close(self) -> None:
        """See `FrameOutput`."""
        self._listen()
        if self.connected:
            self._socket.linger = round(1000 * LINGER_S)
        self._end()

    def _end(self) -> None:
        self._socket.disable_monitor()
        self._monitor.close()
        self._socket.close()
        if not self._context_is_shared:
            zmq_endpoints.terminate(self._context, LINGER_S + END_S)


class PrintedFrames:
    """`--dry-run`: a line of JSON a frame on stdout: topic, header, bytes of the payload."""

    connected = True
    reconnects = 0

    def send(self, parts: Sequence[bytes]) -> bool:
        """See `FrameOutput`."""
        topic, header, payload = parts
        line = {
            "topic": topic.decode(),
            **msgspec.msgpack.decode(header),
            "payload_bytes": len(payload),
        }
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
        sys.stdout.flush()
        return True

    def wants(self, _: str) -> bool:
        """See `FrameOutput`."""
        return True

    def wait(self, _: float) -> bool:
        """See `FrameOutput`."""
        return True

    def close(self) -> None:
        """See `FrameOutput`."""
