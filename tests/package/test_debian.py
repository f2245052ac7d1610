"""The .deb in a fresh Debian under its own systemd: installed, upgraded while it works, removed.

It makes the package and the Debian, which takes minutes, root, mmdebstrap and a cgroup v2:

    BEATGAN_TRY_PACKAGES=1 pytest -s tests/package/test_debian.py

shows what was done when. The version before is the same but for its number, or what
BEATGAN_DEB_BEFORE names, a .deb of an earlier release.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from beatgan.records.excerpt import FOLDER
from beatgan_daemon.clients.process import COMMAND
from tests.systemd.conftest import Booted, Unit, booted_by

ROOT = Path(__file__).parents[2]
SUITE = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
PACKAGES_THERE = "var/cache"  # of the Debian that is made here
PACKAGES = "systemd,systemd-sysv,dbus,procps,python3,man-db"
FS = 360.0
STREAMS = 8
GAP = ("status", "gap")
# What the daemon publishes, as JSON Lines with when it came.
LISTENER = """
import sys, time, zmq
socket = zmq.Context().socket(zmq.SUB)
socket.connect("tcp://127.0.0.1:5556")
socket.subscribe("")
while True:
    body = socket.recv_multipart()[-1]
    sys.stdout.buffer.write(b"%.3f %s\\n" % (time.time(), body))
    sys.stdout.flush()
"""

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The .deb of the version before and of this one."""
    if "BEATGAN_TRY_PACKAGES" not in os.environ:
        pytest.skip("takes minutes: only where BEATGAN_TRY_PACKAGES is set")
    folder = tmp_path_factory.mktemp("packages")
    subprocess.run([ROOT / "scripts" / "package" / "build", folder], check=True)
    (package,) = folder.glob("*.deb")
    if given := os.environ.get("BEATGAN_DEB_BEFORE"):
        return Path(given), package
    before, tree = folder / "before.deb", folder / "before"
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    control = tree / "DEBIAN" / "control"
    control.write_text(control.read_text().replace("\nVersion: ", "\nVersion: 0~"))
    subprocess.run(["dpkg-deb", "-Znone", "--build", tree, before], check=True)
    return before, package


@pytest.fixture(scope="module")
def debian(
    packages: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Booted]:
    """A fresh Debian of this machine's release, booted, with both packages in PACKAGES_THERE."""
    root = tmp_path_factory.mktemp("debian") / "root"
    made = ("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={PACKAGES}")
    subprocess.run([*made, SUITE, root], check=True)
    for name, package in zip(("before", "now"), packages, strict=True):
        shutil.copy(package, root / PACKAGES_THERE / f"{name}.deb")
    with booted_by("--root", str(root)) as booted:
        yield booted
    shutil.rmtree(root)


@contextmanager
def running(booted: Booted, *command: str, out: Path) -> Iterator[None]:
    """A program of this machine in the network of the other."""
    process = booted.number
    enter = ("nsenter", "--target", process, "--net")
    with out.open("wb") as file, subprocess.Popen([*enter, *command], stdout=file) as started:
        try:
            yield
        finally:
            started.terminate()


def alerts(booted: Booted) -> list[dict[str, Any]]:
    return [*map(json.loads, booted.run("beatgan-daemon", "alerts").splitlines())]


def test_it_is_installed_and_runs(debian: Booted) -> None:
    debian.run("dpkg", "--install", f"/{PACKAGES_THERE}/before.deb", timeout=600)
    unit = Unit(debian, "beatgan-daemon")
    unit.note(unit.state())
    assert unit.show("ActiveState") == "active"
    assert unit.show("UnitFileState") == "enabled"
    assert debian.run("beatgan-daemon", "check", "--config", "/etc/beatgan/daemon.toml")
    units = ("beatgan-daemon", "beatgan-daemon@ward", "beatgan-web", "beatgan-bridge@alerts")
    assert not debian.run("systemd-analyze", "verify", *(f"{each}.service" for each in units))
    assert not debian.run("dpkg", "--verify", "beatgan")


def test_an_upgrade_keeps_the_journal_and_the_streams(debian: Booted, tmp_path: Path) -> None:
    """A ward goes on meanwhile. Beats that are told before a subscriber has connected anew, it
    does not hear; alerts are told again."""
    unit = Unit(debian, "beatgan-daemon")
    heard, sent = tmp_path / "heard", tmp_path / "sent"
    recording = str(FOLDER / "bigeminy")
    source = ["replay", recording, "--copies", str(STREAMS), "--loop"]
    source += ["--connect", "tcp://127.0.0.1:5555"]
    with (
        running(debian, sys.executable, "-c", LISTENER, out=heard),
        running(debian, *COMMAND, *source, out=sent),
    ):
        unit.until("an alert of each stream", lambda: len(alerts(debian)) >= STREAMS)
        sleep(5)
        process = unit.show("MainPID")
        debian.run("dpkg", "--install", f"/{PACKAGES_THERE}/now.deb", timeout=600)
        unit.note("upgraded")
        assert unit.show("MainPID") != process
        sleep(15)
        kept = alerts(debian)
    ready = [line for line in unit.logged() if line["event"] == "ready"][-1]
    lines = [line.split(" ", 1) for line in heard.read_text().splitlines()]
    told = [(float(when), json.loads(body)) for when, body in lines]
    assert [each["n"] for each in kept] == [*range(len(kept))]
    missed = {each["n"] for each in kept} - {m["n"] for _, m in told if m["type"] == "alert"}
    arrivals = [when for when, message in told if message["type"] == "beat"]
    silent = max(after - before for before, after in pairwise(arrivals))
    lost = [
        status["lost"] / FS for _, status in told if (status["type"], status.get("state")) == GAP
    ]
    beats = sorted({(m["stream"], m["epoch"], m["n"]) for _, m in told if m["type"] == "beat"})
    holes = [
        after[-1] - before[-1] - 1
        for before, after in pairwise(beats)
        if before[:-1] == after[:-1] and after[-1] != before[-1] + 1
    ]
    unit.note(
        f"{len(kept)} alerts, n without a hole, {len(missed)} of them not heard; {len(beats)} "
        f"beats heard, not heard of each stream: {holes}; {ready['restored']} streams restored; "
        f"no beat for {silent:.2f} s; samples lost, in s: {[round(each, 2) for each in lost]}"
    )
    assert not missed
    assert silent < 10
    if "BEATGAN_DEB_BEFORE" not in os.environ:  # another version may know other streams' states
        assert ready["restored"] == STREAMS
        assert len(holes) <= STREAMS
        assert sum(holes) < 5 * STREAMS


def test_what_was_removed_leaves_its_state_until_it_is_purged(debian: Booted) -> None:
    debian.run("dpkg", "--remove", "beatgan")
    here = ("var/lib/private/beatgan/journal.db", "etc/beatgan/daemon.toml")
    assert all((debian.root / each).exists() for each in here)
    assert not (debian.root / "opt/beatgan").exists()
    said = debian.run("dpkg", "--purge", "beatgan")
    assert "not empty" not in said
    left = ("var/lib/private/beatgan", "var/lib/beatgan", "var/cache/beatgan", "etc/beatgan")
    assert not [each for each in (*left, "opt/beatgan") if (debian.root / each).exists()]
