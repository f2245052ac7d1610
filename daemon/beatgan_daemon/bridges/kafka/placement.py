"""The map of the shards follows Kafka: the shard beside a bridge gets its partitions' buckets."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path

from beatgan_daemon import log
from beatgan_daemon.shard_name import shard_name
from beatgan_daemon.sharding.claims import read_claims
from beatgan_daemon.sharding.draining import read_draining
from beatgan_daemon.sharding.shard_map import only_editor, read_map, write_map


class Placement:
    """One shard's, in the directory that all of them share."""

    def __init__(self, shard: Path) -> None:
        """``shard``: its own directory in that one, DIR/NAME. Raises UsageError where the name is
        none or there is no map."""
        path = shard.absolute()
        self._directory, self._name = path.parent, shard_name(path.name)
        read_map(self._directory)

    def drained(self) -> bool:
        """Whether the shard is to be empty. Raises UsageError where that cannot be read."""
        return self._name in read_draining(self._directory)

    def held(self) -> frozenset[int]:
        """The buckets that the map gives the shard and that it serves: their state is there.
        Raises UsageError where that cannot be read."""
        claims = read_claims(self._directory / self._name)
        given = read_map(self._directory).fences_of(self._name)
        return frozenset(bucket for bucket, fence in given.items() if claims.get(bucket) == fence)

    def take(self, buckets: Collection[int]) -> None:
        """Give the shard these buckets, if another has them. Raises UsageError where the map
        cannot be read or written."""
        with only_editor(self._directory):
            before = read_map(self._directory)
            after = before.moved(dict.fromkeys(buckets, self._name))
            if after == before:
                return
            write_map(self._directory, after)
        whose = Counter(
            then.shard
            for then, now in zip(before.assignments, after.assignments, strict=True)
            if then != now
        )
        log.get().info("buckets taken", shard=self._name, count=whose.total(), of=dict(whose))
