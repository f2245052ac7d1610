"""How the process begins and ends."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from time import monotonic

from beatgan_daemon.web.options import AccessOptions, Options, read, written
from tests.daemon.web.conftest import Daemon, Web, serving, until

FAULTY = """
import sys
from beatgan_daemon.web.ward import Ward
def tick(self, now):
    raise RuntimeError("a fault of the ward")
Ward._tick = tick
from beatgan_daemon.web.__main__ import main
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
    _, connect, _, tap, _, control = daemon.endpoints
    options = Options(connect, tap, control, "127.0.0.1", 0, AccessOptions("127.0.0.1"))
    command = [sys.executable, "-c", FAULTY, written(options)]
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


def test_it_takes_the_place_of_the_command_line(daemon: Daemon) -> None:
    """What a server needs not is not loaded, and nobody who lists processes sees the token."""
    with serving(daemon) as web:
        seen = Path(f"/proc/{web.process.pid}/cmdline").read_bytes().split(b"\0")
        loaded = Path(f"/proc/{web.process.pid}/maps").read_text()
    assert b"-P" in seen
    assert b"beatgan_daemon.web" in seen
    token = web.url.query.removeprefix("token=").encode()
    assert token
    assert not any(token in word for word in seen)
    assert "/numpy/" in loaded
    unwanted = ("pydantic_core", "scipy", "llvmlite", "numba", "matplotlib")
    assert not any(f"/{name}/" in loaded for name in unwanted)


def test_how_python_was_started_is_kept(daemon: Daemon) -> None:
    command = [sys.executable, "-W", "error::BytesWarning", "-m", "beatgan_daemon", "web"]
    process = subprocess.Popen(
        [*command, *daemon.endpoints, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as said:
        said.readline()
        seen = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
        process.terminate()
        assert process.wait(10) == 0
    assert seen[0] == sys.executable.encode()
    assert b"-Werror::BytesWarning" in seen


def test_options_come_through_as_they_are() -> None:
    odd = Path(os.fsdecode(b"/srv/\xff strips"))  # no UTF-8
    access = AccessOptions("::1", odd, odd, odd)
    options = Options(
        "tcp://a:1", "tcp://a:2", "tcp://a:3", "::1", 8443, access, strips=odd, key=odd
    )
    assert written(options).isascii()
    assert read(written(options)) == options
