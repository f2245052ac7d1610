"""The command line of `beatgan-bridge`: names, codes, one-line errors."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from beatgan.errors import UsageError
from beatgan_daemon import extras
from beatgan_daemon.bridges import cli


def outcome(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["beatgan-bridge", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"beatgan-bridge {version('beatgan')}\n"


def test_help_lists_the_bridges(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(monkeypatch, "--help") == 0
    shown = capsys.readouterr().out
    for bridge in cli.BRIDGES:
        assert f" {bridge} " in shown


@pytest.mark.parametrize("bridge", cli.BRIDGES)
def test_every_bridge_explains_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], bridge: str
) -> None:
    assert outcome(monkeypatch, bridge, "--help") == 0
    assert any(f" {way} " in capsys.readouterr().out for way in ("in", "out"))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["smoke"], 2, "No such command"),
        (["mqtt", "in", "--broker", "host:0"], 2, "expected HOST"),
        (["mqtt", "in", "--broker", "broker.example"], 2, "--in-the-clear"),
        (["mqtt", "in", "--tls-ca", "x.pem"], 2, "with --tls only"),
        (["mqtt", "in", "--login", "/nowhere"], 3, "/nowhere: cannot be read"),
        (["mqtt", "in", "--topic", "a/#"], 2, "wildcard"),
        (["mqtt", "in", "--bind", "tcp://127.0.0.1:1", "--connect", "x"], 2, "one of them"),
        (["mqtt", "in", "--connect", "nowhere"], 2, "not of the form tcp://"),
        (["mqtt", "out", "--state", "/dev/null"], 3, "cannot be used"),
        (["kafka", "in", "--shard", "/nowhere/one"], 2, "/nowhere/map: cannot be read"),
        (["kafka", "in", "--shard", "/nowhere/one", "--dry-run"], 2, "moves no bucket"),
        (["lsl", "in", "--unit", "kg"], 2, "no voltage"),
        (["lsl", "in", "--key", "x"], 2, "give both or none"),
    ],
)
def test_what_cannot_be_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    assert outcome(monkeypatch, *arguments) == code
    assert words in capsys.readouterr().err


def test_a_library_that_lacks_is_named() -> None:
    with pytest.raises(UsageError, match=r"pip install 'beatgan\[lsl\]'"), extras.needing("lsl"):
        raise ModuleNotFoundError("No module named 'pylsl'")


def test_the_daemon_imports_no_bridge_and_no_library_of_one(tmp_path: Path) -> None:
    code = (
        "import sys, beatgan_daemon.service, beatgan_daemon.commands, beatgan_daemon.bridges.cli;"
        "print([m for m in sys.modules if m.partition('.')[0] in ('pylsl', 'paho', 'hl7', "
        "'confluent_kafka') or m.startswith('beatgan_daemon.bridges.') and m[23:] != 'cli'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout == "[]\n"
