"""The shards' directory as a shard that runs uses it: it never waits, and tries again."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from beatgan_daemon.moving import shared_directory
from beatgan_daemon.moving.shared_directory import SharedDirectory
from beatgan_daemon.sharding.claims import read_claims, write_claims
from beatgan_daemon.sharding.handover import BucketState, left_fences, write_handovers
from beatgan_daemon.sharding.predecessor import Found, Wanted
from beatgan_daemon.sharding.shard_map import ShardMap, write_map

LONGEST_S = 20.0


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedDirectory]:
    monkeypatch.setattr(shared_directory, "RETRY_S", 0.01)
    (tmp_path / "a").mkdir()
    write_map(tmp_path, ShardMap.even(["a", "b"]))
    write_claims(tmp_path / "a", {0: 1, 2: 1})
    directory = SharedDirectory(tmp_path, "a", {0: 1, 2: 1})
    yield directory
    directory.close()


def left(bucket: int, fence: int) -> BucketState:
    return BucketState(
        bucket=bucket, fence=fence, shard="a", released=True, states={}, checkpoints={}, alerts=[]
    )


def until(shared: SharedDirectory, done: Callable[[], bool]) -> None:
    end = time.monotonic() + LONGEST_S
    while not done():
        assert time.monotonic() < end
        shared.step(time.monotonic())
        time.sleep(0.005)


def test_a_bucket_is_forgotten_only_when_it_lies_there_and_is_claimed_no_more(
    tmp_path: Path, shared: SharedDirectory
) -> None:
    seen: list[tuple[object, object]] = []
    shared.leave(
        [left(0, 1)], lambda: seen.append((left_fences(tmp_path), read_claims(tmp_path / "a")))
    )
    until(shared, lambda: bool(seen))
    assert seen == [({0: [1]}, {2: 1})]


def test_a_claim_deletes_what_was_left_before_and_nothing_later(
    tmp_path: Path, shared: SharedDirectory
) -> None:
    for fence in (1, 3, 4):
        write_handovers(tmp_path, [left(5, fence)])
    shared.claim({5: 4})
    until(shared, lambda: not shared.busy())
    assert read_claims(tmp_path / "a")[5] == 4
    assert left_fences(tmp_path) == {5: [4]}


def test_what_cannot_be_written_is_written_later(tmp_path: Path, shared: SharedDirectory) -> None:
    (tmp_path / "handover").write_text("in the way")
    done: list[bool] = []
    shared.leave([left(0, 1)], lambda: done.append(True))
    end = time.monotonic() + 0.1
    while time.monotonic() < end:
        shared.step(time.monotonic())
        time.sleep(0.005)
    assert not done
    assert read_claims(tmp_path / "a") == {0: 1, 2: 1}  # so nobody takes it for handed over
    (tmp_path / "handover").unlink()
    until(shared, lambda: bool(done))
    assert left_fences(tmp_path) == {0: [1]}


def test_the_map_is_given_when_it_changes_and_kept_when_it_is_spoilt(
    tmp_path: Path, shared: SharedDirectory
) -> None:
    now = 0.0

    def looked() -> ShardMap | None:
        nonlocal now
        for _ in range(20):
            now += 0.2
            found = shared.changed_map(now)
            if found is not None:
                return found
            time.sleep(0.01)
        return None

    assert looked() == ShardMap.even(["a", "b"])
    assert looked() is None
    (tmp_path / "map").write_text("nonsense\n")
    assert looked() is None
    (tmp_path / "map").unlink()
    assert looked() is None
    moved = ShardMap.even(["a", "b"]).moved({0: "b"})
    write_map(tmp_path, moved)
    assert looked() == moved


def test_what_was_left_is_found_when_it_is_asked_for_again(
    tmp_path: Path, shared: SharedDirectory
) -> None:
    shard_map = ShardMap.even(["a", "b"]).moved({1: "a"})
    wanted = {1: Wanted(2, overdue=False)}
    found: dict[int, Found] = {}
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        found |= shared.find(shard_map, wanted, time.monotonic())
        time.sleep(0.005)
    assert found == {}
    write_handovers(tmp_path, [left(1, 1)])
    until(
        shared,
        lambda: bool(found.update(shared.find(shard_map, wanted, time.monotonic())) or found),
    )
    assert found == {1: Found(2, left(1, 1))}
