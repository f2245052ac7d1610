"""The systemd units, as systemd itself judges them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from beatgan_daemon.settings import keys

UNITS = Path(__file__).resolve().parents[2] / "systemd"
PLAIN, TEMPLATE = "beatgan-daemon.service", "beatgan-daemon@.service"
WEB = "beatgan-web.service"
BRIDGE = "beatgan-bridge@.service"
MOST_EXPOSED = 1.3

both = pytest.mark.parametrize("name", [PLAIN, TEMPLATE])
each = pytest.mark.parametrize("name", [PLAIN, TEMPLATE, WEB, BRIDGE])


@pytest.fixture(scope="module")
def systemd_analyze() -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze on this machine (Debian package systemd)")
    return program


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units and their drop-ins, with a program that is there."""
    shutil.copytree(UNITS, tmp_path / "units")
    for unit in (tmp_path / "units").glob("*.service"):
        text = re.sub("/opt/beatgan/bin/beatgan-(daemon|bridge)", sys.executable, unit.read_text())
        unit.write_text(text)
    return tmp_path / "units"


def verified(program: str, unit: Path) -> tuple[int, str]:
    done = subprocess.run(
        [program, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


@each
def test_the_unit_is_valid_with_its_drop_ins(
    systemd_analyze: str, installed: Path, name: str
) -> None:
    assert verified(systemd_analyze, installed / name) == (0, "")


@both
def test_drop_ins_are_looked_at(systemd_analyze: str, installed: Path, name: str) -> None:
    keys_conf = installed / f"{name}.d" / "keys.conf"
    keys_conf.write_text(keys_conf.read_text() + "Nonsense=1\n")
    assert "Unknown key 'Nonsense'" in verified(systemd_analyze, installed / name)[1]


@each
def test_the_unit_is_hardened(systemd_analyze: str, name: str) -> None:
    judged = subprocess.run(
        [systemd_analyze, "security", "--offline=true", str(UNITS / name)],
        capture_output=True,
        text=True,
        check=True,
    )
    level = re.search(r"exposure level for \S+: ([\d.]+)", judged.stdout)
    assert level is not None
    assert float(level[1]) <= MOST_EXPOSED


@both
def test_the_unit_and_the_daemon_agree(name: str) -> None:
    lines = (UNITS / name).read_text().splitlines()
    of = "-%i" if name == TEMPLATE else ""
    for line in (
        "Type=notify",
        "NotifyAccess=main",
        "ExecReload=/opt/beatgan/bin/beatgan-daemon reload $MAINPID",
        "RestartPreventExitStatus=2 3",
        "RestartForceExitStatus=SIGHUP",
        f"StateDirectory=beatgan{of}",
        "StateDirectoryMode=0700",
        f"CacheDirectory=beatgan{of}",
        f"Environment=XDG_CACHE_HOME=%C/beatgan{of}",
        "DynamicUser=yes",
    ):
        assert line in lines


@both
def test_a_drop_in_sets_what_the_daemon_reads(name: str) -> None:
    text = (UNITS / f"{name}.d" / "keys.conf").read_text()
    credential = re.search(r"^LoadCredential=([^:]+):", text, re.MULTILINE)
    assert credential is not None
    assert f"Environment=BEATGAN_SECURITY__KEY=%d/{credential[1]}\n" in text
    for variable in re.findall(r"^Environment=BEATGAN_(\w+)=", text, re.MULTILINE):
        assert variable.lower().replace("__", ".") in keys()


def test_a_shard_has_what_its_directory_needs() -> None:
    text = (UNITS / f"{TEMPLATE}.d" / "shard.conf").read_text()
    found = dict(re.findall(r"^Environment=BEATGAN_(\w+)=(\S+)$", text, re.MULTILINE))
    assert found == {"SHARD__DIR": "/var/lib/beatgan-shards", "SHARD__NAME": "%i"}
    assert {variable.lower().replace("__", ".") for variable in found} <= {*keys()}
    for line in ("DynamicUser=no", "StateDirectory=", "StateDirectory=beatgan-shards"):
        assert line in text.splitlines()  # one user for all: each reads what another wrote


def test_the_template_is_the_plain_unit_with_a_name() -> None:
    """What systemd reads of both is the same but for the instance."""

    def directives(name: str) -> list[str]:
        text = (UNITS / name).read_text()
        return [line for line in text.splitlines() if line and not line.startswith("#")]

    plain = [line.replace("beatgan/daemon.toml", "beatgan/%i.toml") for line in directives(PLAIN)]
    template = directives(TEMPLATE)
    assert len(plain) == len(template)
    assert [line.replace("-%i", "").replace(", %i)", ")") for line in template] == plain


def test_the_unit_of_the_page_and_its_server_agree() -> None:
    lines = (UNITS / WEB).read_text().splitlines()
    for line in (
        "Type=notify",
        "NotifyAccess=main",
        "ExecStart=/opt/beatgan/bin/beatgan-daemon web $OPTIONS",
        "EnvironmentFile=-/etc/beatgan/web.env",
        "Restart=on-failure",
        "RestartPreventExitStatus=2 3",
        "StateDirectory=beatgan-web",
        "StateDirectoryMode=0700",
        "DynamicUser=yes",
    ):
        assert line in lines
