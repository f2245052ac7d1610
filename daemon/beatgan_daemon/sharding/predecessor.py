"""What a bucket's shard before this one left of it: found, or waited for.

Every call may block for as long as the disk does.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from math import inf
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple

from beatgan.errors import BeatganError, UsageError
from beatgan_daemon.sharding.claims import FILE, read_claims
from beatgan_daemon.sharding.handover import (
    BucketState,
    BucketStateError,
    left_fences,
    read_handover,
    set_aside,
)
from beatgan_daemon.sharding.registry import is_copy, is_running
from beatgan_daemon.sharding.shard_map import ShardMap
from beatgan_daemon.sharding.stored_state import copy_of, leave_behind

DEAF_S: Final = 2.0


class Wanted(NamedTuple):
    """A bucket given under ``fence``; ``overdue``: it has been waited for long enough."""

    fence: int
    overdue: bool


class Found(NamedTuple):
    """What there is to go on with under ``fence``; ``handover`` None: nobody left anything.

    ``heard_until``: of a shard that died, when it was last seen alive (monotonic seconds): it told
    of what came until then, though what is left of it does not show that.
    """

    fence: int
    handover: BucketState | None
    heard_until: float = -inf


class _Holder(NamedTuple):
    fence: int
    shard: str


class _Seen(NamedTuple):
    """A version of a shard's claims, and since when there is no other (monotonic seconds)."""

    version: int
    since: float


class Predecessors:
    """What the other shards of a directory left for this one."""

    def __init__(
        self,
        directory: Path,
        report: Callable[[str], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """``report`` is called with what an operator should know."""
        self._directory, self._report, self._clock = directory, report, clock
        self._seen: dict[str, _Seen] = {}  # of shards that are waited for
        self._alive: dict[str, float] = {}  # when each was last seen to run

    def find(self, shard_map: ShardMap, wanted: Mapping[int, Wanted]) -> dict[int, Found]:
        """What was left of the buckets ``wanted``; those not in the result are to be asked for
        again.

        Of a shard that no longer runs, its files are handed over first; of one that runs and
        hands over nothing for DEAF_S, or whose files cannot be handed over, what is on its disk.
        Raises OSError.
        """
        left = self._left(wanted)
        late = {b: want for b, want in wanted.items() if left.get(b) != want.fence - 1}
        coming, copies = set[int](), dict[int, BucketState]()
        if late:
            coming, copies = self._fetch(shard_map, late, left)
            left = self._left(wanted)  # again: what was left meanwhile is newer than a copy
        found: dict[int, Found] = {}
        for bucket, (fence, overdue) in wanted.items():
            before, copy = left.get(bucket), copies.get(bucket)
            if copy is not None and (before is None or before < copy.fence):
                before = copy.fence
            else:
                copy = None
            complete = before == fence - 1 or (before is None and fence == 1)
            if bucket in coming or not (complete or overdue):
                continue
            state = copy
            if copy is None and before is not None:
                state = self._read(bucket, before)
            found[bucket] = Found(fence, state, self._heard_until(state))
        return found

    def _heard_until(self, state: BucketState | None) -> float:
        died = state is not None and not state.released
        return self._alive.get(state.shard, -inf) if state is not None and died else -inf

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
            if not wanted.keys() & claims.keys() or is_copy(state):
                continue
            for bucket in wanted.keys() & claims.keys():
                holder = _Holder(claims[bucket], state.name)
                after = left.get(bucket, -1)
                if after < holder.fence < wanted[bucket].fence:
                    holders[bucket] = max(holder, holders.get(bucket, holder))
        return holders

    def _fetch(
        self, shard_map: ShardMap, wanted: Mapping[int, Wanted], left: Mapping[int, int]
    ) -> tuple[set[int], dict[int, BucketState]]:
        """See that something is left by holders that will not leave it themselves; the buckets
        that are still to be left, and copies of those that will not be."""
        holders = self._holders(wanted, left)
        shards = {each.shard for each in holders.values()}
        self._seen = {shard: seen for shard, seen in self._seen.items() if shard in shards}
        coming, copies = set[int](), dict[int, BucketState]()
        for shard in sorted(shards):
            held = {bucket for bucket, each in holders.items() if each.shard == shard}
            try:
                if is_running(self._directory, shard):
                    self._alive[shard] = self._clock()
                    if self._is_deaf(shard):
                        del self._alive[shard]  # it need not have told of what came
                        copies |= copy_of(self._directory, shard, held)
                        self._report(f"{shard} does not answer: {_named(held)} go on without it")
                    else:
                        coming |= held
                else:
                    leave_behind(self._directory, shard, shard_map, self._report)
                    self._report(f"{shard} does not run: its buckets are handed over")
            except (BeatganError, OSError, sqlite3.Error) as error:
                self._report(f"what {shard} left cannot be had: {error}")
                waited = {bucket for bucket in held if not wanted[bucket].overdue}
                coming |= waited
                copies |= self._copies(shard, held - waited)
        return coming, copies

    def _copies(self, shard: str, buckets: set[int]) -> dict[int, BucketState]:
        """Of a shard whose files cannot be handed over, as on a full disk."""
        try:
            return copy_of(self._directory, shard, buckets) if buckets else {}
        except (BeatganError, OSError, sqlite3.Error) as error:
            self._report(f"{_named(buckets)} of {shard} begin anew: {error}")
            return {}

    def _is_deaf(self, shard: str) -> bool:
        """Whether a shard that runs has handed over nothing for DEAF_S, though it should."""
        now = self._clock()
        version = (self._directory / shard / FILE).stat().st_mtime_ns
        seen = self._seen.get(shard)
        if seen is None or seen.version != version:
            seen = self._seen[shard] = _Seen(version, now)
        return now > seen.since + DEAF_S

    def _read(self, bucket: int, fence: int) -> BucketState | None:
        try:
            return read_handover(self._directory, bucket, fence)
        except (BucketStateError, OSError) as error:
            aside = set_aside(self._directory, bucket, fence)
            self._report(f"bucket {bucket:02x} begins anew: {error}; set aside as {aside}")
            return None


def _named(buckets: Iterable[int]) -> str:
    return ", ".join(f"{each:02x}" for each in sorted(buckets))
