"""The map of buckets: its text, even shares, few moves, fences that only rise."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beatgan.errors import UsageError
from beatgan_daemon.sharding.shard_map import ShardMap, read_map, write_map

NAMES = st.lists(st.sampled_from([f"s{n}" for n in range(60)]), min_size=1, unique=True)


@given(NAMES)
def test_what_is_written_is_read(names: list[str]) -> None:
    whole = ShardMap.even(names)
    assert ShardMap.parse(whole.text()) == whole
    assert whole.shards() == sorted(names)


@given(NAMES, st.dictionaries(st.integers(0, 255), st.sampled_from("abc")))
def test_a_shards_buckets_go_to_who_has_the_fewest_and_no_other_moves(
    others: list[str], by_hand: dict[int, str]
) -> None:
    before = ShardMap.even(["a", "b", "c", *others]).moved(by_hand)
    after = before.emptied("a", ["a", "b", *others])
    assert after.fences_of("a") == {}
    for b, (old, new) in enumerate(zip(before.assignments, after.assignments, strict=True)):
        assert new.fence == old.fence + (old.shard == "a"), b
        assert new.shard == old.shard or old.shard == "a"
    assert after.fences_of("c") == before.fences_of("c")
    had, has = (Counter(e.shard for e in each.assignments) for each in (before, after))
    takers = [name for name in ("b", *others) if has[name] > had[name]]
    fewest = min(has[name] for name in ("b", *others))
    assert all(has[name] <= fewest + 1 for name in takers)
    with pytest.raises(UsageError, match="no shard is left"):
        before.emptied("a", ["a"])


def test_a_move_raises_the_fence_of_its_bucket_alone() -> None:
    before = ShardMap.even(["a", "b"])
    after = before.moved({0: "b", 1: "b"})
    assert after.assignments[0] == ("b", 2)
    assert after.assignments[1:] == before.assignments[1:]
    assert after.fences_of("b")[0] == 2


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda t: t.replace("07 ", "06 "), "06 stands there twice"),
        (lambda t: t.replace("ff b 1\n", ""), "1 buckets have no line, the first ff"),
        (lambda t: t.replace("00 a 1", "00 a"), "line 2: expected BUCKET SHARD FENCE"),
        (lambda t: t.replace("00 a 1", "00 ../a 1"), "line 2: expected"),
    ],
)
def test_a_spoilt_map_is_refused(tmp_path: Path, spoil: object, says: str) -> None:
    text = ShardMap.even(["a", "b"]).text()
    assert callable(spoil)
    (tmp_path / "map").write_text(spoil(text))
    with pytest.raises(UsageError, match=says):
        read_map(tmp_path)


def test_names_and_missing_files_are_refused(tmp_path: Path) -> None:
    for names in ([], ["a", "a"], ["a/b"], [""], ["x" * 64]):
        with pytest.raises(UsageError):
            ShardMap.even(names)
    with pytest.raises(UsageError, match="map: cannot be read"):
        read_map(tmp_path)
    write_map(tmp_path, ShardMap.even(["a"]))
    assert read_map(tmp_path) == ShardMap.even(["a"])
    assert [each.name for each in tmp_path.iterdir()] == ["map"]


def test_a_map_that_is_made_again_has_higher_fences() -> None:
    again = ShardMap.even(["a", "b"], {0: 7, 1: 0})
    assert [each.fence for each in again.assignments[:3]] == [8, 1, 1]


@pytest.mark.parametrize("name", ["map", "draining", "handover"])
def test_no_shard_is_called_as_something_else_in_the_directory(name: str) -> None:
    with pytest.raises(UsageError, match=f"shard '{name}': the directory of shards has something"):
        ShardMap.even(["a", name])
    text = ShardMap.even(["a", "b"]).text().replace(" b ", f" {name} ", 1)
    with pytest.raises(UsageError, match=f"line 3: shard '{name}'"):
        ShardMap.parse(text)
