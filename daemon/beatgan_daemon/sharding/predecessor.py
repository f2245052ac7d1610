"""What a bucket's shard before this one left of it: found, or waited for.

Every call may block for as long as the disk does.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from beatgan.errors import BeatganError, UsageError
from beatgan_daemon.sharding.claims import read_claims
from beatgan_daemon.sharding.handover import (
    BucketState,
    BucketStateError,
    left_fences,
    read_handover,
    set_aside,
)
from beatgan_daemon.sharding.registry import is_running
from beatgan_daemon.sharding.shard_map import ShardMap
from beatgan_daemon.sharding.stored_state import copy_of, leave_behind


class Wanted(NamedTuple):
    """A bucket given under ``fence``; ``overdue``: it has been waited for long enough."""

    fence: int
    overdue: bool


class Found(NamedTuple):
    """What there is to go on with under ``fence``; ``handover`` None: nobody left anything."""

    fence: int
    handover: BucketState | None


class _Holder(NamedTuple):
    fence: int
    shard: str


class Predecessors:
    """What the other shards of a directory left for this one."""

    def __init__(self, directory: Path, report: Callable[[str], None]) -> None:
        """``report`` is called with what an operator should know."""
        self._directory, self._report = directory, report

    def find(self, shard_map: ShardMap, wanted: Mapping[int, Wanted]) -> dict[int, Found]:
        """What was left of the buckets ``wanted``; those not in the result are to be asked for
        again.

        Of a shard that no longer runs, its files are handed over first; where that is overdue,
        what is on the disk of one that runs and does not answer. Raises OSError.
        """
        left = self._left(wanted)
        late = {b: want for b, want in wanted.items() if left.get(b) != want.fence - 1}
        if late:
            self._fetch(shard_map, late, left)
            left = self._left(wanted)
        holders = self._holders(late, left)
        found: dict[int, Found] = {}
        for bucket, (fence, overdue) in wanted.items():
            before = left.get(bucket)
            complete = before == fence - 1 or (before is None and fence == 1)
            if overdue or (complete and bucket not in holders):
                found[bucket] = Found(fence, None if before is None else self._read(bucket, before))
        return found

    def _left(self, wanted: Mapping[int, Wanted]) -> dict[int, int]:
        """The latest fence, before the one wanted, under which something was left."""
        fences = left_fences(self._directory)
        earlier = {b: [f for f in fences.get(b, ()) if f < w.fence] for b, w in wanted.items()}
        return {bucket: each[-1] for bucket, each in earlier.items() if each}

    def _holders(self, wanted: Mapping[int, Wanted], left: Mapping[int, int]) -> dict[int, _Holder]:
        """Who still holds the buckets, later than what was left of them."""
        holders: dict[int, _Holder] = {}
        for state in self._directory.iterdir() if wanted else ():
            try:
                claims = read_claims(state)
            except UsageError as error:
                self._report(str(error))
                continue
            for bucket in wanted.keys() & claims.keys():
                holder = _Holder(claims[bucket], state.name)
                after = left.get(bucket, -1)
                if after < holder.fence < wanted[bucket].fence:
                    holders[bucket] = max(holder, holders.get(bucket, holder))
        return holders

    def _fetch(
        self, shard_map: ShardMap, wanted: Mapping[int, Wanted], left: Mapping[int, int]
    ) -> None:
        """See that something is left by holders that will not leave it themselves."""
        holders = self._holders(wanted, left)
        for shard in sorted({each.shard for each in holders.values()}):
            held = [bucket for bucket, each in holders.items() if each.shard == shard]
            overdue = [bucket for bucket in held if wanted[bucket].overdue]
            try:
                if not is_running(self._directory, shard):
                    leave_behind(self._directory, shard, shard_map, self._report)
                    self._report(f"{shard} does not run: its buckets are handed over")
                elif overdue:
                    copy_of(self._directory, shard, overdue)
                    self._report(f"{shard} does not answer: {_named(overdue)} go on without it")
            except (BeatganError, OSError, sqlite3.Error) as error:
                self._report(f"what {shard} left cannot be had: {error}")

    def _read(self, bucket: int, fence: int) -> BucketState | None:
        try:
            return read_handover(self._directory, bucket, fence)
        except (BucketStateError, OSError) as error:
            aside = set_aside(self._directory, bucket, fence)
            self._report(f"bucket {bucket:02x} begins anew: {error}; set aside as {aside}")
            return None


def _named(buckets: Iterable[int]) -> str:
    return ", ".join(f"{each:02x}" for each in sorted(buckets))
