"""How the process begins and ends."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from time import monotonic

from tests.daemon.web.conftest import Daemon, Web, until

FAULTY = """
import sys
from beatgan_daemon.web.ward import Ward
def tick(self, now):
    raise RuntimeError("a fault of the ward")
Ward._tick = tick
from beatgan_daemon.cli import main
sys.argv = ["beatgan-daemon", *sys.argv[1:]]
main()
"""


def test_it_ends_within_2_s_though_pages_are_open(web: Web) -> None:
    with web.socket() as first, web.socket() as second:
        for each in (first, second):
            until(each, lambda said: said["t"] == "alive")
        began = monotonic()
        web.process.terminate()
        assert web.process.wait(10) == 0
        assert monotonic() - began < 2


def test_a_fault_ends_it_and_is_told(daemon: Daemon) -> None:
    command = [sys.executable, "-c", FAULTY, "web", *daemon.endpoints, "--listen", "127.0.0.1:0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    said = json.loads(ended.stderr.splitlines()[0])
    assert (said["event"], said["task"]) == ("the page's server ends by a fault", "ward")
    assert said["why"] == "RuntimeError: a fault of the ward"


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        where = f"127.0.0.1:{other.getsockname()[1]}"
        command = [sys.executable, "-m", "beatgan_daemon", "web", "--listen", where]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 3
    assert ended.stderr.startswith(f"beatgan-daemon: --listen {where}: Address already in use")
    assert ended.stderr.count("\n") == 1


def test_systemd_hears_that_it_is_ready_and_goes_on(daemon: Daemon, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        environment = os.environ | {
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": "400000",
        }
        command = [sys.executable, "-m", "beatgan_daemon", "web", *daemon.endpoints]
        process = subprocess.Popen(
            [*command, "--listen", "127.0.0.1:0"], env=environment, stdout=subprocess.DEVNULL
        )
        try:
            assert manager.recv(4_096).startswith(b"READY=1\nSTATUS=serving http://127.0.0.1:")
            assert [manager.recv(4_096) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        said = [manager.recv(4_096)]
        while said[-1] == b"WATCHDOG=1":
            said.append(manager.recv(4_096))
        assert said[-1] == b"STOPPING=1"
