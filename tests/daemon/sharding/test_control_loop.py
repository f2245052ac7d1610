"""The map of a directory is kept: by a loop that is asked, and by the command."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from beatgan.errors import UsageError
from beatgan_daemon.clients.process import environment
from beatgan_daemon.sharding.claims import write_claims
from beatgan_daemon.sharding.control_loop import ControlLoop, keep
from beatgan_daemon.sharding.shard_map import ShardMap, read_map, write_map
from beatgan_daemon.storage.sequence_file import SequenceFile

LONGEST_S = 30.0


@contextmanager
def running(directory: Path, *names: str) -> Iterator[None]:
    with ExitStack() as stack:
        for name in names:
            (directory / name).mkdir(exist_ok=True)
            stack.callback(SequenceFile(directory / name / "journal.n").close)
        yield


@contextmanager
def command(directory: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    arguments = ["shards", "keep", "--dir", str(directory), "--after", "1"]
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "beatgan_daemon.cli", *arguments],
            stderr=stderr,
            env=environment(),
        )
    try:
        until(lambda: b"shards" in log.read_bytes())
        yield process
    finally:
        process.kill()
        process.wait()


def until(true: object) -> None:
    end = monotonic() + LONGEST_S
    assert callable(true)
    while not true():
        assert monotonic() < end
        sleep(0.05)


def test_a_dead_shards_buckets_go_to_the_others(tmp_path: Path) -> None:
    write_map(tmp_path, ShardMap.even(["a", "b", "c"]))
    loop = ControlLoop(tmp_path)
    with running(tmp_path, "a", "b"):
        for now in range(6):
            assert read_map(tmp_path).shards() == ["a", "b", "c"]
            loop.look(now)
        assert read_map(tmp_path).shards() == ["a", "b"]


def test_one_that_looks_on_changes_nothing_and_knows_who_is_dead(tmp_path: Path) -> None:
    write_map(tmp_path, ShardMap.even(["a", "b"]))
    loop = ControlLoop(tmp_path)
    with running(tmp_path, "a"):
        for now in range(10):
            loop.look(now, at_work=False)
        assert read_map(tmp_path) == ShardMap.even(["a", "b"])
        loop.look(10)
        assert read_map(tmp_path).shards() == ["a"]


def test_what_cannot_be_read_is_said_and_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loop = ControlLoop(tmp_path)
    assert loop.look(0) is None
    assert "map: cannot be read" in capsys.readouterr().out
    write_map(tmp_path, ShardMap.even(["a"]))
    decision = loop.look(1)
    assert decision is not None
    assert decision.stranded == 0
    for now in range(2, 9):
        loop.look(now)
    assert capsys.readouterr().out.count("nobody is there to take buckets") == 1
    assert read_map(tmp_path) == ShardMap.even(["a"])


def test_an_old_map_is_left_alone(tmp_path: Path) -> None:
    """Its shards would not follow it, and fences would not rise above what they have."""
    write_map(tmp_path, ShardMap.even(["a", "b"]))
    loop = ControlLoop(tmp_path, after_s=1)
    with running(tmp_path, "a"):
        write_claims(tmp_path / "a", {0: 7})
        for now in range(9):
            assert loop.look(float(now)) is None
    assert read_map(tmp_path) == ShardMap.even(["a", "b"])


def test_without_a_map_it_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="map: cannot be read"):
        keep(tmp_path, 5.0, lambda: True)


def test_the_command_keeps_the_map_and_another_takes_its_place(tmp_path: Path) -> None:
    write_map(tmp_path, ShardMap.even(["a", "b", "c"]))
    logs = [tmp_path / "one.log", tmp_path / "two.log"]
    with (
        running(tmp_path, "a"),
        running(tmp_path, "b"),
        command(tmp_path, logs[0]) as first,
        command(tmp_path, logs[1]) as second,
    ):
        until(lambda: logs[0].read_text().count("buckets move") == 2)  # one line for each taker
        assert read_map(tmp_path).shards() == ["a", "b"]
        lines = [json.loads(line) for line in logs[0].read_text().splitlines()]
        moved = [line for line in lines if line["event"] == "buckets move"]
        assert sum(line["buckets"] for line in moved) == 85
        assert all(line["shard"] == "c" and "dead" in line["why"] for line in moved)
        assert "ready to take its place" in logs[1].read_text()
        os.kill(first.pid, signal.SIGKILL)
        until(lambda: "looking after" in logs[1].read_text())
        write_map(tmp_path, ShardMap.even(["a", "c"]))
        until(lambda: read_map(tmp_path).shards() == ["a"])
        second.send_signal(signal.SIGTERM)
        assert second.wait(LONGEST_S) == 0
