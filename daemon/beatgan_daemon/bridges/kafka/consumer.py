"""Messages of a Kafka topic, each marked as taken only when it was handed over for good.

One thread. Knows Kafka, and nothing of ECG: who takes a message says when it is handed over, and
may ask for the latest again.
"""

from collections import deque
from collections.abc import Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from beatgan.errors import UsageError
from beatgan_daemon import log
from beatgan_daemon.bridges.extras import needing
from beatgan_daemon.bridges.kafka.connection import Connection
from beatgan_daemon.bridges.kafka.library_log import library_log

if TYPE_CHECKING:
    from confluent_kafka import Message, TopicPartition

AT_ONCE: Final = 500  # messages fetched at a time
SETTLE_S: Final = 1.0  # after which what was handed over counts as having arrived


class KafkaConsumer:
    """A member of a group, subscribed to one topic."""

    def __init__(self, settings: Mapping[str, Any], topic: str) -> None:
        """Raises UsageError where a setting is none of the library's."""
        with needing("kafka"):
            from confluent_kafka import Consumer, KafkaException, TopicPartition
        self._partition_type, self._failure = TopicPartition, KafkaException
        self._fetched: deque[Message] = deque()
        self._handed: deque[tuple[float, str, int, int]] = deque()  # when, and which message
        self._held = False  # nothing is to be fetched
        self._until: dict[tuple[str, int], float] = {}  # partitions that wait: until when
        self.connection = Connection()
        self.partitions = 0
        self._errors = log.Rejections(log.get(), event="kafka")
        try:
            self._consumer = Consumer(
                {**settings, **self.connection.settings()}, logger=library_log()
            )
        except KafkaException as error:
            raise UsageError(f"kafka: {error.args[0].str()}") from None
        self._consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked)

    def next(self, seconds: float) -> "Message | None":
        """The next message, waited for at most so long. Raises KafkaException on a fatal error."""
        self._resume()
        if not self._fetched:
            first = self._consumer.poll(seconds)
            rest = [] if first is None else self._consumer.consume(AT_ONCE, 0)
            self._keep([first, *rest])
        return self._fetched.popleft() if self._fetched else None

    def later(self, message: "Message", until: float) -> None:
        """Let it and those behind it in its partition wait ``until`` then (monotonic s); those of
        other partitions go on."""
        topic, partition, offset = _place(message)
        self._until[topic, partition] = until
        kept = [each for each in self._fetched if _place(each)[:2] != (topic, partition)]
        self._fetched = deque(kept)
        self._consumer.pause([self._partition_type(topic, partition)])
        self._seek({(topic, partition): offset})

    def _resume(self) -> None:
        now = monotonic()
        over = [place for place, until in self._until.items() if until <= now]
        for place in over:
            del self._until[place]
        if self._held:
            self._held = False
            assigned = [(each.topic, each.partition) for each in self._consumer.assignment()]
            over = [place for place in assigned if place not in self._until]
        if over:
            self._consumer.resume([self._partition_type(*place) for place in over])

    def hold(self) -> None:
        """Fetch nothing for now, and stay a member of the group."""
        self._held = True
        self._consumer.pause(self._consumer.assignment())
        self._keep([self._consumer.poll(0)])

    def _keep(self, messages: "list[Message | None]") -> None:
        for message in messages:
            if message is None:
                continue
            error = message.error()
            if error is None:
                self._fetched.append(message)
                self.connection.found()
            else:
                self.connection.failed(error)

    def handed(self, message: "Message") -> None:
        """It was handed over; if that holds for SETTLE_S it is not to come again."""
        self._handed.append((monotonic(), *_place(message)))

    def settle(self, *, now: bool = False) -> None:
        """What was handed over long enough ago, or all ``now``, has arrived."""
        until = monotonic() - (0.0 if now else SETTLE_S)
        done: dict[tuple[str, int], int] = {}
        while self._handed and self._handed[0][0] <= until:
            _, topic, partition, offset = self._handed.popleft()
            done[topic, partition] = offset + 1
        if done:
            self._store(done)

    def _store(self, done: Mapping[tuple[str, int], int]) -> None:
        for (topic, partition), offset in done.items():
            try:
                self._consumer.store_offsets(
                    offsets=[self._partition_type(topic, partition, offset)]
                )
            except self._failure as error:  # another member has the partition now
                self._errors.add("offset not stored", error.args[0].str(), monotonic())

    def again(self, message: "Message | None" = None) -> None:
        """What was handed over lately may have been lost: let it come again, then ``message``."""
        first: dict[tuple[str, int], int] = {}
        waiting = [_place(each) for each in [message, *self._fetched] if each is not None]
        for topic, partition, offset in [*(each[1:] for each in self._handed), *waiting]:
            first[topic, partition] = min(offset, first.get((topic, partition), offset))
        self._fetched.clear()
        self._handed.clear()
        self._seek(first)

    def _seek(self, offsets: Mapping[tuple[str, int], int]) -> None:
        for (topic, partition), offset in offsets.items():
            try:
                self._consumer.seek(self._partition_type(topic, partition, offset))
            except self._failure as error:
                self._errors.add("not read again", error.args[0].str(), monotonic())

    def _assigned(self, _: Any, partitions: "list[TopicPartition]") -> None:
        self.partitions += len(partitions)
        log.get().info(
            "kafka partitions assigned", partitions=sorted(p.partition for p in partitions)
        )

    def _revoked(self, _: Any, partitions: "list[TopicPartition]") -> None:
        """Others take them from here on: they are to begin behind what was handed over."""
        gone = {(each.topic, each.partition) for each in partitions}
        self.partitions = max(0, self.partitions - len(gone))
        kept = [m for m in self._fetched if _place(m)[:2] not in gone]
        self._fetched = deque(kept)
        self._until = {place: until for place, until in self._until.items() if place not in gone}
        self.settle(now=True)

    def close(self) -> None:
        """Leave the group. What was handed over and settled is marked as taken."""
        self._consumer.close()


def _place(message: "Message") -> tuple[str, int, int]:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    return topic, partition, offset
