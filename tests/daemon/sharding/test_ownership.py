"""What a shard has, lets go of and waits for, as maps come."""

from hypothesis import given
from hypothesis import strategies as st

from beatgan.protocol.buckets import bucket_of
from beatgan_daemon.sharding.ownership import OVERDUE_S, OVERLAP_S, Ownership
from beatgan_daemon.sharding.shard_map import ShardMap

EVEN = ShardMap.even(["a", "b"])
MINE = EVEN.fences_of("a")


def test_what_the_map_gives_is_waited_for_until_its_state_is_here() -> None:
    own = Ownership("a", EVEN, {}, 0.0)
    assert own.held == {}
    assert own.heard() == MINE.keys()
    assert own.awaits(0)
    assert not own.awaits(1)
    assert own.wanted(OVERDUE_S)[0] == (1, False)
    assert own.wanted(OVERDUE_S + 0.1)[0] == (1, True)
    assert own.longest_wait(3.0) == 3.0
    assert own.taken(0, 1)
    assert own.held == {0: 1}
    assert not own.awaits(0)
    assert not own.taken(0, 1)


def test_what_the_map_gives_to_another_is_listened_to_for_a_while() -> None:
    own = Ownership("a", EVEN, MINE, 0.0)
    own.replace_map(EVEN.moved({0: "b"}), 1.0)
    assert 0 in own.heard()
    assert own.due(1.0) == []
    own.replace_map(EVEN.moved({0: "b"}), 1.2)  # the time goes on from the first
    assert own.due(1.0 + OVERLAP_S) == [0]
    assert own.released(0) == 1
    assert 0 not in own.heard()
    assert own.held == {bucket: 1 for bucket in MINE if bucket}


def test_what_comes_back_is_let_go_first() -> None:
    """Another may have had it meanwhile."""
    own = Ownership("a", EVEN, MINE, 0.0)
    own.replace_map(EVEN.moved({0: "b"}).moved({0: "a"}), 1.0)
    assert own.due(1.0 + OVERLAP_S) == [0]
    assert not own.awaits(0)  # frames are still for the state that is here
    assert not own.taken(0, 3)
    own.released(0)
    assert own.awaits(0)
    assert own.taken(0, 3)
    assert own.held[0] == 3


def test_what_is_not_waited_for_any_more_is_not_taken() -> None:
    own = Ownership("a", EVEN, {}, 0.0)
    own.replace_map(EVEN.moved({0: "b"}), 1.0)
    assert not own.taken(0, 1)
    own.replace_map(EVEN.moved({0: "b"}).moved({0: "a"}), 2.0)
    assert not own.taken(0, 1)
    assert own.taken(0, 3)


def test_fences_are_those_of_the_state_that_is_here() -> None:
    own = Ownership("a", EVEN, {bucket_of("bed-7"): 5}, 0.0)
    assert own.fence_of("bed-7") == 5
    assert own.has("bed-7")
    assert bucket_of("bed-8") != bucket_of("bed-7")
    assert own.fence_of("bed-8") is None
    assert not own.has("bed-8")
    assert own.fence_of("") is None
    assert own.has("")


@given(st.lists(st.tuples(st.integers(0, 255), st.sampled_from("ab")), max_size=30))
def test_two_shards_end_with_what_the_map_says(moves: list[tuple[int, str]]) -> None:
    shard_map, now = EVEN, 0.0
    shards = {name: Ownership(name, EVEN, EVEN.fences_of(name), now) for name in "ab"}
    for bucket, to in moves:
        shard_map = shard_map.moved({bucket: to})
        for own in shards.values():
            own.replace_map(shard_map, now)
    for own in shards.values():
        for bucket in own.due(now + OVERLAP_S):
            own.released(bucket)
    for name, own in shards.items():
        for bucket, wanted in own.wanted(now).items():
            assert own.taken(bucket, wanted.fence)
        assert own.held == shard_map.fences_of(name)
        assert own.leaving == {}
        assert own.awaited == {}
