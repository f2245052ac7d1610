"""What a bucket's shard before this one left: found, fetched from its files, or waited for."""

import errno
import shutil
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from beatgan.protocol.alert_journal import JournalEntry
from beatgan.protocol.buckets import bucket_of
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.sharding.claims import read_claims, write_claims
from beatgan_daemon.sharding.handover import (
    BucketState,
    left_fences,
    read_handover,
    write_handovers,
)
from beatgan_daemon.sharding.predecessor import DEAF_S, Found, Predecessors, Wanted
from beatgan_daemon.sharding.registry import ShardRecord, write_record
from beatgan_daemon.sharding.shard_map import ShardMap
from beatgan_daemon.sharding.stored_state import leave_behind
from beatgan_daemon.storage.checkpoint_store import CheckpointStore
from beatgan_daemon.storage.journal import Journal
from beatgan_daemon.storage.sqlite import open_to_read

NAME = "bed-7"
BUCKET = bucket_of(NAME)
OTHER = "bed-8"
MAP = ShardMap.even(["a", "b"]).moved({BUCKET: "a", bucket_of(OTHER): "a"})
FENCE = MAP.assignments[BUCKET].fence
MOVED = MAP.moved({BUCKET: "b"})


@contextmanager
def running(directory: Path, shard: str = "a") -> Iterator[None]:
    """A shard that holds its lock, has an alarm of NAME and of OTHER under way, and both saved."""
    state = directory / shard
    state.mkdir(exist_ok=True)
    journal = Journal(state / "journal.db", pytest.fail)
    store = CheckpointStore(state / "streams.db")
    try:
        if journal.next_n == 0:
            entries = [
                JournalEntry(n, f"{name}/0", name, "start", b"%d" % n)
                for n, name in enumerate((NAME, OTHER, ""))
            ]
            journal.append(entries, {NAME: b"state", OTHER: b"state"}, 0)
            store.save([(NAME, b"checkpoint"), (OTHER, b"checkpoint")])
            write_claims(state, MAP.fences_of(shard))
        yield
    finally:
        journal.close()
        store.close()


def record(shard: str) -> ShardRecord:
    return ShardRecord(
        shard=shard,
        host="",
        pid=1,
        ready_ns=1,
        version="",
        model="",
        ingest=(),
        publish="",
        control="",
        tap=(),
        http="",
    )


def handover(fence: int = FENCE, shard: str = "a") -> BucketState:
    return BucketState(
        bucket=BUCKET,
        fence=fence,
        shard=shard,
        released=False,
        states={NAME: b"state"},
        checkpoints={NAME: b"checkpoint"},
        alerts=[b"0"],
    )


def look(
    directory: Path, fence: int, *, overdue: bool = False, shard_map: ShardMap = MOVED
) -> tuple[dict[int, Found], list[str]]:
    """What is found of BUCKET, and what is told."""
    told: list[str] = []
    wanted = {BUCKET: Wanted(fence, overdue)}
    return Predecessors(directory, told.append).find(shard_map, wanted), told


def find(
    directory: Path, fence: int, *, overdue: bool = False, shard_map: ShardMap = MOVED
) -> dict[int, Found]:
    return look(directory, fence, overdue=overdue, shard_map=shard_map)[0]


def test_what_was_left_is_found(tmp_path: Path) -> None:
    write_handovers(tmp_path, [handover()])
    assert find(tmp_path, FENCE + 1) == {BUCKET: Found(FENCE + 1, handover())}


def test_what_nobody_had_begins_at_once(tmp_path: Path) -> None:
    assert find(tmp_path, 1) == {BUCKET: Found(1, None)}


def test_what_others_were_given_meanwhile_is_waited_for(tmp_path: Path) -> None:
    assert find(tmp_path, 2) == {}
    assert find(tmp_path, 2, overdue=True) == {BUCKET: Found(2, None)}
    write_handovers(tmp_path, [handover(3)])
    assert find(tmp_path, 5) == {}
    assert find(tmp_path, 5, overdue=True) == {BUCKET: Found(5, handover(3))}


def test_what_was_left_later_than_it_is_wanted_is_not_taken(tmp_path: Path) -> None:
    write_handovers(tmp_path, [handover(5)])
    assert find(tmp_path, 5, overdue=True) == {BUCKET: Found(5, None)}


def test_a_shard_that_runs_is_waited_for(tmp_path: Path) -> None:
    with running(tmp_path):
        assert find(tmp_path, FENCE + 1) == {}
        assert left_fences(tmp_path) == {}


def test_of_one_that_hands_over_nothing_what_is_on_its_disk_goes_on(tmp_path: Path) -> None:
    now, told = 0.0, list[str]()
    predecessors = Predecessors(tmp_path, told.append, lambda: now)
    wanted = {BUCKET: Wanted(FENCE + 1, overdue=True)}
    with running(tmp_path):
        for step in range(5):  # busy with others: it is waited for
            now = step * DEAF_S
            write_claims(tmp_path / "a", MAP.fences_of("a"))
            assert predecessors.find(MOVED, wanted) == {}
        now += DEAF_S
        assert predecessors.find(MOVED, wanted) == {}
        assert told == []
        now += 0.1
        assert predecessors.find(MOVED, wanted) == {BUCKET: Found(FENCE + 1, handover())}
        assert told == [f"a does not answer: {BUCKET:02x} go on without it"]
        assert read_claims(tmp_path / "a")[BUCKET] == FENCE  # its files are its own
    with running(tmp_path):
        pass


def test_what_it_leaves_while_its_disk_is_read_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is slow, and not deaf: by the time its disk has been read, it has forgotten the bucket."""
    now = 0.0
    predecessors = Predecessors(tmp_path, lambda _: None, lambda: now)
    wanted = {BUCKET: Wanted(FENCE + 1, overdue=True)}
    released = replace(handover(), released=True)

    def forgotten(_: Path) -> sqlite3.Connection:
        write_handovers(tmp_path, [released])
        return open_to_read(empty / "journal.db")

    empty = tmp_path / "empty"
    empty.mkdir()
    Journal(empty / "journal.db", pytest.fail).close()
    with running(tmp_path):
        assert predecessors.find(MOVED, wanted) == {}
        now += 2 * DEAF_S
        monkeypatch.setattr("beatgan_daemon.sharding.stored_state.open_to_read", forgotten)
        assert predecessors.find(MOVED, wanted) == {BUCKET: Found(FENCE + 1, released)}


def test_of_one_that_was_killed_its_files_are_handed_over(tmp_path: Path) -> None:
    with running(tmp_path):
        pass
    assert find(tmp_path, FENCE + 1) == {BUCKET: Found(FENCE + 1, handover())}
    assert BUCKET not in read_claims(tmp_path / "a")
    assert bucket_of(OTHER) in read_claims(tmp_path / "a")
    journal = Journal(tmp_path / "a" / "journal.db", pytest.fail)
    store = CheckpointStore(tmp_path / "a" / "streams.db")
    assert [each.stream for each in journal.active()] == [OTHER, ""]
    assert [each.stream for each in journal.states()] == [OTHER]
    assert [name for name, _ in store.load()] == [OTHER]
    assert [body for _, body in journal.since(0, 9)] == [b"0", b"1", b"2"]  # history stays
    journal.close()
    store.close()


def test_what_a_dead_one_heard_before_it_died_is_not_to_be_told_again(tmp_path: Path) -> None:
    now = 0.0
    predecessors = Predecessors(tmp_path, lambda _: None, lambda: now)
    wanted = {BUCKET: Wanted(FENCE + 1, overdue=False)}
    with running(tmp_path):
        for _ in range(3):
            now += 0.5
            assert predecessors.find(MOVED, wanted) == {}
    now += 0.1
    assert predecessors.find(MOVED, wanted) == {BUCKET: Found(FENCE + 1, handover(), 1.5)}
    write_handovers(tmp_path, [replace(handover(), released=True)])
    released = replace(handover(), released=True)
    assert predecessors.find(MOVED, wanted) == {BUCKET: Found(FENCE + 1, released)}


def test_all_that_the_map_gives_to_others_is_handed_over_with_it(tmp_path: Path) -> None:
    with running(tmp_path):
        pass
    everything = MAP.emptied("a", ["b"])
    find(tmp_path, FENCE + 1, shard_map=everything)
    assert read_claims(tmp_path / "a") == {}
    assert left_fences(tmp_path).keys() == MAP.fences_of("a").keys()


def test_of_two_that_find_a_dead_one_the_second_changes_nothing(tmp_path: Path) -> None:
    """It waits for the lock, and what it knew before is out of date then."""
    newer = replace(handover(), alerts=[b"newer"])
    with ThreadPoolExecutor() as pool, running(tmp_path):
        second = pool.submit(leave_behind, tmp_path, "a", MOVED, pytest.fail)
        time.sleep(0.3)
        write_handovers(tmp_path, [newer])
        write_claims(tmp_path / "a", MOVED.fences_of("a"))
        assert not second.done()
    assert second.result() == []
    assert read_handover(tmp_path, BUCKET, FENCE) == newer


def test_a_daemon_that_was_alone_hands_over_all(tmp_path: Path) -> None:
    with running(tmp_path):
        pass
    (tmp_path / "a" / "buckets").unlink()
    found = find(tmp_path, 1, shard_map=ShardMap.even(["b"]))
    assert found == {BUCKET: Found(1, handover(0))}


def test_a_damaged_handover_is_told_and_the_bucket_begins_anew(tmp_path: Path) -> None:
    write_handovers(tmp_path, [handover()])
    path = tmp_path / "handover" / f"{BUCKET:02x}-{FENCE}"
    path.write_bytes(path.read_bytes()[:-1])
    found, (text,) = look(tmp_path, FENCE + 1)
    assert found == {BUCKET: Found(FENCE + 1, None)}
    assert f"bucket {BUCKET:02x} begins anew" in text
    assert "set aside as" in text


def test_a_sibling_whose_claims_are_spoilt_is_told_and_keeps_nobody_waiting(
    tmp_path: Path,
) -> None:
    with running(tmp_path):
        pass
    (tmp_path / "a" / "buckets").write_text("nonsense\n")
    assert find(tmp_path, FENCE + 1) == {}
    found, told = look(tmp_path, FENCE + 1, overdue=True)
    assert found == {BUCKET: Found(FENCE + 1, None)}
    assert any("line 1: expected '# bucket fence'" in each for each in told)


def test_what_a_shard_left_before_it_was_killed_is_not_replaced_by_what_it_had_saved(
    tmp_path: Path,
) -> None:
    """It had left one bucket, and not yet struck out that it has it; of another it had not."""
    with running(tmp_path):
        pass
    released = replace(handover(), released=True, checkpoints={NAME: b"newer"})
    write_handovers(tmp_path, [released])
    other = bucket_of(OTHER)
    fence = MAP.assignments[other].fence
    wanted = {BUCKET: Wanted(FENCE + 1, False), other: Wanted(fence + 1, False)}
    found = Predecessors(tmp_path, lambda _: None).find(MOVED.moved({other: "b"}), wanted)
    assert found[BUCKET] == Found(FENCE + 1, released)
    saved = found[other].handover
    assert saved is not None
    assert saved.checkpoints == {OTHER: b"checkpoint"}


def test_on_a_full_disk_what_a_dead_shard_saved_goes_on_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path):
        pass

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("beatgan_daemon.sharding.handover.replace_file", full)
    assert find(tmp_path, FENCE + 1) == {}
    found, told = look(tmp_path, FENCE + 1, overdue=True)
    assert found == {BUCKET: Found(FENCE + 1, handover())}
    assert told == ["what a left cannot be had: [Errno 28] No space left on device"]
    assert read_claims(tmp_path / "a")[BUCKET] == FENCE


def test_a_copy_of_a_shards_directory_is_not_taken_for_the_shard(tmp_path: Path) -> None:
    """Somebody keeps a copy beside it: older than the shard, which is still to hand over."""
    with running(tmp_path):
        write_record(tmp_path, record("a"))
        shutil.copytree(tmp_path / "a", tmp_path / "a-before")
        assert find(tmp_path, FENCE + 1) == {}
        assert left_fences(tmp_path) == {}


def test_a_shard_that_runs_hands_nothing_over_behind_its_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beatgan_daemon.storage.sequence_file.LOCK_WAIT_S", 0.0)
    with running(tmp_path), pytest.raises(StartError, match="in use by another daemon"):
        leave_behind(tmp_path, "a", MOVED, pytest.fail)


def test_files_in_the_directory_are_no_shards(tmp_path: Path) -> None:
    (tmp_path / "map").write_text("")
    (tmp_path / "map.lock").touch()
    assert look(tmp_path, 2, overdue=True) == ({BUCKET: Found(2, None)}, [])
