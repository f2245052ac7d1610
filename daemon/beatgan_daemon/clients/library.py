"""A daemon in a program of one's own: `beatgan.Client`."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import msgspec
import zmq

from beatgan.errors import UsageError
from beatgan.library.array_input import samples_of_leads
from beatgan.playback.chunks import check_signal
from beatgan.protocol.frames import encode_frame
from beatgan.protocol.messages import (
    AlertMessage,
    BeatMessage,
    Message,
    StatusMessage,
    decode_alert,
)
from beatgan.protocol.names import stream_of_record, topic_of
from beatgan.records.recording import nanoseconds
from beatgan_daemon.clients import client as control
from beatgan_daemon.clients.counted_stream import CountedStream
from beatgan_daemon.clients.frame_output import DaemonOutput, FrameOutput
from beatgan_daemon.clients.subscriber import Subscriber
from beatgan_daemon.defaults import CONTROL, INGEST, PUBLISH
from beatgan_daemon.security import curve

if TYPE_CHECKING:
    from beatgan_daemon.clients.shards_library import AllShards

Kind = Literal["alert", "beat", "status"]
Published = AlertMessage | BeatMessage | StatusMessage
TURN_S: Final = 0.2  # how soon the end of the time is seen
FULL_S: Final = 0.01  # before a full queue is tried again
TIMEOUT_S: Final = 10.0

_decoders: Final[dict[bytes, msgspec.json.Decoder[Message]]] = {
    b"alert": msgspec.json.Decoder(AlertMessage),
    b"beat": msgspec.json.Decoder(BeatMessage),
    b"status": msgspec.json.Decoder(StatusMessage),
}


class Client:
    """A daemon that runs somewhere: its alerts and beats, acknowledging, sending it a signal.

    One thread uses it. Nobody need be there yet: what is asked says so where nobody answers. With
    ``with`` it is closed at the end.
    """

    def __init__(
        self,
        publish: str = PUBLISH,
        control: str = CONTROL,
        ingest: str = INGEST,
        *,
        key: str | Path | None = None,
        server_key: str | Path | None = None,
    ) -> None:
        """The daemon's endpoints, as its settings name them; on this machine if not given.

        ``key``: your own secret key's file, and ``server_key`` the daemon's public key or its file,
        where it asks for keys. Raises UsageError on an impossible endpoint or a spoilt key.
        """
        self._publish, self._control, self._ingest = publish, control, ingest
        self._configure = curve.configuration(
            None if key is None else Path(key), None if server_key is None else str(server_key)
        )
        self._context = zmq.Context[zmq.Socket[bytes]]()
        self._signals: list[Signal] = []

    @classmethod
    def of_shards(
        cls,
        directory: str | Path,
        *,
        key: str | Path | None = None,
        server_key: str | Path | None = None,
    ) -> "AllShards":
        """All daemons that share ``directory``, as if they were one; see `AllShards`.

        ``server_key``: the same of all. Raises UsageError where there is no map of shards.
        """
        from beatgan_daemon.clients.shards_library import AllShards

        return AllShards(directory, key=key, server_key=server_key)

    def subscribe(
        self, *kinds: Kind, stream: str | None = None, seconds: float | None = None
    ) -> Iterator[Published]:
        """What the daemon publishes from now on, as it comes.

        ``kinds``: alerts alone if none is given. ``stream``: this one alone. It ends after
        ``seconds``, or never. What is published while the connection is down is not in it: for
        alerts `follow` has all of them.
        """
        subscriber = Subscriber(self._context, self._publish, "publish", self._configure)
        for topic in topics_of(kinds, stream):
            subscriber.subscribe(topic)
        return self._until(subscriber, stream, seconds)

    def _until(
        self, subscriber: Subscriber, stream: str | None, seconds: float | None
    ) -> Iterator[Published]:
        end = None if seconds is None else time.monotonic() + seconds
        try:
            while end is None or time.monotonic() < end:
                for parts in subscriber.messages():
                    message = read_message(parts, stream)
                    if message is not None:
                        yield message
                subscriber.wait(turn(end))
        finally:
            subscriber.close()

    def alerts(self, since: int = 0) -> Iterator[AlertMessage]:
        """Every alert in the daemon's journal from number ``since`` on, in order, up to now.

        Raises UsageError where nobody answers, or the journal cannot be read.
        """
        bodies = control.fetch_alerts(self._control, since, configure=self._configure)
        return map(decode_alert, bodies)

    def follow(self, since: int = 0) -> Iterator[AlertMessage]:
        """As `alerts`, and then those that come: each once, in order, whatever breaks meanwhile."""
        bodies = control.follow_alerts(
            self._control, since, lambda: False, configure=self._configure
        )
        return map(decode_alert, bodies)

    def active(self) -> list[AlertMessage]:
        """The last alert of every episode under way. Raises UsageError where nobody answers."""
        return [*map(decode_alert, control.active(self._control, configure=self._configure))]

    def acknowledge(self, episode: str) -> None:
        """Say that somebody has seen the episode, an alert's ``id``.

        Raises UsageError where it is not under way, or nobody answers.
        """
        control.acknowledge(self._control, episode, configure=self._configure)

    def publish(self, stream: str, fs: float, leads: str | tuple[str, ...] = "ECG") -> "Signal":
        """A signal that is sent to the daemon as the stream of this name; see `Signal.push`.

        Raises UsageError where no stream may be so.
        """
        if stream != stream_of_record(stream):
            raise UsageError(f"stream {stream!r}: expected letters, digits, _, - and :")
        names = (leads,) if isinstance(leads, str) else tuple(leads)
        check_signal(stream, fs, names)
        output, where = self._frame_output()
        counted = CountedStream(stream, fs, names, time.time_ns())
        signal = Signal(output, where, counted, fs, names)
        self._signals.append(signal)
        return signal

    def _frame_output(self) -> tuple[FrameOutput, str]:
        """Where a signal goes; and in words."""
        return DaemonOutput(connect=self._ingest, configure=self._configure), self._ingest

    def close(self) -> None:
        """End all connections; what was pushed is sent before."""
        for signal in self._signals:
            signal.close()
        self._context.destroy(linger=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Signal:
    """One stream on its way to a daemon."""

    def __init__(
        self,
        output: FrameOutput,
        where: str,
        stream: CountedStream,
        fs: float,
        leads: tuple[str, ...],
    ) -> None:
        self._output, self._where = output, where
        self._stream, self._fs, self._leads = stream, fs, leads
        self._closed = False

    def push(self, ecg: Any, time_of_first: datetime | None = None) -> None:
        """Send the samples that follow, in mV, of shape (n,) or (n, leads); NaN is a lost sample.

        ``time_of_first``: when the first of them was taken; if not given, the last of them just
        now. Send them as they come: a daemon raises an alarm where samples arrive at another rate
        than ``fs``. Waits for the daemon where it must; raises UsageError where none takes them
        within TIMEOUT_S.
        """
        samples = samples_of_leads(ecg, self._leads)
        now_ns = time.time_ns() - round(len(samples) * 1e9 / self._fs)
        t_ns = now_ns if time_of_first is None else nanoseconds(time_of_first)
        for chunk in self._stream.chunks(samples, t_ns):
            self._send(encode_frame(chunk))

    def skip(self, samples: int) -> None:
        """So many samples are lost, and their time has passed: the daemon tells of a gap."""
        self._stream.skip(samples)

    def close(self) -> None:
        """Send what waits, and end the connection."""
        if not self._closed:
            self._closed = True
            self._output.close()

    def _send(self, parts: list[bytes]) -> None:
        end = time.monotonic() + TIMEOUT_S
        while not self._output.send(parts):
            if time.monotonic() > end:
                raise UsageError(f"{self._where}: no daemon takes ECG there")
            if self._output.wait(TURN_S):
                time.sleep(FULL_S)


def topics_of(kinds: Sequence[Kind], stream: str | None) -> list[bytes]:
    """What to subscribe to for these kinds of messages, of one stream or of all."""
    found = kinds or ("alert",)
    return [topic_of(kind, stream) if stream else f"{kind}.".encode() for kind in found]


def read_message(parts: Sequence[bytes], stream: str | None) -> Published | None:
    """The message; None where it is of another stream, whose name begins alike."""
    topic, body = parts
    kind, _, name = topic.partition(b".")
    return _decoders[kind].decode(body) if stream in (None, name.decode()) else None


def turn(end: float | None) -> float:
    """Seconds to wait for something, until it is to be looked at whether ``end`` has come."""
    return TURN_S if end is None else max(0.0, min(TURN_S, end - time.monotonic()))
