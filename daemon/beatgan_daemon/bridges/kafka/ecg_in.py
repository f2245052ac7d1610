"""ECG from a Kafka topic to a daemon: as fast as the daemon takes it, and no message in vain.

Kafka keeps what no daemon is there to take. So nothing is dropped here: the consumer waits, and
what was sent just before the daemon's connection broke is sent again. What has piled up goes at a
pace that the daemon can watch; other partitions do not wait for it.

Beside a shard, the bridge's partitions are the shard's buckets. What the shard was given within its
latest checkpoint's age is not committed: it comes again where the shard was killed.
"""

from collections.abc import Callable, Sequence
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final

from beatgan.errors import StreamError
from beatgan.protocol.frame_header import check_frame
from beatgan.protocol.names import ECG, stream_of_topic
from beatgan_daemon.bridges.frame_body import frame_parts
from beatgan_daemon.bridges.kafka.consumer import KafkaConsumer
from beatgan_daemon.bridges.kafka.membership import Membership
from beatgan_daemon.bridges.kafka.pace import Pace
from beatgan_daemon.bridges.process import TURN_S, running
from beatgan_daemon.bridges.signal_in import SignalIn
from beatgan_daemon.clients.frame_output import FrameOutput

if TYPE_CHECKING:
    from confluent_kafka import Message

HOLD_S: Final = 0.05  # between attempts at a daemon that takes nothing
LOOK_S: Final = 0.1  # until a shard may have a bucket that it does not have yet
OVERLAP_S: Final = 2.0  # what a partition's next bridge sends again: the shard before it may have
# let go while that was under way


class PatientOutput:
    """A `FrameOutput` that waits while a daemon is there and its queue is full."""

    def __init__(self, output: FrameOutput) -> None:
        self._output = output
        self.hold: Callable[[], bool] = lambda: False  # what is done meanwhile; False: give up

    @property
    def connected(self) -> bool:
        """See `FrameOutput`."""
        return self._output.connected

    @property
    def reconnects(self) -> int:
        """See `FrameOutput`."""
        return self._output.reconnects

    def send(self, parts: Sequence[bytes]) -> bool:
        """See `FrameOutput`; False where nobody takes it any more, or ``hold`` says to give up."""
        stream = stream_of_topic(parts[0]) or ""
        while not (taken := self._output.send(parts)) and self.wants(stream) and self.hold():
            pass
        return taken

    def wants(self, stream: str) -> bool:
        """See `FrameOutput`."""
        return self._output.wants(stream)

    def wait(self, seconds: float) -> bool:
        """See `FrameOutput`."""
        return self._output.wait(seconds)

    def close(self) -> None:
        """See `FrameOutput`."""
        self._output.close()


class EcgIn:
    """Takes messages one at a time."""

    def __init__(
        self,
        consumer: KafkaConsumer,
        signal: SignalIn,
        output: PatientOutput,
        pace: Pace,
        membership: Membership | None = None,
    ) -> None:
        """``membership``: of a bridge beside a shard; others have joined."""
        self._consumer, self._signal, self._output = consumer, signal, output
        self._pace, self._membership = pace, membership
        self._reconnects = output.reconnects
        overlap = 0.0 if membership is None else OVERLAP_S
        consumer.release_s = lambda: overlap if self._same_connection() else inf

    def take(self, message: "Message") -> None:
        """Send on what is ECG, count what is not."""
        try:
            done = self._send(message)
        except StreamError as error:
            self._signal.refuse(error, monotonic())
            done = True
        if done:
            self._consumer.handed(message)

    def _send(self, message: "Message") -> bool:
        """Whether that is done, or need not be; otherwise it comes again."""
        parts = _parts(message)
        frame = check_frame(parts)
        if self._membership is not None:
            self._membership.check(frame.stream, message.partition() or 0)
            if not self._membership.ready(frame.stream, monotonic()):
                self._consumer.later(message, monotonic() + LOOK_S)
                return False
            if self._membership.is_known(frame):
                self._signal.count.repeated += frame.size
                return True
        if not self._may_go(message, frame.stream):
            return False
        unsent = self._signal.count.unsent
        self._signal.pass_on(parts)
        if self._signal.count.unsent != unsent:
            self._consumer.later(message, monotonic())
            return False
        size = len(parts[2])
        self._pace.went(frame.stream, frame.size / frame.fs, size, monotonic())
        return True

    def _may_go(self, message: "Message", stream: str) -> bool:
        """Whether now; otherwise it comes again."""
        until = self._pace.wait_until(stream, monotonic())
        if until is None and self._output.connected and not self._output.wants(stream):
            until = monotonic() + LOOK_S  # of a bucket that the shard does not have yet
        if until is not None:
            self._consumer.later(message, until)
            return False
        return self._somebody_is_there() and not self._is_another_connection(message)

    def _somebody_is_there(self) -> bool:
        """Wait for a daemon; False: it was given up."""
        while not (self._output.wait(0.0) and self._output.connected):
            if not self._output.hold():
                return False
        return True

    def _same_connection(self) -> bool:
        """Whether what was handed over lately was to the daemon that is there."""
        return self._output.connected and self._output.reconnects == self._reconnects

    def _is_another_connection(self, message: "Message | None" = None) -> bool:
        """Whether the one before broke: what it was given last, and ``message``, comes again."""
        if self._output.reconnects == self._reconnects:
            return False
        self._reconnects = self._output.reconnects
        self._consumer.again(message)
        if self._membership is not None:
            self._membership.is_another_shard()
        return True

    def turn(self) -> None:
        """What was sent long enough ago has arrived, unless the connection broke since."""
        self.attend()
        self._settle()

    def attend(self) -> None:
        """Beside a shard, see whether it is there."""
        if self._membership is not None:
            self._membership.attend(self._output.connected, monotonic())

    def _settle(self) -> None:
        self._output.wait(0.0)
        if not self._is_another_connection() and self._output.connected:
            self._consumer.settle()

    def close(self) -> None:
        """Send what waits, and leave."""
        self._settle()
        self._signal.close()
        self._consumer.close()


def _parts(message: "Message") -> list[bytes]:
    key, value = message.key(), message.value()
    if not isinstance(key, bytes) or (stream := stream_of_topic(ECG + key)) is None:
        raise StreamError("topic", "its key is no stream's name: A-Z a-z 0-9 _ - :")
    if not isinstance(value, bytes):
        raise StreamError("parts", f"{stream}: it has no value")
    try:
        return frame_parts(stream, value)
    except StreamError as error:
        raise StreamError(error.reason, f"{stream}: {error}") from None


def run(
    consumer: KafkaConsumer,
    signal: SignalIn,
    output: PatientOutput,
    catch_up: float,
    membership: Membership | None = None,
) -> None:
    """Until a signal to stop. ``membership``: of a bridge beside a shard."""
    taker = EcgIn(consumer, signal, output, Pace(catch_up), membership)
    with running("kafka in", signal.count, taker.close) as bridge:
        if membership is None:
            consumer.join()

        def hold() -> bool:
            consumer.hold()
            output.wait(HOLD_S)
            taker.attend()
            bridge.turn("the daemon takes nothing")
            return consumer.joined and not bridge.stopping()

        output.hold = hold
        bridge.ready("waiting for partitions")
        while not bridge.stopping():
            taker.turn()
            message = consumer.next(TURN_S)
            if message is not None:
                taker.take(message)
            signal.count.source_reconnects = consumer.connection.reconnects
            where = "the brokers are away" if consumer.connection.away else "connected"
            bridge.turn(f"{where}, {len(consumer.partitions)} partition(s)")
