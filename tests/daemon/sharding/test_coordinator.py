"""Who gets which bucket as shards die, come back, flap and are added."""

from collections import Counter
from collections.abc import Collection

from hypothesis import given, settings
from hypothesis import strategies as st

from beatgan.protocol.buckets import BUCKETS
from beatgan_daemon.sharding.coordinator import AT_ONCE, STEP_S, Coordinator, Decision
from beatgan_daemon.sharding.shard_map import ShardMap

NAMES = [f"s{n}" for n in range(8)]
FEW = st.sets(st.sampled_from(NAMES))


class Shards:
    """A coordinator and its map, asked each half second."""

    def __init__(self, names: list[str], after_s: float = 5.0) -> None:
        self.coordinator, self.map = Coordinator(after_s), ShardMap.even(names)
        self.now, self.moves = 0.0, 0

    def ask(self, alive: Collection[str], draining: Collection[str] = ()) -> Decision:
        decision = self.coordinator.decide(alive, draining, self.map, self.now)
        if decision.shard_map is not None:
            self.map = decision.shard_map
            self.moves += len(decision.moves)
        return decision

    def live(self, seconds: float, alive: Collection[str], draining: Collection[str] = ()) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 0.5
            self.ask(alive, draining)

    def shares(self) -> Counter[str]:
        return Counter(each.shard for each in self.map.assignments)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(NAMES), min_size=1, unique=True),
    st.lists(st.tuples(st.floats(0.1, 20), FEW, FEW), max_size=40),
)
def test_whatever_comes_each_bucket_has_one_owner_and_a_move_a_fence(
    names: list[str], steps: list[tuple[float, set[str], set[str]]]
) -> None:
    shards = Shards(names)
    for seconds, alive, draining in steps:
        shards.now += seconds
        before, able = shards.map, alive - draining
        decision = shards.ask(alive, draining)
        moved = {
            bucket
            for bucket, (old, new) in enumerate(
                zip(before.assignments, shards.map.assignments, strict=True)
            )
            if old != new
        }
        assert moved == decision.moves.keys()
        assert (decision.shard_map is None) == (not moved)
        assert len(shards.map.assignments) == BUCKETS
        voluntary = 0
        for bucket in moved:
            old, new = before.assignments[bucket], shards.map.assignments[bucket]
            assert new == (decision.moves[bucket], old.fence + 1)
            assert new.shard != old.shard
            assert new.shard in able
            voluntary += old.shard not in decision.lost
            assert old.shard in decision.lost or old.shard in alive
        assert voluntary <= AT_ONCE
        assert not decision.lost & alive
        dead = sum(each.shard in decision.lost for each in before.assignments)
        assert decision.stranded == (0 if able else dead)
        assert able or decision.shard_map is None


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(NAMES), min_size=2, unique=True), st.data())
def test_the_dead_shards_buckets_move_and_no_others(names: list[str], data: st.DataObject) -> None:
    dead = data.draw(st.sets(st.sampled_from(names), min_size=1, max_size=len(names) - 1))
    shards = Shards(names)
    shards.live(6, names)
    shares = shards.shares()
    shards.live(30, {*names} - dead)
    after = shards.shares()
    assert shards.moves == sum(shares[name] for name in dead)
    assert after.keys() == {*names} - dead
    assert max(after.values()) - min(after.values()) <= 1
    shards.live(200, names)  # all are back, and have their even shares by as few moves as it takes
    again = shards.shares()
    assert max(again.values()) - min(again.values()) <= 1
    assert shards.moves == sum(shares[name] for name in dead) + sum(again[n] for n in dead)


def test_nothing_moves_before_its_time() -> None:
    shards = Shards(["a", "b"])
    shards.live(10, "ab")
    shards.live(5, "a")
    assert shards.moves == 0
    shards.live(0.5, "a")
    assert shards.moves == 128
    assert shards.map.shards() == ["a"]


def test_a_shard_that_restarts_in_time_keeps_its_buckets() -> None:
    shards = Shards(["a", "b"])
    for _ in range(20):
        shards.live(6, "ab")
        shards.live(4, "a")
    assert shards.moves == 0


def test_one_that_dies_again_before_it_has_lived_loses_them() -> None:
    shards = Shards(["a", "b"])
    shards.live(6, "ab")
    shards.live(3, "a")
    shards.live(3, "ab")
    assert shards.moves == 0
    shards.live(0.5, "a")
    assert shards.map.shards() == ["a"]


@settings(max_examples=6, deadline=None)
@given(st.floats(0.5, 60), st.floats(0.5, 60))
def test_one_that_comes_and_goes_does_not_drag_its_buckets_along(up: float, down: float) -> None:
    shards, changes = Shards(["a", "b", "c", "d"]), 0
    while shards.now < 3600:
        for seconds, alive in ((up, "abcd"), (down, "abc")):
            before = "d" in shards.map.shards()
            shards.live(seconds, alive)
            changes += before != ("d" in shards.map.shards())
    assert changes <= 10
    assert all(shards.shares()[name] >= 64 for name in "abc")


def test_a_new_shard_gets_its_share_a_few_at_a_time() -> None:
    shards = Shards(["a", "b", "c"])
    shards.live(20, "abc")
    shards.live(4.5, "abcd")
    assert shards.moves == 0
    most, began = 0, shards.now
    while shards.shares()["d"] < 64 and shards.now < began + 60:
        before = shards.moves
        shards.live(STEP_S, "abcd")
        most = max(most, shards.moves - before)
    assert most == AT_ONCE
    shards.live(60, "abcd")
    assert sorted(shards.shares().values()) == [64] * 4
    assert shards.moves == 64


def test_who_is_to_be_empty_is_emptied_and_gets_nothing() -> None:
    shards = Shards(["a", "b", "c"])
    shards.live(20, "abc", "c")
    assert shards.moves == 85
    assert sorted(shards.shares().values()) == [128, 128]
    shards.live(20, "ac", "c")
    assert shards.map.shards() == ["a"]
    decision = shards.coordinator.decide("c", "c", shards.map, shards.now + 1)
    assert decision.shard_map is None
    shards.live(20, "c", "c")
    assert shards.map.shards() == ["a"]
    assert shards.ask("c", "c").stranded == BUCKETS
    shards.live(20, "c")  # it may have some again
    assert shards.map.shards() == ["c"]


def test_where_nobody_lives_the_map_stays_and_that_is_said() -> None:
    shards = Shards(["a", "b"])
    before = shards.map
    shards.live(60, ())
    assert shards.map == before
    decision = shards.ask(())
    assert decision.lost == {"a", "b"}
    assert decision.stranded == BUCKETS
    shards.live(0.5, "a")  # nobody is steady: whoever lives takes them
    assert shards.map.shards() == ["a"]


def test_shares_that_an_operator_made_uneven_stay() -> None:
    shards = Shards(["a", "b"])
    shards.map = shards.map.moved(dict.fromkeys(range(0, 32, 2), "b"))
    shards.live(60, "ab")
    assert shards.moves == 0
    shards.map = shards.map.moved(dict.fromkeys(range(0, 80, 2), "b"))
    shards.live(60, "ab")
    assert sorted(shards.shares().values()) == [128, 128]


def test_a_coordinator_that_is_new_gives_nobody_up_at_once() -> None:
    shards = Shards(["a", "b"])
    shards.now = 1e6
    shards.live(4.5, "a")
    assert shards.moves == 0
    shards.live(2, "a")
    assert shards.map.shards() == ["a"]
