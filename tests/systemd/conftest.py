"""A real systemd with the shipped units, booted by ``boot`` beside this script; root alone can.

`pytest -s tests/systemd` shows what was done when, in seconds since it was up.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from beatgan import compiled_cache
from beatgan_daemon.playback.rehearsal import compile_all

HERE = Path(__file__).resolve().parent
MODEL = HERE.parents[1] / "models" / "student.pt"
MISSING = "beatgan.signal.resample.ready"  # of what is compiled at the installation
NOTED = ("start", "stop", "reload", "kill")
BOOT_S = 60.0
START_S = 240.0  # where all is compiled, on a machine that has more to do
NOT_ALLOWED = ("not permitted", "permission denied", "read-only file system")


class Booted:
    """The machine that systemd has booted, from outside."""

    def __init__(self, enter: list[str]) -> None:
        """``enter``: what to put before a command for it to run inside."""
        self._enter = enter
        self._since = monotonic()
        self.number = enter[enter.index("--target") + 1]  # of its systemd, outside
        self.root = Path(f"/proc/{self.number}/root")

    def note(self, text: str) -> None:
        """One line for who looks on."""
        sys.stdout.write(f"{monotonic() - self._since:7.1f} s  {text}\n")

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command inside; its output is of no interest."""
        quiet = subprocess.DEVNULL
        return subprocess.Popen(
            [*self._enter, *command], stdin=quiet, stdout=quiet, stderr=quiet, text=True
        )

    def run(self, *command: str, fails: bool = False, timeout: float = START_S) -> str:
        """Run a command inside, which must succeed, or fail; what it printed."""
        began = monotonic()
        done = subprocess.run(
            [*self._enter, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        if command[0] == "systemctl" and command[1] in NOTED:
            took = monotonic() - began
            self.note(f"{' '.join(command)}: code {done.returncode}, {took:.1f} s")
        assert (done.returncode != 0) == fails, done.stdout
        return done.stdout


class Unit:
    """One unit of it."""

    def __init__(self, booted: Booted, name: str) -> None:
        self.booted, self.name = booted, name
        self._since = self._end_of_journal()

    def systemctl(self, verb: str, *more: str, fails: bool = False) -> str:
        """Ask systemd for ``verb``."""
        return self.booted.run("systemctl", verb, *more, self.name, fails=fails)

    def show(self, property_: str) -> str:
        """What systemd knows of it."""
        return self.booted.run(
            "systemctl", "show", "--value", f"--property={property_}", self.name
        ).strip()

    def until(self, what: str, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait for what must come."""
        end = monotonic() + seconds
        while not condition():
            assert monotonic() < end, f"{what}: not within {seconds:g} s; {self.state()}"
            sleep(0.05)
        self.note(f"{what}; {self.state()}")

    def note(self, text: str) -> None:
        """One line about it for who looks on."""
        self.booted.note(f"{self.name}: {text}")

    def state(self) -> str:
        """For whoever looks on."""
        properties = ("ActiveState", "StatusText", "MainPID", "NRestarts", "Result")
        return ", ".join(f"{each} {self.show(each) or '-'}" for each in properties)

    def journal(self, priority: str = "debug") -> list[dict[str, Any]]:
        """Its lines of this test, of this priority or worse."""
        self.booted.run("journalctl", "--sync")
        flags = ("--output=json", f"--priority={priority}", f"--unit={self.name}")
        texts = self.booted.run("journalctl", *flags).splitlines()
        lines = [json.loads(text) for text in texts if text.startswith("{")]
        return [line for line in lines if int(line["__MONOTONIC_TIMESTAMP"]) > self._since]

    def logged(self, priority: str = "debug") -> list[dict[str, Any]]:
        """What the daemon logged."""
        texts = [str(line["MESSAGE"]) for line in self.journal(priority)]
        return [json.loads(text) for text in texts if text.startswith('{"ts"')]

    def events(self, priority: str = "debug") -> list[str]:
        """The daemon's events, in order."""
        return [line["event"] for line in self.logged(priority)]

    def drop_in(self, name: str, text: str) -> None:
        """Change the unit for this test."""
        folder = self._drop_ins()
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.conf").write_text(text)
        self.booted.run("systemctl", "daemon-reload")

    def reset(self) -> None:
        """As if nothing had been."""
        if self.show("ActiveState") != "inactive":
            self.systemctl("stop")
        shutil.rmtree(self._drop_ins(), ignore_errors=True)
        self.booted.run("systemctl", "daemon-reload")
        self.booted.run("sh", "-c", f"systemctl reset-failed {self.name} 2>/dev/null || true")

    def _drop_ins(self) -> Path:
        return self.booted.root / "etc/systemd/system" / f"{self.name}.service.d"

    def _end_of_journal(self) -> int:
        self.booted.run("journalctl", "--sync")
        last = self.booted.run("journalctl", "--lines=1", "--output=json").splitlines()[-1]
        return int(json.loads(last)["__MONOTONIC_TIMESTAMP"])


@contextmanager
def booted_by(*tree: str) -> Iterator[Booted]:
    """A systemd on the tree that ``boot`` makes of these arguments; skips where none can be."""
    if os.geteuid() != 0:
        pytest.skip("to boot systemd needs root")
    for program in ("/lib/systemd/systemd", "nsenter", "pgrep"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} (Debian packages systemd, util-linux, procps)")
    if " - cgroup2 " not in Path("/proc/self/mountinfo").read_text():
        pytest.skip("no cgroup v2 is mounted")
    with subprocess.Popen(
        [str(HERE / "boot"), *tree, "cat"],
        stdin=subprocess.PIPE,  # at its end, all ends
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            booted = Booted(_where(process))
            booted.note(booted.run("systemctl", "--version").splitlines()[0])
            yield booted
        finally:
            process.communicate(timeout=BOOT_S)


@pytest.fixture(scope="session")
def booted() -> Iterator[Booted]:
    """Booted once; what is compiled already need not be so again, but for one function."""
    with booted_by(sys.executable) as booted:
        _compile(booted)
        yield booted


def _where(process: subprocess.Popen[str]) -> list[str]:
    """How to run commands inside, once it is up."""
    said = ""
    assert process.stderr is not None
    for line in process.stderr:
        said += line
        if line.startswith("inside: "):
            return line.split()[1:]
    for line in said.splitlines():
        if any(each in line.lower() for each in NOT_ALLOWED):
            pytest.skip(f"systemd cannot be booted here: {line}")
    raise AssertionError(said)


def _compile(booted: Booted) -> None:
    """As `beatgan-daemon compile` does at the installation; but one function is missing there."""
    compile_all(MODEL, lambda: None)
    (package,) = booted.root.glob("opt/beatgan/lib/python3*/site-packages/beatgan")
    for place in compiled_cache.places():
        shutil.copytree(place, package / "__pycache__" / place.name, dirs_exist_ok=True)
    next(package.glob(f"__pycache__/*/{MISSING}-*")).unlink()


@pytest.fixture
def unit(booted: Booted, request: pytest.FixtureRequest) -> Iterator[Unit]:
    """The unit as shipped, not started."""
    settings = booted.root / "etc/beatgan/daemon.toml"
    before = settings.read_text()
    unit = Unit(booted, "beatgan-daemon")
    booted.note(f"-- {request.node.name.split('[')[0].removeprefix('test_').replace('_', ' ')}")
    yield unit
    settings.write_text(before)
    unit.reset()


@pytest.fixture
def started(unit: Unit) -> Unit:
    """It, started."""
    unit.systemctl("start")
    return unit
