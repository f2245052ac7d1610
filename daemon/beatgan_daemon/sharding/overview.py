"""The shards of a directory as they stand: who runs, who has what, and what nobody has."""

from pathlib import Path
from typing import NamedTuple, Self

from beatgan.protocol.buckets import BUCKETS, buckets_text
from beatgan_daemon.sharding.claims import highest_claims
from beatgan_daemon.sharding.draining import read_draining
from beatgan_daemon.sharding.registry import ShardRecord, is_running, read_records
from beatgan_daemon.sharding.shard_map import ShardMap, read_map


class Overview(NamedTuple):
    """The map, what each shard says of itself, which of all shards run, which are to be empty,
    files that cannot be read, in words, and whether the map is an old one."""

    shard_map: ShardMap
    records: dict[str, ShardRecord]
    running: frozenset[str]
    draining: frozenset[str]
    problems: list[str]
    old: str  # why nobody follows the map; empty where it is followed

    @classmethod
    def of(cls, directory: Path) -> Self:
        """As the directory says now. Raises UsageError where its map, the list of shards
        that are to be empty or a shard's lock cannot be read."""
        claimed = highest_claims(directory)  # first: the map may be changed meanwhile
        shard_map = read_map(directory)
        found, problems = read_records(directory)
        records = {each.shard: each for each in found}
        names = {*records, *shard_map.shards()}
        running = frozenset(name for name in names if is_running(directory, name))
        old = shard_map.outdated(claimed)
        return cls(shard_map, records, running, read_draining(directory), problems, old)

    def names(self) -> list[str]:
        """Every shard that runs or has buckets, and those that ran once after them."""
        named = set(self.shard_map.shards())
        first = [name for name in self.records if name in named or name in self.running]
        never = sorted(named - self.records.keys())
        return [*first, *never, *(name for name in self.records if name not in {*first})]

    def unwatched(self) -> dict[str, frozenset[int]]:
        """The buckets of each shard that does not run."""
        return {
            shard: frozenset(self.shard_map.fences_of(shard))
            for shard in self.shard_map.shards()
            if shard not in self.running
        }

    def unwatched_text(self) -> str:
        """The same in words; empty where every bucket's shard runs."""
        parts = [
            f"{shard}, which is not running: {len(buckets)} of {BUCKETS} buckets, "
            f"{buckets_text(buckets)}"
            for shard, buckets in self.unwatched().items()
        ]
        return f"nobody watches the patients of {'; nor of '.join(parts)}" if parts else ""
