"""Shards on a Ray cluster of several nodes, all on this machine."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import pytest

from beatgan_daemon.clients.process import COMMAND, environment
from beatgan_daemon.sharding.registry import is_running, read_records
from beatgan_daemon.sharding.shard_map import read_map

LONGEST_S = 120.0
NODES = Path(__file__).parents[1] / "support" / "ray_nodes.py"

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: the extra [ray]")


def until(true: Callable[[], object]) -> None:
    end = monotonic() + LONGEST_S
    while not true():
        assert monotonic() < end
        sleep(0.1)


class Nodes:
    """A head without CPUs and nodes of one CPU each, and the daemon's commands there."""

    def __init__(self, process: subprocess.Popen[str], shared: Path, given: dict[str, str]) -> None:
        self._process, self.shared, self._given = process, shared, given
        self.address = self._said()

    def order(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        assert self._said() == "done"

    def cluster(self, command: str, *arguments: str, **given: str) -> tuple[int, str]:
        words = ["--dir", str(self.shared), "--address", self.address, *arguments]
        done = subprocess.run(
            [*COMMAND, "cluster", command, *words],
            env=environment({**self._given, **given}),
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def started(folder: Path, shared: Path, nodes: int, **given: str) -> Iterator[Nodes]:
    given |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": str(folder)}
    with subprocess.Popen(
        [sys.executable, str(NODES), str(nodes), "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(given),
    ) as process:
        yield Nodes(process, shared, given)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Of a short name: Ray's sockets lie in it."""
    with TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as found:
        token = Path(found) / "token"
        token.write_text("0123456789abcdef" * 4)
        token.chmod(0o600)
        yield Path(found)


def test_shards_are_placed_moved_and_stopped(
    folder: Path, tmp_path: Path, model_file: Path
) -> None:
    given = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / "token")}
    shared = tmp_path / "shards"
    with started(folder, shared, 2, **given) as nodes:
        code, said = nodes.cluster(
            "up", "--shards", "2", "--set", f"model.path={model_file}", "--after", "1"
        )
        assert code == 0, said
        rows = [line.split() for line in said.splitlines() if line.startswith("shard-")]
        assert [row[:4] for row in rows] == [
            ["shard-0", "ready", "128", "1"],
            ["shard-1", "ready", "128", "1"],
        ]
        assert rows[0][5] != rows[1][5]  # a node each: there is one CPU
        records = read_records(shared)[0]
        assert [each.shard for each in records] == ["shard-0", "shard-1"]
        for each in records:
            threads = Path(f"/proc/{each.pid}/environ").read_text().split("\0")
            assert "OMP_NUM_THREADS=1" in threads

        code, said = nodes.cluster("reload")
        assert (code, said) == (0, "shard-0: applied\nshard-1: applied\n")

        code, said = nodes.cluster("up", "--shards", "2")
        assert code == 0, said
        assert said.startswith("there already, and run as they were started: shard-0, shard-1\n")
        assert [each.pid for each in read_records(shared)[0]] == [each.pid for each in records]

        code, said = nodes.cluster("drain", rows[0][5])
        assert (code, said) == (0, "shard-0: no buckets\n")
        assert read_map(shared).shards() == ["shard-1"]
        assert "no other shard" in nodes.cluster("drain", "shard-1")[1]
        (shared / "draining").unlink()
        until(lambda: read_map(shared).fences_of("shard-0"))

        nodes.order("kill 0")
        until(lambda: len(read_map(shared).shards()) == 1)
        left = read_map(shared).shards()
        assert [name for name in ("shard-0", "shard-1") if is_running(shared, name)] == left

        code, said = nodes.cluster("down")
        assert code == 0, said
        assert f"{left[0]}: stopped" in said
        assert not is_running(shared, left[0])
        assert all(not Path(f"/proc/{each.pid}").exists() for each in records)


def test_nothing_is_started_where_ray_lets_in_everybody(folder: Path, tmp_path: Path) -> None:
    with started(folder, tmp_path / "shards", 1, RAY_AUTH_MODE="disabled") as nodes:
        code, said = nodes.cluster("up", "--shards", "1")
        assert (code, "RAY_AUTH_MODE is not token" in said) == (3, True)
        given = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / "token")}
        code, said = nodes.cluster("up", "--shards", "1", **given)
        assert code == 3, said
        assert "of Ray lets in everybody" in said
    assert not (tmp_path / "shards").exists()
