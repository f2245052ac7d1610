"""Whether a bridge is a member of its group: as long as the shard beside it is there, and is not to
be empty.

Then Kafka gives it partitions, and the map the shard their buckets; once the shard has been away
for a while, Kafka gives them to the bridges of other shards.
"""

from collections.abc import Collection
from typing import Final

from beatgan_daemon import log
from beatgan_daemon.bridges.kafka.consumer import KafkaConsumer
from beatgan_daemon.bridges.kafka.partitions import Partitions
from beatgan_daemon.bridges.kafka.placement import Placement

REPLAY_S: Final = 75.0  # twice the 30 s between a stream's checkpoints, and what a disk may take
AWAY_S: Final = 10.0  # a shard that is killed and starts again takes less
LOOK_S: Final = 0.5  # between looks at whether the shard is to be empty, and at the topic


class Membership:
    """Of one bridge; times are monotonic seconds."""

    def __init__(
        self, consumer: KafkaConsumer, placement: Placement, topic: str, away_s: float = AWAY_S
    ) -> None:
        """``consumer`` must not have joined."""
        self._consumer, self._placement = consumer, placement
        self._topic, self._away_s = topic, away_s
        self._partitions: Partitions | None = None  # not known yet
        self._seen = self._look_at = 0.0  # when the shard was there; when to look again
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
        self._placement.take({b for each in partitions for b in self._partitions.buckets(each)})
