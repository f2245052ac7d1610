"""What shards say of themselves, and whether they run."""

import shutil
from pathlib import Path

import pytest

from beatgan_daemon.sharding.registry import (
    ShardRecord,
    is_running,
    reachable,
    read_records,
    write_record,
)
from beatgan_daemon.storage.sequence_file import SequenceFile


def record(shard: str) -> ShardRecord:
    return ShardRecord(
        shard=shard,
        host="ecg-1",
        pid=7,
        ready_ns=1,
        version="1",
        model="d",
        ingest=("tcp://ecg-1:1",),
        publish="tcp://ecg-1:2",
        control="tcp://ecg-1:3",
        tap=(),
        http="http://ecg-1:4",
    )


def test_records_are_read_as_written_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    names = ["shard-10", "shard-2", "a", "shard-2b"]
    for name in names:
        (tmp_path / name).mkdir()
        write_record(tmp_path, record(name))
    (tmp_path / "handover").mkdir()
    found, problems = read_records(tmp_path)
    assert [each.shard for each in found] == ["a", "shard-2", "shard-2b", "shard-10"]
    assert found[1] == record("shard-2")
    assert problems == []


def test_a_spoilt_record_is_named_and_hides_no_other(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_record(tmp_path, record(name))
    (tmp_path / "a" / "shard.json").write_text('{"v": 1}')
    found, problems = read_records(tmp_path)
    assert [each.shard for each in found] == ["b"]
    assert len(problems) == 1
    assert "a/shard.json" in problems[0]


def test_a_copy_of_a_shards_directory_is_no_shard(tmp_path: Path) -> None:
    for name in ("a", "a-before"):
        (tmp_path / name).mkdir()
        write_record(tmp_path, record(name))
    shutil.copy(tmp_path / "a" / "shard.json", tmp_path / "a-before")
    found, (text,) = read_records(tmp_path)
    assert [each.shard for each in found] == ["a"]
    assert text.endswith("a-before/shard.json: of a: a copy, which counts for nothing")


def test_a_shard_runs_while_it_holds_its_lock(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert not is_running(tmp_path, "a")
    lock = SequenceFile(tmp_path / "a" / "journal.n")
    assert is_running(tmp_path, "a")
    lock.close()
    assert not is_running(tmp_path, "a")


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("tcp://0.0.0.0:5555", "tcp://ecg-1:5555"),
        ("tcp://*:5555", "tcp://ecg-1:5555"),
        ("tcp://[::]:5555", "tcp://ecg-1:5555"),
        ("http://0.0.0.0:80", "http://ecg-1:80"),
        ("tcp://127.0.0.1:5555", "tcp://127.0.0.1:5555"),
        ("ipc:///run/x", "ipc:///run/x"),
    ],
)
def test_reachable(endpoint: str, expected: str) -> None:
    assert reachable(endpoint, "ecg-1") == expected
