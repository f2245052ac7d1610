"""A bridge beside a shard: when it is a member of its group, and what may be sent to the shard.

It is a member as long as the shard is there and is not to be empty: Kafka gives it partitions, and
the map the shard their buckets. Once the shard has been away for a while, Kafka gives them to the
bridges of other shards. What the shard has already, it says itself, and is not sent again.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Final

from beatgan.errors import UsageError
from beatgan.protocol.buckets import bucket_of
from beatgan.protocol.control import StreamEntry
from beatgan.protocol.frame_header import FrameExtent
from beatgan_daemon import log
from beatgan_daemon.bridges.kafka.consumer import KafkaConsumer
from beatgan_daemon.bridges.kafka.known_samples import KnownSamples
from beatgan_daemon.bridges.kafka.partitions import Partitions
from beatgan_daemon.bridges.kafka.placement import Placement

REPLAY_S: Final = 75.0  # twice the 30 s between a stream's checkpoints, and what a disk may take
AWAY_S: Final = 10.0  # a shard that is killed and starts again takes less
LOOK_S: Final = 0.5  # between looks at whether the shard is to be empty, and at the topic
LATE_S: Final = 5.0  # a bucket that the shard does not have by then is told
SEARCH_S: Final = 0.1  # between looks at which buckets the shard has, while some are waited for


class Membership:
    """Of one bridge; times are monotonic seconds."""

    def __init__(
        self,
        consumer: KafkaConsumer,
        placement: Placement,
        topic: str,
        streams: Callable[[], Iterable[StreamEntry]],
        away_s: float = AWAY_S,
    ) -> None:
        """``consumer`` must not have joined. ``streams`` asks the shard how its streams stand, and
        raises UsageError where it does not answer."""
        self._consumer, self._placement = consumer, placement
        self._topic, self._streams, self._away_s = topic, streams, away_s
        self._partitions: Partitions | None = None  # not known yet
        self._seen = self._look_at = 0.0  # when the shard was there; when to look again
        self._held: frozenset[int] = frozenset()  # buckets that the shard has
        self._search_at = 0.0
        self._known: KnownSamples | None = None  # to be asked
        self._since: dict[int, float] = {}  # buckets that are waited for
        self._delays = log.Rejections(log.get(), event="frames wait")
        consumer.on_assigned = self._take

    def attend(self, shard_is_there: bool, now: float) -> None:
        """Join or leave, to be called often. Raises StartError on an unfit topic, and UsageError
        where the map cannot be changed."""
        if shard_is_there:
            self._seen = now
        elif self._consumer.joined and now > self._seen + self._away_s:
            self._leave("the shard is away")
        if now < self._look_at:
            return
        self._look_at = now + LOOK_S
        drained = self._placement.drained()
        if self._consumer.joined and drained:
            self._leave("the shard is to be empty")
        elif shard_is_there and not self._consumer.joined and not drained:
            self._join()

    def check(self, stream: str, partition: int) -> None:
        """Raise StreamError, ``partition``, where a stream's message does not belong in it."""
        if self._partitions is not None:
            self._partitions.check(stream, partition)

    def ready(self, stream: str, now: float) -> bool:
        """Whether the shard serves the stream's bucket, and has said what it knows already."""
        if (bucket := bucket_of(stream)) in self._held and self._known is not None:
            return True
        if now < self._search_at:
            return False
        self._search_at = now + SEARCH_S
        held = self._placement.held()
        try:
            if self._known is None or held != self._held:
                self._known = KnownSamples(self._streams())
        except UsageError as error:
            self._known = None
            self._delays.add("control", f"the shard does not answer: {error}", now)
            return False
        self._held = held
        if bucket not in held and now > self._since.setdefault(bucket, now) + LATE_S:
            why = f"the shard does not serve bucket {bucket:02x}: see `beatgan-daemon shards show`"
            self._delays.add("bucket", why, now)
        return bucket in held

    def is_known(self, frame: FrameExtent) -> bool:
        """Whether the shard has all of ``frame``, for whose stream it is `ready`."""
        return self._known is not None and self._known.has(frame)

    def is_another_shard(self) -> None:
        """The shard was away: what it has now is to be asked."""
        self._held, self._known = frozenset(), None
        self._since.clear()

    def _join(self) -> None:
        if self._partitions is None:
            count = self._consumer.partition_count()
            if count is None:
                return
            self._partitions = Partitions(self._topic, count)
        self._consumer.join()

    def _leave(self, why: str) -> None:
        log.get().warning("kafka partitions given up", why=why)
        self._consumer.leave()

    def _take(self, partitions: Collection[int]) -> None:
        assert self._partitions is not None
        self.is_another_shard()
        self._placement.take({b for each in partitions for b in self._partitions.buckets(each)})
