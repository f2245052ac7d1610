"""Who gets in, and from where."""

import pytest
from websockets.exceptions import InvalidStatus

from tests.daemon.web.conftest import Web


def test_the_printed_address_gives_a_cookie_that_no_script_reads(web: Web) -> None:
    status, headers, _ = web.get(f"/alarms?{web.url.query}")
    assert (status, headers["location"]) == (303, "/alarms")
    for word in ("HttpOnly", "SameSite=strict", "Path=/"):
        assert word in headers["set-cookie"]


def test_without_it_nothing_is_told(web: Web) -> None:
    for path in ("/", "/s/bed-1", "/alarms", "/health", "/ws", "/api/alarms"):
        assert web.get(path)[0] == 401
    assert web.get("/?token=guessed")[0] == 401
    assert web.get("/", Cookie=f"{web.cookie}0")[0] == 401


def test_another_host_or_origin_is_refused(web: Web) -> None:
    port = web.host.partition(":")[2]
    for host in (f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port}.evil.example"):
        assert web.get("/", Cookie=web.cookie, Host=host)[0] == 421
    assert web.get("/", Cookie=web.cookie, Host=f"localhost:{port}")[0] != 421
    assert web.get("/", Cookie=web.cookie, Origin="http://evil.example")[0] == 403


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"origin": "http://evil.example"}, 403),
        ({"origin": None}, 403),
        ({"origin": "null"}, 403),
        ({"cookie": "a=b"}, 401),
    ],
)
def test_a_websocket_is_refused_like_a_page(
    web: Web, changed: dict[str, str | None], status: int
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        web.socket(**changed)
    assert refused.value.response.status_code == status


def test_every_answer_forbids_what_is_not_ours(web: Web) -> None:
    for path in ("/", "/nowhere"):
        headers = web.get(path, Cookie=web.cookie)[1]
        assert headers["content-security-policy"].startswith("default-src 'none';")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
