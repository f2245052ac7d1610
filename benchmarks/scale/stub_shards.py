"""Shards that do nothing but have buckets, machines under them, and a subscriber of all alerts.

Time is an argument. The map, the coordinator and the check of fences are the real ones.
"""

import random
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from beatgan.protocol.buckets import BUCKETS, bucket_of
from beatgan.protocol.fences import Fences
from beatgan.protocol.messages import AlertMessage, Delay
from beatgan_daemon.sharding.control_loop import EVERY_S
from beatgan_daemon.sharding.coordinator import Coordinator
from beatgan_daemon.sharding.shard_map import ShardMap

OVERLAP_S = 0.3  # a shard goes on with a bucket that is taken from it, as docs/scale.md has it
HAND_OVER_S = 0.2  # assumed: until the next one has read what it left
TAKE_OVER_S = 0.05  # assumed: to read one bucket of a dead shard's files


@dataclass
class StubShard:
    """What it serves, by bucket: since when, and under which fence."""

    name: str
    up_at: float | None = 0.0  # runs from then on; None: it is dead
    cut_off: bool = False  # from the directory: others believe it dead, and it serves what it had
    serves: dict[int, tuple[float, int]] = field(default_factory=dict)
    ends: dict[int, float] = field(default_factory=dict)  # buckets that it lets go of, and when

    def runs(self, now: float) -> bool:
        """Whether it is there."""
        return self.up_at is not None and now >= self.up_at


@dataclass
class Counts:
    """What happened since the counts were last taken."""

    moved: int = 0
    streams_moved: int = 0
    map_versions: int = 0
    unwatched_s: float = 0.0  # stream-seconds
    longest_gap: float = 0.0  # in which nobody watched one bucket, s
    alerts: int = 0  # raised where somebody watched
    most_alerts_in_a_tick: int = 0
    stale: int = 0  # copies from a shard that has the bucket no more
    ignored: int = 0  # of these
    twice: int = 0  # both copies were accepted
    none: int = 0  # all were ignored


class Ward:
    """So many streams over so many shards."""

    def __init__(self, streams: int, shards: int, alerts_per_s: float, seed: int) -> None:
        """``alerts_per_s``: of all streams together; evenly over streams and time."""
        self.random, self._rate = random.Random(seed), alerts_per_s
        self.streams = [f"patient-{n}" for n in range(streams)]
        self.sizes = [0] * BUCKETS
        for name in self.streams:
            self.sizes[bucket_of(name)] += 1
        self.now, self.counts = 0.0, Counts()
        self.shards: dict[str, StubShard] = {}
        self.map = ShardMap.even(self.grow(shards))
        self.draining: set[str] = set()
        self.coordinator: Coordinator | None = Coordinator()
        self._gaps = [0.0] * BUCKETS  # how long nobody has watched each
        self._fences, self._next_look, self._n = Fences(), 0.0, 0
        for bucket, each in enumerate(self.map.assignments):
            self.shards[each.shard].serves[bucket] = (0.0, each.fence)

    def grow(self, count: int) -> list[str]:
        """Add shards that have nothing yet; their names."""
        first = len(self.shards)
        names = [f"shard-{n}" for n in range(first, first + count)]
        self.shards |= {name: StubShard(name, self.now) for name in names}
        return names

    def kill(self, names: Iterable[str], back_at: float | None) -> None:
        """They die now, and lose what was in memory; ``back_at``: they run again."""
        for name in names:
            shard = self.shards[name]
            shard.up_at = back_at
            for bucket in shard.ends:
                del shard.serves[bucket]
            shard.ends.clear()

    def tick(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        if self.now >= self._next_look and self.coordinator is not None:
            self._next_look = self.now + EVERY_S
            self._coordinate(self.coordinator)
        for shard in self.shards.values():
            for bucket in [b for b, at in shard.ends.items() if self.now >= at]:
                del shard.serves[bucket], shard.ends[bucket]
        watchers = self._watchers()
        for bucket, size in enumerate(self.sizes):
            if watchers[bucket]:
                self._gaps[bucket] = 0.0
            else:
                self._gaps[bucket] += seconds
                self.counts.unwatched_s += seconds * size
        self.counts.longest_gap = max(self.counts.longest_gap, *self._gaps)
        raised = self._how_many(self._rate * seconds)
        self.counts.most_alerts_in_a_tick = max(raised, self.counts.most_alerts_in_a_tick)
        for _ in range(raised):
            stream = self.random.choice(self.streams)
            self._raise(stream, watchers[bucket_of(stream)])

    def _how_many(self, expected: float) -> int:
        """Of events that come at any time, so many on average (Poisson)."""
        count, passed = 0, self.random.expovariate(1.0)
        while passed < expected:
            count, passed = count + 1, passed + self.random.expovariate(1.0)
        return count

    def even(self) -> bool:
        """Whether all that may have buckets have as many, but for one."""
        fit = [s.name for s in self.shards.values() if self._seen_alive(s)]
        names = {*fit} - self.draining
        shares = [len(self.map.fences_of(name)) for name in names]
        return {*self.map.shards()} <= names and max(shares) - min(shares) <= 1

    def _seen_alive(self, shard: StubShard) -> bool:
        return shard.runs(self.now) and not shard.cut_off

    def _watchers(self) -> dict[int, list[tuple[StubShard, int]]]:
        """Who serves each bucket, and under which fence."""
        found: dict[int, list[tuple[StubShard, int]]] = defaultdict(list)
        for shard in self.shards.values():
            if shard.runs(self.now):
                for bucket, (since, fence) in shard.serves.items():
                    if self.now >= since:
                        found[bucket].append((shard, fence))
        return found

    def _coordinate(self, coordinator: Coordinator) -> None:
        alive = [each.name for each in self.shards.values() if self._seen_alive(each)]
        decision = coordinator.decide(alive, self.draining, self.map, self.now)
        if decision.shard_map is None:
            return
        before, self.map = self.map, decision.shard_map
        self.counts.map_versions += 1
        self.counts.moved += len(decision.moves)
        self.counts.streams_moved += sum(self.sizes[bucket] for bucket in decision.moves)
        waits: dict[str, float] = defaultdict(float)
        for bucket, to in decision.moves.items():
            self._hand_over(bucket, self.shards[before.assignments[bucket].shard], to, waits)

    def _hand_over(self, bucket: int, old: StubShard, to: str, waits: dict[str, float]) -> None:
        """The next shard goes on: with what the old one leaves, or what lies on a dead one's disk;
        ``waits``: how long each is busy with those before."""
        fence = self.map.assignments[bucket].fence
        if self._seen_alive(old):
            old.ends[bucket] = self.now + OVERLAP_S + HAND_OVER_S  # until then no sample is lost
            ready = self.now + OVERLAP_S + HAND_OVER_S
        else:
            waits[to] += TAKE_OVER_S
            ready = self.now + waits[to]
            if not old.cut_off:
                old.serves.pop(bucket, None)
        new = self.shards[to]
        new.ends.pop(bucket, None)
        new.serves[bucket] = (ready, fence)

    def rejoin(self, name: str) -> None:
        """A shard that was cut off sees the map again, and drops what is not its own."""
        shard = self.shards[name]
        shard.cut_off = False
        mine = self.map.fences_of(name)
        shard.serves = {b: served for b, served in shard.serves.items() if mine.get(b) == served[1]}

    def _raise(self, stream: str, watchers: list[tuple[StubShard, int]]) -> None:
        if not watchers:
            return
        self.counts.alerts += 1
        ignored = self._fences.ignored
        order = self.random.sample(watchers, len(watchers))
        accepted = sum(self._fences.accepts(self.alert(stream, fence)) for _, fence in order)
        self.counts.stale += len(order) - 1
        self.counts.ignored += self._fences.ignored - ignored
        self.counts.twice += accepted > 1
        self.counts.none += accepted == 0

    def alert(self, stream: str, fence: int) -> AlertMessage:
        """As a shard tells it."""
        self._n += 1
        at = round(1e9 * self.now)
        return AlertMessage(
            id=f"{stream}-{self._n}",
            n=self._n,
            stream=stream,
            epoch=1,
            kind="anomaly",
            code="beat.anomalous",
            priority="low",
            phase="start",
            onset_sample=0,
            onset_ns=at,
            end_sample=None,
            sample=0,
            lead="II",
            suspended=False,
            raised_ns=at,
            score=2.0,
            threshold=1.0,
            beats=(1,),
            delay_ms=Delay(0.0, 0.0),
            explanation=None,
            fence=fence,
        )


def machines(names: Collection[str], each: int) -> list[list[str]]:
    """The shards by machine, so many on each."""
    ordered = [*names]
    return [ordered[n : n + each] for n in range(0, len(ordered), each)]
