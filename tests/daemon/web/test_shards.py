"""The page's server over several daemons that share the streams."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from msgspec.structs import replace

from beatgan.protocol.buckets import bucket_of
from beatgan.protocol.messages import AlertMessage
from beatgan_daemon.sharding.shard_map import read_map, write_map
from tests.daemon.web.conftest import Daemon, Web, eventually, serving_web, until
from tests.support.messages import alert_message
from tests.support.shared_directory import SharedDirectory

BEDS = [
    next(f"bed-{k}" for k in range(99) if bucket_of(f"bed-{k}") % 2 == shard) for shard in range(2)
]


def alert(n: int, shard: int, fence: int = 1, **more: Any) -> AlertMessage:
    bed = BEDS[shard]
    message = alert_message(n, f"{bed}/{n}", stream=bed)
    return replace(message, **{"fence": fence, "raised_ns": 10 * n + fence, **more})


class Shards:
    """Two daemons that a test speaks for, and their directory."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.directory = stack.enter_context(SharedDirectory(path, "a", "b"))
        self.daemons = [stack.enter_context(closing(Daemon())) for _ in range(2)]
        for name, daemon in zip(("a", "b"), self.daemons, strict=True):
            self.run(name, daemon)

    def run(self, name: str, daemon: Daemon) -> None:
        where = dict(zip(daemon.endpoints[::2], daemon.endpoints[1::2], strict=True))
        self.directory.run(
            name,
            publish=where["--connect"],
            control=where["--control"],
            tap=(where["--tap"],),
            http="",
        )


@pytest.fixture
def shards(tmp_path: Path) -> Iterator[Shards]:
    with ExitStack() as stack:
        yield Shards(tmp_path, stack)


@pytest.fixture
def web(shards: Shards) -> Iterator[Web]:
    command = [
        sys.executable,
        "-m",
        "beatgan_daemon",
        "web",
        "--shards",
        str(shards.directory.path),
    ]
    with serving_web([*command, "--listen", "127.0.0.1:0"]) as web:
        yield web


def asked(web: Web, path: str) -> Any:
    status, _, body = web.get(path, cookie=web.cookie)
    assert status == 200, body
    return msgspec.json.decode(body)


def test_the_alarms_of_all_journals_by_shard_and_number(shards: Shards, web: Web) -> None:
    for n in range(2):
        for shard in range(2):
            shards.daemons[shard].alert(alert(n, shard))
    answer: Any = {}

    def all_there() -> bool:
        nonlocal answer
        answer = asked(web, "/api/alarms")
        return len(answer["alarms"]) == 4

    eventually(all_there)
    places = {(each["shard"], each["n"], each["stream"]) for each in answer["alarms"]}
    assert places == {("a", 0, BEDS[0]), ("a", 1, BEDS[0]), ("b", 0, BEDS[1]), ("b", 1, BEDS[1])}
    assert answer["next"] == "a:2,b:2"
    shards.daemons[1].alert(alert(2, 1))
    later = asked(web, f"/api/alarms?since={quote(answer['next'])}")
    assert [(each["shard"], each["n"]) for each in later["alarms"]] == [("b", 2)]
    assert web.get("/api/alarms?since=x", cookie=web.cookie)[0] == 400
    one = asked(web, f"/api/alarms/{quote(alert(1, 1).id)}")
    assert [(each["shard"], each["n"]) for each in one["messages"]] == [("b", 1)]


def test_an_alarm_that_moves_is_one_alarm_and_a_twin_is_ignored(shards: Shards, web: Web) -> None:
    old, new = shards.daemons
    old.alert(alert(0, 0))
    with web.socket() as socket:
        until(socket, lambda m: m["t"] == "active" and len(m["alarms"]) == 1)
        new.alert(alert(0, 0, fence=2, repeat=True))

        def moved(message: Any) -> bool:
            alarms = message["alarms"] if message["t"] == "active" else []
            return [(each["shard"], each["fence"]) for each in alarms] == [("b", 2)]

        until(socket, moved)
        old.alert(replace(alert(1, 0), id=alert(0, 0).id, phase="end"))  # it does not know yet
        new.alert(replace(alert(1, 0, fence=2), id="next"))
        said = until(socket, lambda m: m["t"] == "active" and len(m["alarms"]) == 2)
        assert {each["shard"] for each in said["alarms"]} == {"b"}
    path = shards.directory.path
    write_map(path, read_map(path).moved({bucket_of(BEDS[0]): "b"}))
    told: list[tuple[str, int]] = []

    def from_both() -> bool:
        detail = asked(web, f"/api/alarms/{quote(alert(0, 0).id)}")
        told[:] = [(each["shard"], each["n"]) for each in detail["messages"]]
        return len(told) == 3

    eventually(from_both)
    assert told == [("a", 0), ("a", 1), ("b", 0)]


def test_a_shard_that_is_gone_is_named_and_one_that_comes_back_elsewhere_is_heard(
    shards: Shards, web: Web
) -> None:
    shards.daemons[0].alert(alert(0, 0))
    with web.socket() as socket:
        until(socket, lambda m: m["t"] == "alive" and m["missing"] == [])
        until(socket, lambda m: m["t"] == "active" and len(m["alarms"]) == 1)
        shards.directory.stop("b")
        said = until(socket, lambda m: m["t"] == "alive" and m["missing"])
        assert said["missing"] == [
            "missing are the patients of b (128 of 256 buckets): it is not running"
        ]
        health = asked(web, "/api/health")
        assert health["missing"] == said["missing"]
        assert [each["shard"] for each in health["shards"]] == ["a"]
        status, _, why = web.get(f"/api/alarms/{quote(alert(0, 1).id)}", cookie=web.cookie)
        assert (status, b"missing are the patients of b" in why) == (503, True)
        with closing(Daemon()) as elsewhere:
            shards.run("b", elsewhere)
            until(socket, lambda m: m["t"] == "alive" and m["missing"] == [])
            elsewhere.alert(alert(0, 1))
            until(socket, lambda m: m["t"] == "active" and len(m["alarms"]) == 2)
            shards.directory.stop("b")  # and its buckets go to the other
            write_map(shards.directory.path, read_map(shards.directory.path).emptied("b", ["a"]))
            until(socket, lambda m: m["t"] == "alive" and m["missing"] == [])


def test_what_is_acknowledged_goes_to_the_shard_that_has_it(shards: Shards, web: Web) -> None:
    shards.daemons[1].alert(alert(0, 1))
    with web.socket() as socket:
        until(socket, lambda m: m["t"] == "active" and len(m["alarms"]) == 1)
        socket.send(
            msgspec.json.encode({"t": "ack", "id": alert(0, 1).id, "name": "Ann"}), text=True
        )
        eventually(lambda: bool(shards.daemons[1].actions.acknowledged))
    assert not shards.daemons[0].actions.acknowledged
