"""One shard is kept running: a program in the daemon's place dies, hangs, and loses its parent."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from beatgan_daemon.clients.process import environment
from beatgan_daemon.cluster import shard_supervisor
from beatgan_daemon.cluster.shard_supervisor import ShardOrder, ShardSupervisor
from beatgan_daemon.sharding.registry import is_running, read_records
from beatgan_daemon.storage.sequence_file import SequenceFile

LONGEST_S = 30.0
# In the daemon's place: it has the shard's state, says that it is ready, and what it was told.
PROGRAM = """
import os, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from beatgan_daemon.sharding.registry import ShardRecord, write_record
from beatgan_daemon.storage.sequence_file import SequenceFile

class Sick(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if (directory / "sick").exists() else 200)
        self.end_headers()

told = dict(word.split("=", 1) for word in sys.argv if "=" in word)
directory, name = Path(told["shard.dir"]), told["shard.name"]
print(*sys.argv[1:], file=sys.stderr, flush=True)
if (directory / "fails").exists():
    sys.exit("it will not start")
state = SequenceFile(directory / name / "journal.n")
server = HTTPServer(("127.0.0.1", 0), Sick)
port = server.server_port
write_record(directory, ShardRecord(
    shard=name, host="h", pid=os.getpid(), ready_ns=1, version="1", model="d",
    ingest=(f"tcp://127.0.0.1:{port}",), publish="tcp://127.0.0.1:2", control="tcp://127.0.0.1:3",
    tap=(), http=f"http://127.0.0.1:{port}"))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
server.serve_forever()
"""


def until(true: Callable[[], object]) -> None:
    end = monotonic() + LONGEST_S
    while not true():
        assert monotonic() < end
        sleep(0.02)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_supervisor, "BACKOFF_S", (0.05, 0.1))
    monkeypatch.setattr(shard_supervisor, "LIVEZ_EVERY_S", 0.1)
    monkeypatch.setattr(shard_supervisor, "LOOK_S", 0.02)


@contextmanager
def supervised(directory: Path) -> Iterator[ShardSupervisor]:
    order = ShardOrder(str(directory), "a", "127.0.0.1", "x.toml", ("batch.size=3",))
    supervisor = ShardSupervisor(order, (sys.executable, "-c", PROGRAM))
    try:
        yield supervisor
    finally:
        supervisor.stop()


def told(directory: Path, log: str = "log") -> str:
    return (directory / "a" / log).read_text().splitlines()[0]


def test_a_shard_runs_with_what_was_ordered_and_is_stopped(tmp_path: Path) -> None:
    with supervised(tmp_path) as supervisor:
        until(lambda: supervisor.state().ready)
        state = supervisor.state()
        assert state.starts == 1
        assert state.pid is not None
        assert is_running(tmp_path, "a")
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700  # patients' alerts are in it
        words = told(tmp_path)
    for word in ("run --config x.toml", "batch.size=3", f"shard.dir={tmp_path}", "shard.name=a"):
        assert word in words
    assert "ingest.bind=tcp://127.0.0.1:*" in words
    assert "http.listen=127.0.0.1:0" in words
    assert not is_running(tmp_path, "a")
    assert not supervisor.state().ready


def test_one_that_dies_is_started_again_where_it_was(tmp_path: Path) -> None:
    with supervised(tmp_path) as supervisor:
        until(lambda: supervisor.state().ready)
        pid = supervisor.state().pid
        assert pid is not None
        where = read_records(tmp_path)[0][0].ingest[0]
        os.kill(pid, signal.SIGKILL)
        until(lambda: supervisor.state().ready and supervisor.state().pid != pid)
        assert supervisor.state().starts == 2
        assert f"ingest.bind={where}" in told(tmp_path)
        assert "ingest.bind=tcp://127.0.0.1:*" in told(tmp_path, "log.1")


def test_one_that_does_not_start_is_tried_on_other_ports(tmp_path: Path) -> None:
    with supervised(tmp_path) as supervisor:
        until(lambda: supervisor.state().ready)
        (tmp_path / "fails").touch()
        pid = supervisor.state().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: supervisor.state().starts > 3)
        until(lambda: supervisor.state().said == "it will not start")
        assert "ingest.bind=tcp://127.0.0.1:*" in told(tmp_path)
        (tmp_path / "fails").unlink()
        until(lambda: supervisor.state().ready)


def test_one_that_hangs_is_killed(tmp_path: Path) -> None:
    with supervised(tmp_path) as supervisor:
        until(lambda: supervisor.state().ready)
        pid = supervisor.state().pid
        (tmp_path / "sick").touch()
        until(lambda: supervisor.state().pid != pid)
        (tmp_path / "sick").unlink()
        until(lambda: supervisor.state().ready)


def test_while_another_has_its_state_it_waits(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    other = SequenceFile(tmp_path / "a" / "journal.n")
    with supervised(tmp_path) as supervisor:
        until(lambda: "another one has its state" in supervisor.state().said)
        assert supervisor.state().starts == 0
        assert supervisor.reload() == "refused: it does not run"
        other.close()
        until(lambda: supervisor.state().ready)


def test_it_ends_when_its_supervisor_is_killed(tmp_path: Path) -> None:
    program = f"""
import sys
from beatgan_daemon.cluster.shard_supervisor import ShardOrder, ShardSupervisor
supervisor = ShardSupervisor(
    ShardOrder({str(tmp_path)!r}, "a", "127.0.0.1", None, ()), (sys.executable, "-c", {PROGRAM!r}))
sys.stdin.read()
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, env=environment()
    )
    try:
        record = tmp_path / "a" / "shard.json"
        until(record.exists)
        assert is_running(tmp_path, "a")
        parent.kill()
        until(lambda: not is_running(tmp_path, "a"))
        pid = json.loads(record.read_text())["pid"]
        until(lambda: not Path(f"/proc/{pid}").exists())
    finally:
        parent.kill()
        parent.communicate()
