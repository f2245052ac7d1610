"""Nothing is begun on a Ray that lets in everybody. Needs no Ray."""

from pathlib import Path

import pytest

from beatgan_daemon.cluster.ray_connection import require_private_dashboard, require_token
from beatgan_daemon.exit_codes import StartError


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("t" * 64)
    path.chmod(0o600)
    return path


def test_a_token_is_required(token: Path) -> None:
    given = {"RAY_AUTH_TOKEN_PATH": str(token)}
    require_token({"RAY_AUTH_MODE": "token", **given})
    require_token({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "t"})
    for mode in ({}, {"RAY_AUTH_MODE": "disabled"}):
        with pytest.raises(StartError, match="let in everybody"):
            require_token({**mode, **given})


def test_a_token_that_others_can_read_is_refused(token: Path) -> None:
    given = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    token.chmod(0o640)
    with pytest.raises(StartError, match="chmod 600"):
        require_token(given)
    token.unlink()
    with pytest.raises(StartError, match="get-auth-token --generate"):
        require_token(given)


@pytest.mark.parametrize("url", [None, "", "127.0.0.1:8265", "http://localhost:8265"])
def test_no_dashboard_or_one_for_this_machine(url: str | None) -> None:
    require_private_dashboard(url)


@pytest.mark.parametrize("url", ["0.0.0.0:8265", "10.1.2.3:8265", "http://head:8265"])
def test_a_dashboard_for_others_is_refused(url: str) -> None:
    with pytest.raises(StartError, match="include-dashboard=false"):
        require_private_dashboard(url)
