"""Which buckets of streams a partition of the ECG topic has: a producer's CRC-32 of the key places
a stream where our CRC-32 of its name does. Pure.

With N partitions, N a divisor of 256, partition P has the buckets P, P + N, P + 2 N ...
"""

from beatgan.errors import StreamError
from beatgan.protocol.buckets import BUCKETS, bucket_of
from beatgan_daemon.exit_codes import StartError


class Partitions:
    """Of a topic with ``count`` of them."""

    def __init__(self, topic: str, count: int) -> None:
        """Raises StartError where buckets would lie in several of them."""
        if not count or BUCKETS % count:
            raise StartError(
                f"{topic} has {count} partitions: expected {BUCKETS}, or a divisor of it (128, 64, "
                "32 ...), so that each bucket of streams lies in one"
            )
        self._topic, self.count = topic, count

    def buckets(self, partition: int) -> range:
        """Those of one partition. Raises StartError where the topic had fewer partitions."""
        if partition >= self.count:
            raise StartError(
                f"{self._topic} had {self.count} partitions, and now has more: start again"
            )
        return range(partition, BUCKETS, self.count)

    def check(self, stream: str, partition: int) -> None:
        """Raise StreamError, ``partition``, where the stream belongs elsewhere."""
        bucket = bucket_of(stream)
        if bucket % self.count != partition:
            raise StreamError(
                "partition",
                f"{stream}, of bucket {bucket:02x}, is in partition {partition} of {self.count}, "
                f"and belongs in {bucket % self.count}: its producer must partition by the CRC-32 "
                "of the key (librdkafka: partitioner=consistent_random, its default)",
            )
