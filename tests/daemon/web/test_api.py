"""What the page asks without its WebSocket, of a daemon that the test speaks for."""

from contextlib import closing
from typing import Any
from urllib.parse import quote

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from beatgan.errors import UsageError
from beatgan.explain.strip import EcgStrip, message_strip
from beatgan.protocol.messages import Explanation
from beatgan_daemon.http_server import HttpServer
from beatgan_daemon.settings_schema import Address
from beatgan_daemon.web.cli import app
from beatgan_daemon.web.daemon_http import LATENCY, DaemonHttp, quantile, read_samples
from tests.daemon.web.conftest import Daemon, Web, eventually, serving, until
from tests.support.messages import alert_message

ID = "bed-1/7/0/rhythm.asystole/3"
LONG = 2**63 - 1


def ask(web: Web, path: str) -> tuple[int, Any]:
    status, headers, body = web.get(path, Cookie=web.cookie)
    if headers["content-type"] != "application/json":
        return status, body.decode()
    return status, msgspec.json.decode(body)


def test_alarms_come_page_by_page_with_nothing_lost(daemon: Daemon, web: Web) -> None:
    for n in range(2_500):
        daemon.alert(alert_message(n, f"a{n}"), heard=False)
    found, since, more = [], 0, True
    while more:
        status, answer = ask(web, f"/api/alarms?since={since}")
        assert status == 200
        found += answer["alarms"]
        since, more = answer["next"], answer["more"]
    assert [each["n"] for each in found] == [*range(2_500)]
    assert found[0]["onset_ns"] == "0"
    assert [each["n"] for each in ask(web, "/api/alarms")[1]["alarms"]] == [*range(1_500, 2_500)]


def test_alarms_are_filtered(daemon: Daemon, web: Web) -> None:
    daemon.alert(alert_message(0, "a", stream="bed-1"), heard=False)
    daemon.alert(replace(alert_message(1, "b", stream="bed-2"), priority="high"), heard=False)
    daemon.alert(alert_message(2, "a", "end", stream="bed-1"), heard=False)
    for parameters, numbers in (
        ("stream=bed-1", [0, 2]),
        ("priority=high", [1]),
        ("code=signal.flat&stream=bed-2", [1]),
        ("code=none", []),
        ("open=1", [1]),
        ("open=1&since=2", []),
    ):
        status, answer = ask(web, f"/api/alarms?{parameters}")
        assert (status, [each["n"] for each in answer["alarms"]]) == (200, numbers)
        assert answer["next"] == 3


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ("since=-1", "since: expected a number"),
        ("since=x", "since: expected a number"),
        (f"since={2**63}", "since: expected a number"),
        ("open=yes", "open: expected 0 or 1"),
        ("priority=huge", "priority: expected one of high, medium, low"),
        ("stram=bed-1", "stram: no such parameter"),
    ],
)
def test_a_bad_parameter_is_told(web: Web, parameters: str, text: str) -> None:
    status, said = ask(web, f"/api/alarms?{parameters}")
    assert status == 400
    assert said.startswith(text)


def test_one_alarm_has_all_that_was_told_of_it(daemon: Daemon, web: Web) -> None:
    why = Explanation(9, 360.0, [0.0, 1.0], [0.0, 0.5], [0.0, 1.0])
    begun = replace(alert_message(0, ID), epoch=LONG, onset_ns=LONG, explanation=why)
    daemon.alert(begun, heard=False)
    daemon.alert(alert_message(1, "other"), heard=False)
    daemon.alert(replace(alert_message(2, ID, "end"), explanation=None), heard=False)
    for path in (f"/api/alarms/{ID}", f"/api/alarms/{quote(ID, safe='')}"):
        status, answer = ask(web, path)
        assert (status, [each["phase"] for each in answer["messages"]]) == (200, ["start", "end"])
        assert answer["messages"][0]["epoch"] == answer["messages"][0]["onset_ns"] == str(LONG)
        assert answer["explanation"]["expected"] == [0.0, 0.5]
        assert answer["strip"] is None
        assert "--strips" in answer["why_no_strip"]


def test_the_strip_of_the_alert_itself(daemon: Daemon, web: Web) -> None:
    ecg = np.array([[0.25], [np.nan], [-1.0]])
    strip = message_strip(EcgStrip(700, 360.0, ("II",), ecg))
    daemon.alert(replace(alert_message(0, ID), strip=strip, beats=(701,)), heard=False)
    answer = ask(web, f"/api/alarms/{ID}")[1]
    kept = answer["strip"]
    assert (kept["fs"], kept["leads"], kept["first"]) == (360.0, ["II"], 700)
    assert kept["samples"] == [[0.25, None, -1.0]]
    assert [beat["sample"] for beat in kept["beats"]] == [701]
    assert "own" in kept["note"]


def test_an_unknown_alarm_is_404(daemon: Daemon, web: Web) -> None:
    daemon.alert(alert_message(0, ID), heard=False)
    status, said = ask(web, "/api/alarms/nobody")
    assert (status, "nobody" in said) == (404, True)


def test_a_daemon_that_does_not_answer_is_503(daemon: Daemon, web: Web) -> None:
    daemon._stop.set()
    daemon._thread.join()
    for path in ("/api/alarms", f"/api/alarms/{ID}"):
        status, said = ask(web, path)
        assert (status, "no answer" in said) == (503, True)
    status, answer = ask(web, "/api/health")
    assert (status, answer["ready"]) == (200, None)


def test_health_tells_what_is_known_and_no_more(daemon: Daemon, web: Web) -> None:
    eventually(lambda: bool(ask(web, "/api/health")[1]["streams"]))
    answer = ask(web, "/api/health")[1]
    assert (answer["ready"], answer["grafana"]) == (None, None)
    assert "--metrics" in answer["reason"]
    assert answer["daemon"] == {}
    assert answer["connections"]["control"]["age_s"] < 5
    assert answer["journal"] == {"oldest_alert": 0, "next_alert": 0}
    bed = answer["streams"][0]
    assert (bed["stream"], bed["clock_behind_s"], bed["lost"]) == ("bed-1", 1.0, None)


def test_dashboards_are_linked(daemon: Daemon) -> None:
    with serving(daemon, "--grafana", "https://grafana.example/d/beatgan") as web:
        assert ask(web, "/api/health")[1]["grafana"] == "https://grafana.example/d/beatgan"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "grafana.example",
        "http://",
        "https://a:b@c",
        "http://a:0",
        "http://a b",
    ],
)
def test_what_is_no_link_is_refused(url: str) -> None:
    refused = CliRunner().invoke(app, ["web", "--grafana", url])
    assert isinstance(refused.exception, UsageError)
    assert "expected http" in str(refused.exception)


def exposition(received: float, scored: float, slow: float) -> bytes:
    lines = [
        f"beatgan_samples_received_total {received}", "beatgan_samples_lost_total 10",
        f"beatgan_beats_scored_total {scored}", "beatgan_journal_bytes 1048576",
        f'{LATENCY}{{le="0.1"}} 0', f'{LATENCY}{{le="+Inf"}} {slow}',
        'beatgan_build_info{model="abc",version="1"} 1',
    ]  # fmt: skip
    return "".join(f"{line}\n" for line in lines).encode()


def test_messages_that_cannot_be_read_are_counted_and_cost_nothing(
    daemon: Daemon, web: Web
) -> None:
    with web.socket() as socket:
        want = {"t": "want", "streams": [{"stream": "bed-1", "leads": [0], "zoom": "full"}]}
        socket.send(msgspec.json.encode(want).decode())
        daemon.wait_for(daemon.outlet, b"beat.bed-1")
        for topic in (b"alert.bed-1", b"beat.bed-1", b"status.bed-1"):
            daemon.outlet.send_multipart([topic, b'{"stream":"bed-1","n":"x","rr_ms":"x"}'])
        eventually(lambda: ask(web, "/api/health")[1]["server"]["unreadable_messages"] == 3)
        daemon.alert(alert_message(0, "a"))
        until(socket, lambda said: not isinstance(said, bytes) and said["t"] == "alert")


def test_the_daemon_is_asked_over_http() -> None:
    pages, trouble = [exposition(100, 50, 0), exposition(190, 80, 9)], [None, "overloaded"]
    server = HttpServer(
        Address("127.0.0.1", 0), lambda: pages.pop(0), lambda: None, lambda: trouble.pop(0)
    )
    daemon = DaemonHttp(str(server.address))
    with closing(server):
        daemon.ask()
        assert (daemon.ready, daemon.reason, daemon.model()) == (True, "", "abc")
        assert daemon.figures()["journal_mb"] == 1.0
        assert "beats_per_s" not in daemon.figures()  # nothing to compare with yet
        daemon.ask()
        assert (daemon.ready, daemon.reason) == (False, "overloaded")
        figures = daemon.figures()
        assert figures["beats_per_s"] > 0
        assert (figures["samples_lost_share"], figures["latency_p99_ms"]) == (0.0, 100.0)
    daemon.ask()
    assert daemon.ready is None
    assert "does not answer" in daemon.reason
    assert (daemon.figures(), daemon.model()) == ({}, None)


def test_metrics_are_read_and_a_quantile_is_as_prometheus_has_it() -> None:
    samples = read_samples(
        '# HELP beatgan_x X\nbeatgan_x_bucket{le="0.1"} 1.0\nbeatgan_x_bucket{le="+Inf"} 3.0\n'
        'beatgan_build_info{model="ab",version="1"} 1.0\npython_info{a="b"} 1.0\n'
    )
    assert samples["beatgan_x_bucket"] == {(("le", "0.1"),): 1.0, (("le", "+Inf"),): 3.0}
    assert [*samples] == ["beatgan_x_bucket", "beatgan_build_info"]
    before, after = {0.1: 5.0, 0.2: 5.0, np.inf: 5.0}, {0.1: 55.0, 0.2: 105.0, np.inf: 105.0}
    assert quantile(0.99, before, after) == pytest.approx(0.198)
    assert quantile(0.5, {}, {0.1: 0.0, np.inf: 4.0}) == 0.1
    assert quantile(0.5, after, after) is None
