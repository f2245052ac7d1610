"""Decides which bucket goes where as shards die, come back and are added. No clock, no file.

A shard loses its buckets when it has been dead for ``after_s``, and at once when it dies again
before it has lived as long: one that restarts in time keeps them. Whoever came or came back takes
some once it has lived for ``after_s``, twice as long for each time that it lost all, so that one
that comes and goes does not drag its buckets to and fro.

What a dead shard had moves at once; what moves to even shares out, or from a shard that is to be
empty, a few at a time. Shares that an operator made a little uneven stay so.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from beatgan.protocol.buckets import BUCKETS
from beatgan_daemon.sharding.shard_map import ShardMap

AFTER_S: Final = 5.0
AT_ONCE: Final = 8  # buckets that move in a step, unless their shard is dead
STEP_S: Final = 1.0  # from one such step to the next; a move takes some 0.5 s
MAX_DOUBLINGS: Final = 6  # of the time that a shard must live before it is trusted again
FORGIVEN: Final = 10  # such times alive, and what it lost is forgotten
UNEVEN: Final = 2  # buckets of difference that are let be; a quarter of the even share, if more


class Decision(NamedTuple):
    """What is to be done: ``shard_map`` is the next map, None where it stays as it is.

    ``moves``: each bucket that moves, and its next shard; ``lost``: shards whose buckets are taken
    from them as they are dead; ``stranded``: buckets of those that nobody is there to take.
    """

    shard_map: ShardMap | None
    moves: dict[int, str]
    lost: frozenset[str]
    stranded: int


@dataclass(slots=True)
class _Life:
    """What was seen of a shard: it is ``alive`` or not, ``since`` then."""

    alive: bool
    since: float
    outage: float | None  # since when it is not to be relied on
    losses: int = 0
    lost: bool = False  # in this outage


class Coordinator:
    """One for a map. Times are seconds of any clock that only goes forward.

    It knows what it saw itself: a new one counts from its first look.
    """

    def __init__(self, after_s: float = AFTER_S) -> None:
        """``after_s``: how long a shard may be dead and keep its buckets."""
        self._after_s = after_s
        self._lives: dict[str, _Life] = {}
        self._next_step: float | None = None
        self._evening = False  # shares are being evened out

    def decide(
        self, alive: Collection[str], draining: Collection[str], shard_map: ShardMap, now: float
    ) -> Decision:
        """The next map, where this should not stay; to be asked every second or more often.

        ``alive``: shards that run; ``draining``: those that are to have no bucket.
        """
        owners = [each.shard for each in shard_map.assignments]
        for name in self._lives.keys() | {*owners} | {*alive}:
            self._look(name, name in alive, now)
        lost = frozenset(name for name in {*owners} if self._gives_up(name, now))
        able = {name for name, life in self._lives.items() if life.alive} - {*draining}
        steady = {name for name in able if self._steady(self._lives[name], now)}
        plan = _Plan(owners, sorted(steady or able))  # in need, whoever lives
        homeless = [bucket for bucket, name in enumerate(owners) if name in lost]
        if able:
            for bucket in homeless:
                plan.give(bucket)
        if steady:
            self._step(plan, {*draining}, now)
        after = shard_map.moved(plan.moves) if plan.moves else None
        return Decision(after, plan.moves, lost, 0 if able else len(homeless))

    def _look(self, name: str, alive: bool, now: float) -> None:
        life = self._lives.get(name)
        if life is None:
            life = self._lives[name] = _Life(alive, now, None if alive else now)
        if life.alive != alive:
            life.alive, life.since = alive, now
        lasted = now - life.since
        if not alive:
            life.outage = now if life.outage is None else life.outage
        elif lasted >= self._after_s:
            life.outage, life.lost = None, False
        if alive and lasted >= FORGIVEN * self._probation(life):
            life.losses = 0

    def _gives_up(self, name: str, now: float) -> bool:
        """Whether a shard loses what it has."""
        life = self._lives[name]
        gone = not life.alive and life.outage is not None and now - life.outage >= self._after_s
        if gone and not life.lost:
            life.lost, life.losses = True, life.losses + 1
        return gone

    def _steady(self, life: _Life, now: float) -> bool:
        return now - life.since >= self._probation(life)

    def _probation(self, life: _Life) -> float:
        return self._after_s * float(2 ** min(life.losses, MAX_DOUBLINGS))

    def _step(self, plan: "_Plan", draining: set[str], now: float) -> None:
        """Move a few that could stay where they are."""
        if self._next_step is not None and now < self._next_step:
            return
        living = {name for name in {*plan.owners} if self._lives[name].alive}
        wanted = [b for b, name in enumerate(plan.owners) if name in draining & living]
        for bucket in wanted[:AT_ONCE]:
            plan.give(bucket)
        moved = len(wanted[:AT_ONCE])
        for bucket in self._surplus(plan, living - draining, AT_ONCE - moved):
            plan.give(bucket)
            moved += 1
        if moved:
            self._next_step = now + STEP_S

    def _surplus(self, plan: "_Plan", givers: set[str], most: int) -> Iterator[int]:
        """Buckets of the fullest, one by one, to be moved as they come, while shares are uneven."""
        allowed = max(UNEVEN, BUCKETS // (4 * len({*plan.takers} | givers)))
        for _ in range(most):
            difference, bucket = plan.fullest(givers)
            self._evening = bucket is not None and difference > (1 if self._evening else allowed)
            if bucket is None or not self._evening:
                return
            yield bucket


class _Plan:
    """Who has which bucket, and the moves so far."""

    def __init__(self, owners: list[str], takers: list[str]) -> None:
        self.owners, self.takers = owners, takers
        self.moves: dict[int, str] = {}
        self._held = Counter(owners)

    def give(self, bucket: int) -> None:
        """Move it to whoever has the fewest."""
        to = min(self.takers, key=lambda name: (self._held[name], name))
        self._held[self.owners[bucket]] -= 1
        self._held[to] += 1
        self.moves[bucket] = to

    def fullest(self, givers: set[str]) -> tuple[int, int | None]:
        """A bucket that one of ``givers`` with the most of them has and may give, and by how many
        more it has than who has the fewest; None where there is none."""
        kept = [b for b, name in enumerate(self.owners) if name in givers and b not in self.moves]
        bucket = max(kept, key=lambda b: (self._held[self.owners[b]], -b), default=None)
        if bucket is None:
            return 0, None
        return self._held[self.owners[bucket]] - min(self._held[t] for t in self.takers), bucket
