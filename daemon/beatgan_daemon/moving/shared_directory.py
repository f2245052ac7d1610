"""The directory that the shards share, asked and written by a thread of its own.

One that does not answer holds up moves, and nothing else. What fails is reported once, and tried
again.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, Final

from beatgan.errors import BeatganError
from beatgan_daemon import log
from beatgan_daemon.sharding.claims import write_claims
from beatgan_daemon.sharding.handover import (
    BucketState,
    delete_handover,
    left_fences,
    write_handovers,
)
from beatgan_daemon.sharding.predecessor import Found, Predecessors, Wanted
from beatgan_daemon.sharding.registry import ShardRecord, write_record
from beatgan_daemon.sharding.shard_map import MapFile, ShardMap
from beatgan_daemon.storage.disk_thread import DiskThread

LOOK_S: Final = 0.1  # between two looks at the map
SEARCH_S: Final = 0.02  # between two for what was left of buckets
RETRY_S: Final = 0.5
REPORT_S: Final = 60.0
FAILURES: Final = (BeatganError, OSError, sqlite3.Error)
Then = Callable[[], None]


class _Call:
    """Something that the thread was asked for, and asked again where it failed."""

    def __init__(self, thread: DiskThread, call: Callable[[], Any]) -> None:
        self._thread, self._call = thread, call
        self._future: Future[Any] | None = thread.submit(call)
        self._again = 0.0
        self.trouble: str | None = None

    def done(self, now: float) -> bool:
        """Whether it has succeeded."""
        if self._future is None:
            if now >= self._again:
                self._future = self._thread.submit(self._call)
            return False
        if not self._future.done():
            return False
        try:
            self._future.result()
        except FAILURES as error:
            self.trouble, self._future, self._again = str(error), None, now + RETRY_S
            return False
        return True


class SharedDirectory:
    """Of one shard; used by one thread, which it never keeps waiting."""

    def __init__(self, directory: Path, shard: str, claims: Mapping[int, int]) -> None:
        """``claims``: the fences of the buckets whose state lies in the shard's directory, as is
        written there."""
        self._directory, self._state = directory, directory / shard
        self._thread, self._map_file = DiskThread("shards"), MapFile(directory)
        self._predecessors = Predecessors(directory, self.report)
        self._reported: dict[str, float] = {}
        self._look: Future[ShardMap | None] | None = None
        self._next_look = self._next_search = 0.0
        self._search: Future[dict[int, Found]] | None = None
        self._writes: list[tuple[_Call, Then]] = []
        self._claims = dict(claims)
        self._claimed: list[Then] | None = None  # after the next write of claims, if any is due
        self._log = log.get()

    def report(self, text: str) -> None:
        """Tell an operator, and not again for a minute; in any thread."""
        now = monotonic()
        if now >= self._reported.get(text, 0.0):
            self._reported[text] = now + REPORT_S
            self._log.warning("shards", why=text)

    def step(self, now: float) -> None:
        """What has been written, or is to be written again."""
        waiting, self._writes = self._writes, []
        for call, then in waiting:
            if call.done(now):
                then()
            else:
                self._writes.append((call, then))
                if call.trouble is not None:
                    self.report(f"{self._directory} cannot be written: {call.trouble}")
        if self._claimed is not None:
            afterwards, self._claimed = self._claimed, None
            claims = dict(self._claims)
            self._write(partial(write_claims, self._state, claims), partial(_all, afterwards))

    def busy(self) -> bool:
        """Whether something is still to be written."""
        return bool(self._writes) or self._claimed is not None

    def _write(self, call: Callable[[], None], then: Then) -> None:
        self._writes.append((_Call(self._thread, call), then))

    def close(self) -> None:
        """End the thread, once it is done."""
        self._thread.close()

    # --- what is written ----------------------------------------------------------------------

    def announce(self, record: ShardRecord) -> None:
        """Say where this shard is."""
        self._write(partial(write_record, self._directory, record), lambda: None)

    def claim(self, fences: Mapping[int, int]) -> None:
        """The state of these buckets lies here; what others had left of it is deleted then."""
        self._claims.update(fences)
        self._change_claims(lambda: self._write(partial(self._tidy, fences), lambda: None))

    def leave(self, handovers: Sequence[BucketState], then: Then) -> None:
        """Leave buckets for the next shard; ``then`` their state here is of no use any more."""
        write = partial(write_handovers, self._directory, handovers)
        fences = {each.bucket: each.fence for each in handovers}
        self._write(write, partial(self._left, fences, then))

    def _left(self, fences: Mapping[int, int], then: Then) -> None:
        for bucket, fence in fences.items():
            if self._claims.get(bucket) == fence:
                del self._claims[bucket]
        self._change_claims(then)

    def _change_claims(self, then: Then) -> None:
        self._claimed = [*(self._claimed or ()), then]

    def _tidy(self, fences: Mapping[int, int]) -> None:
        """In the thread."""
        left = left_fences(self._directory)
        for bucket, fence in fences.items():
            for each in left.get(bucket, ()):
                if each < fence:
                    delete_handover(self._directory, bucket, each)

    # --- what is read -------------------------------------------------------------------------

    def look_soon(self) -> None:
        """Somebody says that the map has changed."""
        self._next_look = 0.0

    def changed_map(self, now: float) -> ShardMap | None:
        """The map, if it has changed since it was last given, as far as that is known yet."""
        if self._look is None:
            if now >= self._next_look:
                self._next_look = now + LOOK_S
                self._look = self._thread.submit(self._map_file.changed)
            return None
        if not self._look.done():
            return None
        look, self._look = self._look, None
        try:
            return look.result()
        except FAILURES as error:
            self.report(f"the map as it was goes on: {error}")
            return None

    def find(
        self, shard_map: ShardMap, wanted: Mapping[int, Wanted], now: float
    ) -> dict[int, Found]:
        """What was left of buckets, as far as that is known yet; of those ``wanted`` now, or at an
        earlier call."""
        if self._search is None:
            if wanted and now >= self._next_search:
                find = partial(self._predecessors.find, shard_map, wanted)
                self._search = self._thread.submit(find)
            return {}
        if not self._search.done():
            return {}
        search, self._search = self._search, None
        self._next_search = now + SEARCH_S
        try:
            return search.result()
        except FAILURES as error:
            self._next_search = now + RETRY_S
            self.report(f"what was left of buckets cannot be read: {error}")
            return {}


def _all(calls: list[Then]) -> None:
    for each in calls:
        each()
