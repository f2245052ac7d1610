"""What keygen offers: the least that a client can need, or what is asked for."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from beatgan.errors import UsageError
from beatgan_daemon.cli import app
from beatgan_daemon.security.allow_list import Role, read_clients


def offered(tmp_path: Path, *arguments: str) -> tuple[str, str, list[str]]:
    """Key, roles, and the name with what follows it, of the line that is printed last."""
    result = CliRunner().invoke(app, ["keygen", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    line = result.output.splitlines()[-1]
    (tmp_path / "clients").write_text(line)
    (client,) = read_clients(tmp_path / "clients").clients.values()
    assert client.name == line.split()[2]
    key, roles, *rest = line.split()
    return key, roles, rest


def test_a_client_may_send_its_own_stream_and_nothing_else(tmp_path: Path) -> None:
    key, roles, rest = offered(tmp_path, str(tmp_path / "bed-7"))
    assert (roles, rest) == ("ingest", ["bed-7", "bed-7"])
    assert key in (tmp_path / "bed-7.key").read_text()
    assert offered(tmp_path, str(tmp_path / "bed.8"))[1:] == ("ingest", ["bed.8", "bed_8"])


def test_other_roles_are_asked_for(tmp_path: Path) -> None:
    desk = offered(tmp_path, str(tmp_path / "desk"), "--role", "subscribe", "--role", "control")
    assert desk[1:] == ("subscribe,control", ["desk"])
    gate = offered(
        tmp_path, str(tmp_path / "gate"), "--role", Role.INGEST, "--streams", "ward-3:*,x"
    )
    assert gate[1:] == ("ingest", ["gate", "ward-3:*,x"])


def test_streams_are_for_who_sends(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--streams"):
        CliRunner().invoke(
            app,
            ["keygen", str(tmp_path / "x"), "--role", "control", "--streams", "x"],
            catch_exceptions=False,
        )
    assert not list(tmp_path.iterdir())
