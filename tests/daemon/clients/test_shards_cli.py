"""`beatgan-daemon shards`: the map's first text, who is there, moves, and Prometheus' file."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from beatgan.errors import UsageError
from beatgan_daemon.cli import app
from beatgan_daemon.sharding.claims import write_claims
from beatgan_daemon.sharding.draining import read_draining
from beatgan_daemon.sharding.shard_map import ShardMap, read_map, write_map
from tests.support.shared_directory import SharedDirectory


def said(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["shards", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@contextmanager
def running(directory: Path, *names: str) -> Iterator[None]:
    """Shards of these names, as far as the directory tells; its map stays."""
    before = read_map(directory)
    with SharedDirectory(directory, *names) as shared:
        write_map(directory, before)
        for n, name in enumerate(names):
            shared.run(name, http="" if name == "mute" else f"http://ecg-1:{n}")
        yield


def test_a_map_is_begun_once(tmp_path: Path) -> None:
    told = said("init", "--dir", str(tmp_path / "new"), "--count", "3")
    assert "256 buckets over shard-0, shard-1, shard-2" in told
    assert read_map(tmp_path / "new") == ShardMap.even(["shard-0", "shard-1", "shard-2"])
    with pytest.raises(UsageError, match="is there already"):
        said("init", "--dir", str(tmp_path / "new"), "a")
    assert read_map(tmp_path / "new").shards() == ["shard-0", "shard-1", "shard-2"]
    with pytest.raises(UsageError, match="NAMEs, or --count"):
        said("init", "--dir", str(tmp_path))
    with pytest.raises(UsageError, match="NAMEs, or --count"):
        said("init", "--dir", str(tmp_path), "a", "--count", "1")
    with pytest.raises(UsageError, match="cannot be made"):
        said("init", "--dir", str(tmp_path / "no" / "where"), "a")


def test_a_map_that_is_begun_again_is_above_what_shards_have_had(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    write_claims(tmp_path / "a", {0: 7})
    said("init", "--dir", str(tmp_path), "a")
    assert [each.fence for each in read_map(tmp_path).assignments[:2]] == [8, 1]


def test_an_old_map_is_said_and_not_changed(tmp_path: Path) -> None:
    write_map(tmp_path, ShardMap.even(["a", "b"]))
    with running(tmp_path, "a", "b"):
        write_claims(tmp_path / "a", {0: 7})
        told = CliRunner().invoke(app, ["shards", "show", "--dir", str(tmp_path)]).stderr
        assert "bucket 00 has fence 1 there, and a shard has had it under 7" in told
        with pytest.raises(UsageError, match="the map is an old one"):
            said("move", "00", "--to", "b", "--dir", str(tmp_path))
        with pytest.raises(UsageError, match="the map is an old one"):
            said("drain", "a", "--dir", str(tmp_path))
        assert read_draining(tmp_path) == frozenset()


def test_what_nobody_watches_is_said(tmp_path: Path) -> None:
    write_map(tmp_path, ShardMap.even(["a", "b"]))
    with running(tmp_path, "a", "b"):
        head, first, second = said("show", "--dir", str(tmp_path)).splitlines()
        assert head.split()[:3] == ["SHARD", "STATE", "BUCKETS"]
        assert first.split()[:3] == ["a", "running", "128"]
        assert second.split()[-1] == "http://ecg-1:1"
    with running(tmp_path, "a"):
        result = CliRunner().invoke(app, ["shards", "show", "--dir", str(tmp_path)])
        assert result.exit_code
        assert str(result.exception) == (
            "nobody watches the patients of b, which is not running: 128 of 256 buckets, 1/2"
        )
        assert "b      not running  128" in result.stdout


def test_a_shard_that_never_ran_and_one_that_has_no_bucket_are_listed(tmp_path: Path) -> None:
    write_map(tmp_path, ShardMap.even(["never"]))
    with running(tmp_path, "spare"):
        listed = CliRunner().invoke(app, ["shards", "show", "--dir", str(tmp_path)]).stdout
    rows = [line.split()[:3] for line in listed.splitlines()[1:]]
    assert rows == [["spare", "running", "0"], ["never", "not", "running"]]


def test_buckets_move_to_who_runs(tmp_path: Path) -> None:
    directory = ("--dir", str(tmp_path))
    at_once = (*directory, "--wait", "0")
    write_map(tmp_path, ShardMap.even(["a", "b"]))
    with running(tmp_path, "a", "b"):
        assert said("move", "00-03", "--to", "b", *at_once) == "2 bucket(s) to b: 00,02\n"
        assert said("move", "00-03", "--to", "b", *directory) == "nothing to move\n"
        after = read_map(tmp_path)
        assert [each.shard for each in after.assignments[:5]] == ["b", "b", "b", "b", "a"]
        assert [each.fence for each in after.assignments[:5]] == [2, 1, 2, 1, 1]
        with pytest.raises(UsageError, match="c is not running"):
            said("move", "00", "--to", "c", *directory)
        with pytest.raises(UsageError, match="expected all, N/M"):
            said("move", "zz", "--to", "b", *directory)
    assert read_map(tmp_path) == after


def test_who_moves_a_bucket_waits_until_it_is_there(tmp_path: Path) -> None:
    directory = ("--dir", str(tmp_path))
    write_map(tmp_path, ShardMap.even(["a", "b"]))
    with running(tmp_path, "a", "b"):
        write_claims(tmp_path / "a", {0: 1, 2: 1})
        with pytest.raises(
            UsageError, match=r"1 bucket\(s\) are still on the way after 0\.1 s: 00"
        ):
            said("move", "00", "--to", "b", *directory, "--wait", "0.1")
        assert "a      running  127      2 " in said("show", *directory)
        write_claims(tmp_path / "b", {0: 2, 2: 1})
        with pytest.raises(UsageError, match="still on the way"):  # the former one has it, too
            said("move", "02", "--to", "b", *directory, "--wait", "0.1")
        write_claims(tmp_path / "a", {0: 1})
        assert (
            said("move", "00", "--to", "a", *directory, "--wait", "0") == "1 bucket(s) to a: 00\n"
        )
    with running(tmp_path, "b"):
        write_claims(tmp_path / "b", {0: 2})
        assert said("move", "00", "--to", "b", *directory).endswith("all are there\n")  # a is dead


def test_a_shard_is_drained_onto_those_that_run(tmp_path: Path) -> None:
    directory = ("--dir", str(tmp_path))
    write_map(tmp_path, ShardMap.even(["a", "b", "c"]))
    with running(tmp_path, "a", "b"):
        told = said("drain", "a", *directory, "--wait", "0")
        assert "86 bucket(s) to b" in told  # c is dead: it gets none, and its own are not meant
        assert read_map(tmp_path).shards() == ["b", "c"]
        assert "85 bucket(s) to b" in said("drain", "c", *directory, "--wait", "0")
        said("undrain", "c", *directory)
        assert read_map(tmp_path).shards() == ["b"]
        assert "a      running, drained  0 " in said("show", *directory)
        with pytest.raises(UsageError, match="first `shards undrain a`"):
            said("move", "00", "--to", "a", *directory)
        with pytest.raises(UsageError, match="no other shard is running"):
            said("drain", "b", *directory)
        assert "a may have buckets again" in said("undrain", "a", *directory)
        with pytest.raises(UsageError, match="a was not drained"):
            said("undrain", "a", *directory)
        assert said("move", "00", "--to", "a", *directory, "--wait", "0") == (
            "1 bucket(s) to a: 00\n"
        )
        with pytest.raises(UsageError, match="there is no d: "):
            said("drain", "d", *directory)
    with running(tmp_path, "b"), pytest.raises(UsageError, match="no other shard is running"):
        said("drain", "b", *directory)
    assert read_draining(tmp_path) == frozenset()


def test_prometheus_finds_the_shards_that_should_be_there(tmp_path: Path) -> None:
    write_map(tmp_path, ShardMap.even(["a", "mute", "down"]))
    with running(tmp_path, "old", "down"):
        pass  # each ran once; `down` has buckets still
    with running(tmp_path, "a", "mute", "spare"):
        found = json.loads(said("prometheus", "--dir", str(tmp_path)))
        out = tmp_path / "shards.json"
        assert said("prometheus", "--dir", str(tmp_path), "--out", str(out)) == ""
        assert json.loads(out.read_text()) == found
        with pytest.raises(UsageError, match="--out"):
            said("prometheus", "--dir", str(tmp_path), "--out", str(tmp_path / "no" / "x"))
    assert found == [
        {"targets": ["ecg-1:0"], "labels": {"shard": "a"}},
        {"targets": ["ecg-1:1"], "labels": {"shard": "down"}},
        {"targets": ["ecg-1:2"], "labels": {"shard": "spare"}},
    ]
