"""Which buckets a shard has, is letting go of, and waits for. No file and no clock: times
(monotonic seconds) come in.

A bucket that the map gives to another shard is listened to for OVERLAP_S more: by then the other
one hears it too, and holds its frames until it has the state. So no sample falls between them.
"""

from collections.abc import Mapping, Set
from typing import Final, NamedTuple

from beatgan.protocol.buckets import bucket_of
from beatgan_daemon.sharding.predecessor import Wanted
from beatgan_daemon.sharding.shard_map import ShardMap

OVERLAP_S: Final = 0.3
OVERDUE_S: Final = 2.0  # then a bucket of which nobody is known to have anything begins anew


class _Awaited(NamedTuple):
    fence: int
    since: float


class Ownership:
    """The buckets of one shard."""

    def __init__(
        self, shard: str, shard_map: ShardMap, claims: Mapping[int, int], now: float
    ) -> None:
        """``claims``: the fences of the buckets whose state it has."""
        self._shard = shard
        self.held = dict(claims)
        self.leaving: dict[int, float] = {}  # when to listen no more
        self.awaited: dict[int, _Awaited] = {}
        self.replace_map(shard_map, now)

    def replace_map(self, shard_map: ShardMap, now: float) -> None:
        """The map has changed."""
        self.map = shard_map
        given = shard_map.fences_of(self._shard)
        self.leaving = {
            bucket: self.leaving.get(bucket, now + OVERLAP_S)
            for bucket, fence in self.held.items()
            if given.get(bucket) != fence
        }
        before = self.awaited
        self.awaited = {}
        for bucket, fence in given.items():
            if self.held.get(bucket) != fence:
                since = before.get(bucket)
                known = since is not None and since.fence == fence
                self.awaited[bucket] = since if since and known else _Awaited(fence, now)

    def awaits(self, bucket: int) -> bool:
        """Whether frames of the bucket are for when its state is here."""
        return bucket in self.awaited and bucket not in self.held

    def fence_of(self, stream: str) -> int | None:
        """The fence of the stream's bucket; None for the daemon's own alerts."""
        return self.held.get(bucket_of(stream)) if stream else None

    def has(self, stream: str) -> bool:
        """Whether the stream's state is here; that of the daemon's own alerts always is."""
        return not stream or bucket_of(stream) in self.held

    def heard(self) -> Set[int]:
        """The buckets to be listened to."""
        return self.held.keys() | self.awaited.keys()

    def due(self, now: float) -> list[int]:
        """The buckets to be listened to no more."""
        return [bucket for bucket, until in self.leaving.items() if now >= until]

    def released(self, bucket: int) -> int:
        """It is another's; the fence under which it was held."""
        del self.leaving[bucket]
        return self.held.pop(bucket)

    def wanted(self, now: float) -> dict[int, Wanted]:
        """The buckets that are waited for."""
        return {
            bucket: Wanted(fence, now > since + OVERDUE_S)
            for bucket, (fence, since) in self.awaited.items()
            if self.awaits(bucket)
        }

    def taken(self, bucket: int, fence: int) -> bool:
        """Its state is here; False: it is not waited for any more under that fence."""
        awaited = self.awaited.get(bucket)
        if awaited is None or awaited.fence != fence or bucket in self.held:
            return False
        del self.awaited[bucket]
        self.held[bucket] = fence
        return True

    def longest_wait(self, now: float) -> float:
        """Seconds for which a bucket has been waited for; 0 where none is. Any thread may ask."""
        return now - min((each.since for each in tuple(self.awaited.values())), default=now)
