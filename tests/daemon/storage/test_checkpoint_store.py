"""Checkpoints on disk: the latest of each stream, whatever happened to the file."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from time import monotonic

import pytest

from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.storage.checkpoint_store import CheckpointStore
from tests.support.files import NO_FILES, make

NOON_NS = 1_700_000_000_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "streams.db"


def test_the_latest_checkpoint_of_each_stream_is_found_again(path: Path) -> None:
    store = CheckpointStore(path)
    store.save([("a", b"1"), ("b", b"2"), ("c", b"3")])
    store.save([("a", b"4")])
    store.forget(["b", "unknown"])
    store.close()
    again = CheckpointStore(path)
    assert dict(again.load()) == {"a": b"4", "c": b"3"}
    assert (again.aside, again.trouble) == (None, None)
    again.close()


@pytest.mark.parametrize("damage", [b"no database at all" * 1000, b""])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(path: Path, damage: bytes) -> None:
    path.write_bytes(damage)
    store = CheckpointStore(path, clock=lambda: NOON_NS)
    assert store.load() == []
    if damage:
        assert store.aside is not None
        assert store.aside.name == "streams.db.damaged-20231114T221320Z"
        assert store.aside.read_bytes() == damage
    assert store.anew is not None
    assert ("damaged" if damage else "empty") in store.anew
    store.save([("a", b"1")])
    assert store.load() == [("a", b"1")]
    store.close()


@pytest.mark.parametrize("what", NO_FILES)
def test_what_is_no_file_is_set_aside(path: Path, what: str) -> None:
    make(path, what)
    store = CheckpointStore(path, clock=lambda: NOON_NS)
    assert store.aside is not None
    assert store.aside.name == "streams.db.replaced-20231114T221320Z"
    assert store.anew == "it was no regular file"
    assert store.save([("a", b"1")])
    store.close()


@pytest.mark.parametrize("there", [True, False])
def test_a_lock_of_somebody_else_at_the_start_is_trouble_until_it_is_gone(
    path: Path, there: bool
) -> None:
    """A daemon that does not start watches nobody."""
    if there:
        store = CheckpointStore(path)
        assert store.save([("a", b"1")])
        store.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as somebody:
        somebody.execute("PRAGMA locking_mode = EXCLUSIVE")
        somebody.execute("BEGIN EXCLUSIVE")
        somebody.execute("SELECT count(*) FROM sqlite_master").fetchall()
        store = CheckpointStore(path)
        assert store.trouble == "database is locked"
        assert store.anew == "it cannot be read: database is locked"
        assert store.load() == []
        assert not store.save([("b", b"2")])
        somebody.execute("ROLLBACK")
    assert store.save([("b", b"2")])
    assert store.trouble is None
    assert dict(store.load()) == ({"a": b"1"} if there else {}) | {"b": b"2"}
    store.close()


def test_damage_while_running_costs_the_checkpoints_and_no_more(path: Path) -> None:
    store = CheckpointStore(path)
    store.save([(f"bed-{n}", os.urandom(40_000)) for n in range(200)])  # beyond any cache
    store.close()
    store = CheckpointStore(path)
    with path.open("r+b") as file:
        file.write(os.urandom(path.stat().st_size))
    assert store.load() == []
    assert store.trouble is not None
    store.save([("a", b"1")])
    assert store.load() == [("a", b"1")]
    assert store.aside is not None
    store.close()


def test_a_full_disk_is_told_and_the_checkpoint_before_is_kept(path: Path) -> None:
    store = CheckpointStore(path)
    store.save([("a", b"1")])
    database = store._ready()
    database.execute("PRAGMA max_page_count = 8")
    store.save([("a", b"2"), ("b", bytes(100_000))])
    assert store.trouble is not None
    assert "full" in store.trouble
    assert store.load() == [("a", b"1")]
    database.execute("PRAGMA max_page_count = 100000")
    store.save([("a", b"2")])
    assert store.load() == [("a", b"2")]
    store.close()


def test_checkpoints_of_another_version_are_set_aside_and_told(path: Path) -> None:
    store = CheckpointStore(path)
    store.save([("a", b"1")])
    store._ready().execute("PRAGMA user_version = 99")
    store.close()
    store = CheckpointStore(path)
    assert store.load() == []
    assert store.anew == "it was of version 99, this beatgan reads 1"
    assert store.aside is not None
    with closing(sqlite3.connect(store.aside)) as kept:
        assert kept.execute("SELECT * FROM streams").fetchall() == [("a", b"1")]
    store.close()


def test_no_folder_to_write_to_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"state\.dir: cannot open .*streams\.db"):
        CheckpointStore(tmp_path / "nowhere" / "streams.db")


WRITER = """
import sys
from pathlib import Path
from beatgan_daemon.storage.checkpoint_store import CheckpointStore
store = CheckpointStore(Path(sys.argv[1]))
for n in range(10**9):
    store.save([(f"bed-{b}", b"%d " % n * 5000) for b in range(8)])
    print(n, flush=True)
"""


def test_a_killed_writer_leaves_whole_checkpoints(path: Path) -> None:
    arguments = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        seen = [int(writer.stdout.readline()) for _ in range(20)]
        writer.send_signal(signal.SIGKILL)
        seen += [int(line) for line in writer.stdout]
    store = CheckpointStore(path)
    found = {state.split(b" ", 1)[0] for _, state in store.load()}
    (last,) = found  # all of one transaction
    assert int(last) in (seen[-1], seen[-1] + 1)  # it may have been killed before it could say so
    store.close()


def test_what_could_not_be_written_is_told(path: Path) -> None:
    store = CheckpointStore(path)
    assert store.save([("a", b"1")])
    store._ready().execute("PRAGMA query_only = 1")
    assert not store.save([("a", b"2")])
    assert not store.forget(["a"])
    assert store.trouble is not None
    store._ready().execute("PRAGMA query_only = 0")
    assert store.save([("a", b"3")])
    assert store.trouble is None
    store.close()


def test_a_lock_of_somebody_else_is_not_waited_for_long(path: Path) -> None:
    store = CheckpointStore(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        began = monotonic()
        assert not store.save([("a", b"1")])
        assert monotonic() - began < 3.0  # SQLite's own patience is 5 s
    assert store.save([("a", b"1")])
    store.close()


def test_a_file_that_is_removed_is_there_again_with_the_next_checkpoint(path: Path) -> None:
    folder = path.parent / "state"
    folder.mkdir()
    store = CheckpointStore(folder / path.name)
    store.save([("a", b"1"), ("b", b"1")])
    shutil.rmtree(folder)
    assert store.save([("b", b"2")])
    store.close()
    again = CheckpointStore(folder / path.name)
    assert dict(again.load()) == {"a": b"1", "b": b"2"}
    again.close()
