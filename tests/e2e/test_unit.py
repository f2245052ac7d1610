"""The systemd unit, as systemd itself judges it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNIT = Path(__file__).resolve().parents[2] / "systemd" / "beatgan-daemon.service"
MOST_EXPOSED = 1.5


@pytest.fixture(scope="module")
def systemd_analyze() -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze on this machine (Debian package systemd)")
    return program


def test_the_unit_is_valid(systemd_analyze: str, tmp_path: Path) -> None:
    text = UNIT.read_text().replace("/opt/beatgan/bin/beatgan-daemon", sys.executable)
    (tmp_path / UNIT.name).write_text(text)
    verified = subprocess.run(
        [systemd_analyze, "verify", "--man=no", str(tmp_path / UNIT.name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verified.returncode, verified.stderr) == (0, "")


def test_the_unit_is_hardened(systemd_analyze: str) -> None:
    judged = subprocess.run(
        [systemd_analyze, "security", "--offline=true", str(UNIT)],
        capture_output=True,
        text=True,
        check=True,
    )
    level = re.search(r"exposure level for \S+: ([\d.]+)", judged.stdout)
    assert level is not None
    assert float(level[1]) <= MOST_EXPOSED


def test_the_unit_and_the_daemon_agree() -> None:
    lines = UNIT.read_text().splitlines()
    for line in (
        "Type=notify",
        "RestartPreventExitStatus=2 3",
        "Environment=NUMBA_CACHE_DIR=%C/beatgan",
        "DynamicUser=yes",
    ):
        assert line in lines
