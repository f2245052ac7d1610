"""Messages of a Kafka topic, each marked as taken only when it was handed over for good.

One thread. Knows Kafka, and nothing of ECG: who takes a message says when it is handed over, and
may ask for the latest again.
"""

from collections import deque
from collections.abc import Callable, Collection, Mapping
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from beatgan.errors import UsageError
from beatgan_daemon import log
from beatgan_daemon.bridges.kafka.connection import Connection
from beatgan_daemon.bridges.kafka.handed_over import HandedOver, Place
from beatgan_daemon.bridges.kafka.library_log import library_log
from beatgan_daemon.extras import needing

if TYPE_CHECKING:
    from confluent_kafka import Message, TopicPartition

AT_ONCE: Final = 500  # messages fetched at a time
SETTLE_S: Final = 1.0  # after which what was handed over counts as having arrived
METADATA_S: Final = 1.0  # for the brokers to say how many partitions there are


class KafkaConsumer:
    """A member of a group, once it has joined, subscribed to one topic."""

    def __init__(self, settings: Mapping[str, Any], topic: str, settle_s: float = SETTLE_S) -> None:
        """What was handed over counts as having arrived after ``settle_s``. Raises UsageError where
        a setting is none of the library's."""
        with needing("kafka"):
            from confluent_kafka import Consumer, KafkaException, TopicPartition
        self._partition_type, self._failure = TopicPartition, KafkaException
        self._topic = topic
        self._fetched: deque[Message] = deque()
        self._handed = HandedOver(settle_s)
        self._held = False  # nothing is to be fetched
        self._waiting: dict[Place, deque[Message]] = {}  # of partitions that wait, and are paused
        self._until: dict[Place, float] = {}  # until when
        self._again: dict[Place, int] = {}  # partitions that are still to be read from here again
        self.connection = Connection()
        self.joined = False
        self.partitions: set[int] = set()  # that it has
        self.on_assigned: Callable[[Collection[int]], None] = lambda _: None
        self.release_s: Callable[[], float] = lambda: 0.0  # after which what was handed over has
        # arrived, in partitions that others get
        self._errors = log.Rejections(log.get(), event="kafka")
        try:
            self._consumer = Consumer(
                {**settings, **self.connection.settings()}, logger=library_log()
            )
        except KafkaException as error:
            raise UsageError(f"kafka: {error.args[0].str()}") from None

    def partition_count(self) -> int | None:
        """How many partitions the topic has; None while nobody can say. Waits for METADATA_S."""
        try:
            found = self._consumer.list_topics(self._topic, METADATA_S).topics[self._topic]
        except self._failure as error:
            self.connection.failed(error.args[0])
            return None
        if found.error is not None or not found.partitions:
            why = "no such topic" if found.error is None else found.error.str()
            self._errors.add("topic", f"{self._topic}: {why}", monotonic())
            return None
        return len(found.partitions)

    def join(self) -> None:
        """Be a member of the group: partitions are assigned soon."""
        self.joined = True
        self._consumer.subscribe(
            [self._topic],
            on_assign=self._assigned,
            on_revoke=self._revoked,
            on_lost=self._lost,
        )

    def leave(self) -> None:
        """Be none: others get the partitions."""
        self.joined = False
        self._consumer.unsubscribe()
        self._keep([self._consumer.poll(0)])

    def next(self, seconds: float) -> "Message | None":
        """The next message, waited for at most so long. Raises KafkaException on a fatal error."""
        self._seek()
        if self._held:
            self._held = False
            assigned = {(each.topic, each.partition) for each in self._consumer.assignment()}
            self._resume(*assigned - self._until.keys())
        message = self._due() or self._next_fetched()
        if message is None:
            nearest = min(self._until.values(), default=inf) - monotonic()
            first = self._consumer.poll(max(0.0, min(seconds, nearest)))
            rest = [] if first is None else self._consumer.consume(AT_ONCE, 0)
            self._keep([first, *rest])
            message = self._next_fetched()
        return message

    def _next_fetched(self) -> "Message | None":
        while self._fetched:
            message = self._fetched.popleft()
            place = _place(message)[:2]
            if place in self._waiting:
                self._waiting[place].append(message)
            elif place not in self._again:
                return message
        return None

    def _due(self) -> "Message | None":
        """The first message of a partition that has waited long enough."""
        now = monotonic()
        place = next((each for each, until in self._until.items() if until <= now), None)
        if place is None:
            return None
        message = self._waiting[place].popleft()
        if not self._waiting[place]:
            del self._waiting[place], self._until[place]
            self._resume(place)
        return message

    def later(self, message: "Message", until: float) -> None:
        """Let it and those behind it in its partition wait ``until`` then (monotonic s); those of
        other partitions go on."""
        topic, partition, _ = _place(message)
        if partition not in self.partitions:  # others have it by now
            return
        place = topic, partition
        if place not in self._waiting:
            self._waiting[place] = deque()
            self._consumer.pause([self._partition_type(*place)])
        self._waiting[place].appendleft(message)
        self._until[place] = until

    def _resume(self, *places: Place) -> None:
        if places:
            self._consumer.resume([self._partition_type(*place) for place in places])

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
        """It was handed over; if that holds for long enough it is not to come again."""
        topic, partition, offset = _place(message)
        if partition in self.partitions:
            self._handed.add((topic, partition), offset, monotonic())

    def settle(self) -> None:
        """What was handed over long enough ago has arrived."""
        self._store(self._handed.settled(monotonic()))

    def _store(self, done: Mapping[Place, int]) -> None:
        for (topic, partition), offset in done.items():
            try:
                self._consumer.store_offsets(
                    offsets=[self._partition_type(topic, partition, offset)]
                )
            except self._failure as error:  # another member has the partition now
                self._errors.add("offset not stored", error.args[0].str(), monotonic())

    def again(self, message: "Message | None" = None) -> None:
        """What was handed over lately may have been lost: let it come again, then ``message``."""
        waiting = [each for queue in self._waiting.values() for each in queue]
        for each in [message, *self._fetched, *waiting]:
            if each is not None:
                topic, partition, offset = _place(each)
                self._read_from((topic, partition), offset)
        for place, offset in self._handed.unsettled():
            self._read_from(place, offset)
        self._resume(*self._waiting)
        for kept in (self._fetched, self._handed, self._waiting, self._until):
            kept.clear()
        self._seek()

    def _read_from(self, place: Place, offset: int) -> None:
        if place[1] in self.partitions:
            self._again[place] = min(offset, self._again.get(place, offset))

    def _seek(self) -> None:
        """Read partitions again, as far as the library lets: none that it is about to fetch."""
        for place, offset in [*self._again.items()]:
            try:
                self._consumer.seek(self._partition_type(*place, offset))
            except self._failure as error:
                self._errors.add("not read again yet", error.args[0].str(), monotonic())
            else:
                self._fetched = deque(m for m in self._fetched if _place(m)[:2] != place)
                del self._again[place]

    def _assigned(self, _: Any, partitions: "list[TopicPartition]") -> None:
        new = {each.partition for each in partitions}
        self.partitions |= new
        if new:
            log.get().info("kafka partitions assigned", count=len(new), partitions=_ranges(new))
            self.on_assigned(new)

    def _revoked(self, _: Any, partitions: "list[TopicPartition]") -> None:
        """Others take them from here on: they are to begin behind what has arrived."""
        gone = self._forget(partitions)
        self._store(self._handed.release(gone, monotonic() - self.release_s()))

    def _lost(self, _: Any, partitions: "list[TopicPartition]") -> None:
        """Others have them already, and began where they could."""
        log.get().warning("kafka partitions lost", count=len(partitions))
        self._handed.release(self._forget(partitions), 0.0)

    def _forget(self, partitions: "list[TopicPartition]") -> set[Place]:
        gone = {(each.topic, each.partition) for each in partitions}
        self.partitions -= {each.partition for each in partitions}
        self._fetched = deque(each for each in self._fetched if _place(each)[:2] not in gone)
        for place in gone:
            for known in (self._waiting, self._until, self._again):
                known.pop(place, None)
        return gone

    def close(self) -> None:
        """Leave the group, as where partitions go to others."""
        self._consumer.close()


def _place(message: "Message") -> tuple[str, int, int]:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    return topic, partition, offset


def _ranges(numbers: Collection[int]) -> str:
    """Such as 0-3 7 9-12."""
    firsts = sorted(each for each in numbers if each - 1 not in numbers)
    lasts = sorted(each for each in numbers if each + 1 not in numbers)
    pairs = zip(firsts, lasts, strict=True)
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in pairs)
