"""What `check` tries beyond settings, keys and model."""

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from beatgan.errors import BeatganError
from beatgan_daemon import descriptors, preflight
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.preflight import require_endpoints, require_state, warnings
from beatgan_daemon.sharding.shard_map import ShardMap, write_map
from tests.support.settings import loopback_settings


def test_free_endpoints_are_no_news(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "limit", lambda: 65_536)
    assert require_endpoints(loopback_settings()) == []
    endpoints = f"tcp://127.0.0.1:*,ipc://{tmp_path}/socket"
    assert require_endpoints(loopback_settings(**{"ingest.bind": endpoints})) == []
    assert list(tmp_path.iterdir()) == []


def test_ipc_needs_descriptors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "limit", lambda: 1_024)
    settings = loopback_settings(**{"ingest.bind": f"ipc://{tmp_path}/socket"})
    with pytest.raises(
        StartError, match=r"ipc needs a limit of 4096 open files .* not 1024; .*NOF"
    ):
        require_endpoints(settings)


@pytest.mark.parametrize(
    "key", ["ingest.bind", "publish.bind", "control.bind", "tap.bind", "http.listen"]
)
def test_one_in_use_is_a_warning(key: str) -> None:
    """It is so where a daemon runs."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        endpoint = address if key == "http.listen" else f"tcp://{address}"
        (warning,) = require_endpoints(loopback_settings(**{key: endpoint}))
    assert warning.startswith(f"{endpoint} is in use")


@pytest.mark.parametrize(
    ("key", "endpoint", "words"),
    [
        ("ingest.bind", "tcp://192.0.2.1:5555", "no such address"),
        ("publish.bind", "tcp://127.0.0.1:99999", "at most 65535"),
        ("control.bind", "udp://127.0.0.1:5555", "control"),
        ("control.bind", "ipc:///nowhere/socket", "cannot write to /nowhere"),
        ("http.listen", "192.0.2.1:80", "http.listen: cannot listen on 192.0.2.1:80"),
    ],
)
def test_one_that_is_not_to_be_had_is_refused(key: str, endpoint: str, words: str) -> None:
    with pytest.raises(BeatganError, match=words):
        require_endpoints(loopback_settings(**{key: endpoint}))


def test_the_state_directory_must_be_one_or_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for well in (None, tmp_path, tmp_path / "new"):
        require_state(well)
    for bad in (tmp_path / "file", tmp_path / "file" / "new", tmp_path / "far" / "new"):
        with pytest.raises(BeatganError, match=r"state\.dir: .* is no directory"):
            require_state(bad)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """`check` as root, with a Python that the unit's user can use."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("beatgan.compiled_cache._troubles", {})
    monkeypatch.setattr(sys, "executable", "/usr/bin/env")


@pytest.mark.usefixtures("as_root")
def test_root_is_told_what_the_unit_cannot_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in (tmp_path, *tmp_path.parents):
        if each.is_relative_to("/tmp") and each != Path("/tmp"):
            each.chmod(0o755)
    file = tmp_path / "folder" / "model.pt"
    file.parent.mkdir(mode=0o755)
    file.touch(mode=0o644)
    assert list(warnings([file, None])) == []
    file.chmod(0o600)
    assert next(iter(warnings([file]))).startswith(f"{file} is not readable by other users")
    file.chmod(0o644)
    file.parent.chmod(0o700)
    assert next(iter(warnings([file]))).startswith(f"{file.parent} is not readable by other users")


@pytest.mark.usefixtures("as_root")
def test_root_is_told_of_a_python_in_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/home/ann/venv/bin/python")
    assert "/home/ann/venv/bin/python lies in a home" in next(iter(warnings([])))


def test_compiled_code_that_is_not_kept_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    troubles: Any = {"cannot write to /full: No space left on device": None, "another": None}
    monkeypatch.setattr("beatgan.compiled_cache._troubles", troubles)
    (text,) = preflight.cache_warnings()
    assert "cannot write to /full: No space left on device (and 1 more)" in text


def test_a_shard_needs_a_map_that_can_be_read(tmp_path: Path) -> None:
    preflight.require_map(None)
    with pytest.raises(StartError, match=r"shard\.dir: .*map: cannot be read"):
        preflight.require_map(tmp_path)
    (tmp_path / "map").write_text("00 a 1\n")
    with pytest.raises(StartError, match=r"shard\.dir: .*map: 255 buckets have no line"):
        preflight.require_map(tmp_path)
    write_map(tmp_path, ShardMap.even(["a"]))
    preflight.require_map(tmp_path)
