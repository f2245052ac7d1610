"""A shard that starts: what it has then, and what it leaves for others."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from beatgan.protocol.alert_journal import JournalEntry
from beatgan.protocol.buckets import ALL, bucket_of
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.moving.joining import join
from beatgan_daemon.sharding.claims import read_claims, write_claims
from beatgan_daemon.sharding.handover import left_fences, read_handover
from beatgan_daemon.sharding.ownership import Ownership
from beatgan_daemon.sharding.shard_map import ShardMap, write_map
from beatgan_daemon.storage.checkpoint_store import CheckpointStore
from beatgan_daemon.storage.journal import Journal
from beatgan_daemon.storage.stored_streams import read_streams

NAME = "bed-7"
BUCKET = bucket_of(NAME)
MAP = ShardMap.even(["a", "b"]).moved({BUCKET: "a"})


@contextmanager
def opened(directory: Path) -> Iterator[tuple[Journal, CheckpointStore]]:
    """The files of the shard a."""
    state = directory / "a"
    state.mkdir(exist_ok=True)
    journal, store = Journal(state / "journal.db", print), CheckpointStore(state / "streams.db")
    yield journal, store
    journal.close()
    store.close()


def fill(directory: Path) -> None:
    with opened(directory) as (journal, store):
        journal.append([JournalEntry(0, f"{NAME}/0", NAME, "start", b"0")], {NAME: b"state"}, 0)
        store.save([(NAME, b"checkpoint")])


def start(directory: Path) -> Ownership:
    with opened(directory) as (journal, store):
        return join(directory, "a", read_streams(journal, store), 0.0)


def test_a_new_shard_has_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    write_map(tmp_path, MAP)
    assert start(tmp_path).held == {}
    assert read_claims(tmp_path / "a") == {}
    assert left_fences(tmp_path) == {}


def test_a_daemon_that_was_alone_leaves_everything(tmp_path: Path) -> None:
    write_map(tmp_path, MAP)
    fill(tmp_path)
    assert start(tmp_path).held == {}
    assert left_fences(tmp_path) == {bucket: [0] for bucket in ALL}
    assert read_handover(tmp_path, BUCKET, 0).checkpoints == {NAME: b"checkpoint"}


def test_one_that_restarts_has_what_the_map_leaves_it(tmp_path: Path) -> None:
    fill(tmp_path)
    write_claims(tmp_path / "a", MAP.fences_of("a"))
    write_map(tmp_path, MAP.moved({BUCKET: "b"}))
    assert start(tmp_path).held.keys() == MAP.fences_of("a").keys() - {BUCKET}
    assert read_handover(tmp_path, BUCKET, MAP.assignments[BUCKET].fence).alerts == [b"0"]


@pytest.mark.parametrize("claims", [True, False])
def test_one_whose_files_cannot_be_read_now_hands_over_no_empty_buckets(
    tmp_path: Path, claims: bool
) -> None:
    fill(tmp_path)
    if claims:
        write_claims(tmp_path / "a", MAP.fences_of("a"))
    write_map(tmp_path, MAP.moved({BUCKET: "b"}))
    before = read_claims(tmp_path / "a")
    with sqlite3.connect(tmp_path / "a" / "journal.db") as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            StartError, match=r"shard\.dir: .*a: cannot be read: database is locked"
        ):
            start(tmp_path)
    other.close()
    assert read_claims(tmp_path / "a") == before
    assert left_fences(tmp_path) == {}


def test_an_old_map_is_refused(tmp_path: Path) -> None:
    """By every shard, not only the one that had the bucket."""
    write_map(tmp_path, MAP)
    (tmp_path / "b").mkdir()
    write_claims(tmp_path / "b", {BUCKET: 7})
    with pytest.raises(StartError, match=f"old one: bucket {BUCKET:02x} .* under 7"):
        start(tmp_path)
