"""Several daemons asked as if they were one: what each says, and who says nothing."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from time import monotonic

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from beatgan.errors import UsageError
from beatgan.protocol.buckets import bucket_of
from beatgan.protocol.messages import AlertMessage
from beatgan_daemon.cli import app
from beatgan_daemon.clients.client import NoAnswerError
from beatgan_daemon.clients.position import parse_position, position_text
from beatgan_daemon.clients.shards import read_shards
from beatgan_daemon.clients.shards_client import ShardAlert, ShardsClient
from beatgan_daemon.clients.shards_follower import ShardsFollower
from beatgan_daemon.sharding.shard_map import ShardMap, read_map, write_map
from tests.support.alerting_daemon import AlertingDaemon
from tests.support.messages import alert_message
from tests.support.shared_directory import SharedDirectory

PATIENCE_S = 20.0


def of_shard(shard: int) -> str:
    """A stream of the shard's, of two."""
    return next(f"bed-{k}" for k in range(99) if bucket_of(f"bed-{k}") % 2 == shard)


def alert(n: int, shard: int, at: int, fence: int = 1) -> AlertMessage:
    stream = of_shard(shard)
    message = alert_message(n, f"{stream}/{at}", stream=stream)
    return replace(message, fence=fence, raised_ns=at)


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[SharedDirectory]:
    with SharedDirectory(tmp_path, "a", "b") as directory:
        yield directory


@pytest.fixture
def daemons(shared: SharedDirectory) -> Iterator[list[AlertingDaemon]]:
    """Two, whose alerts were raised in turns."""
    with ExitStack() as stack:
        found = []
        for n, name in enumerate(("a", "b")):
            journal = [alert(k, n, 10 * k + n) for k in range(3)]
            daemon = stack.enter_context(AlertingDaemon(journal))
            shared.run(name, publish=daemon.publish, control=daemon.control)
            found.append(daemon)
        yield found


def places(found: Iterator[ShardAlert]) -> list[tuple[str, int]]:
    return [(each.shard, each.alert.n) for each in found]


@pytest.mark.usefixtures("daemons")
def test_the_alerts_of_all_journals_come_in_one_order(shared: SharedDirectory) -> None:
    with ShardsClient(shared.path) as asked:
        assert places(asked.alerts({})) == [(s, n) for n in range(3) for s in ("a", "b")]
        assert asked.position == {"a": 3, "b": 3}
        assert places(asked.alerts({"a": 2, "b": 1})) == [("b", 1), ("a", 2), ("b", 2)]
        assert places(asked.alerts(asked.position)) == []
        assert asked.position == {"a": 3, "b": 3}


@pytest.mark.usefixtures("daemons")
def test_a_journal_that_was_begun_anew_is_read_from_its_beginning(shared: SharedDirectory) -> None:
    with ShardsClient(shared.path) as asked:
        assert places(asked.alerts({"a": 900, "b": 3})) == [("a", 0), ("a", 1), ("a", 2)]


def test_what_a_shard_wrote_after_it_had_lost_its_bucket_is_ignored(
    shared: SharedDirectory, daemons: list[AlertingDaemon]
) -> None:
    daemons[1].alert(alert(3, 0, at=50, fence=2))
    daemons[0].alert(alert(3, 0, at=60))
    daemons[1].alert(alert(4, 0, at=70, fence=2))
    with ShardsClient(shared.path) as asked:
        assert places(asked.alerts({"a": 3, "b": 3})) == [("b", 3), ("b", 4)]
        assert asked.fences.ignored == 1
        assert asked.position == {"a": 4, "b": 5}


def test_an_episode_under_way_is_told_by_who_has_it_now(
    shared: SharedDirectory, daemons: list[AlertingDaemon]
) -> None:
    moved = replace(alert(2, 0, at=20), n=3, fence=2, repeat=True)
    daemons[1].alert(moved)
    with ShardsClient(shared.path) as asked:
        told = {each.alert.id: (each.shard, each.alert.n) for each in asked.all_active()}
    assert len(told) == 6
    assert told[moved.id] == ("b", 3)


def test_who_is_silent_is_named_behind_what_the_others_say(
    shared: SharedDirectory, daemons: list[AlertingDaemon]
) -> None:
    shared.stop("b")
    found: list[ShardAlert] = []
    with ShardsClient(shared.path) as asked:
        with pytest.raises(NoAnswerError, match=r"b \(128 of 256 buckets\): it is not running"):
            found.extend(asked.alerts({"b": 1}))
        assert places(iter(found)) == [("a", 0), ("a", 1), ("a", 2)]
        assert asked.position == {"a": 3, "b": 1}  # what was not read is read another time
        with pytest.raises(NoAnswerError, match="b, which has"):
            asked.discharge(of_shard(1))
        with pytest.raises(NoAnswerError, match="missing are the patients of b"):
            [*asked.streams()]
    shared.run("b", control="tcp://127.0.0.1:9")
    with (
        ShardsClient(shared.path, timeout=0.1) as asked,
        pytest.raises(NoAnswerError, match=r"b \(128 of 256 buckets\): .*no answer within 0\.1 s"),
    ):
        [*asked.all_active()]
    assert daemons


@pytest.mark.usefixtures("daemons")
def test_an_alarm_is_acknowledged_where_it_is(shared: SharedDirectory) -> None:
    with ShardsClient(shared.path) as asked:
        for shard in (0, 1):
            asked.acknowledge(alert(1, shard, 10 + shard).id, by="Ann")
            asked.acknowledge_all(of_shard(shard))
        write_map(shared.path, ShardMap.even(["b", "a"]))
    with ShardsClient(shared.path) as asked:  # it is not where the map says, as while it moves
        asked.acknowledge(alert(1, 0, 10).id)
        with pytest.raises(UsageError, match="unknown-episode"):
            asked.acknowledge("none")


def test_followed_are_shards_that_come_back_elsewhere(
    shared: SharedDirectory, daemons: list[AlertingDaemon]
) -> None:
    said: list[str] = []
    end, over = monotonic() + PATIENCE_S, Event()
    with ShardsClient(shared.path) as read:
        assert len(places(read.alerts({}))) == 6
    follower = ShardsFollower(shared.path, read, said.append)
    heard = follower.alerts(lambda: over.is_set() or monotonic() > end)
    daemons[0].alert(alert(3, 0, 30))
    assert places(iter([next(heard)])) == [("a", 3)]
    shared.stop("b")
    with AlertingDaemon([alert(k, 1, 10 * k) for k in range(5)]) as elsewhere:
        shared.run("b", publish=elsewhere.publish, control=elsewhere.control)
        assert places(iter([next(heard), next(heard)])) == [("b", 3), ("b", 4)]
        over.set()
        assert [*heard] == []
    assert follower.position == {"a": 4, "b": 5}


@pytest.mark.usefixtures("daemons")
def test_commands_over_all_shards(shared: SharedDirectory) -> None:
    where = ("--shards", str(shared.path))
    result = CliRunner().invoke(app, ["alerts", *where, "--since", "a:2"])
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(line["shard"], line["n"]) for line in lines] == [
        ("b", 0),
        ("b", 1),
        ("a", 2),
        ("b", 2),
    ]
    assert "go on with --since a:3,b:3" in result.stderr
    assert "there is no" not in result.stderr
    result = CliRunner().invoke(app, ["alerts", *where, "--since", "a1:2"])
    assert "--since: there is no a1" in result.stderr
    shared.stop("a")
    result = CliRunner().invoke(app, ["alerts", *where, "--active"])
    assert result.exit_code
    assert len(result.stdout.splitlines()) == 3
    assert isinstance(result.exception, NoAnswerError)
    with pytest.raises(UsageError, match="for SHARD:N give --shards"):
        CliRunner().invoke(app, ["alerts", "--since", "a:2"], catch_exceptions=False)


@pytest.mark.usefixtures("daemons")
def test_what_only_a_stopped_shard_journaled_is_said_to_be_missing(shared: SharedDirectory) -> None:
    write_map(shared.path, read_map(shared.path).emptied("b", ["a"]))
    shared.stop("b")
    with ShardsClient(shared.path) as asked:
        with pytest.raises(NoAnswerError, match="missing is what the journal has of b: it is not"):
            [*asked.alerts({})]
        assert asked.shards.absent == {}
    with ShardsClient(shared.path) as asked:
        assert len([*asked.all_active()]) == 3  # of patients there are, nobody is missing


def test_a_spoilt_map_hides_nobody(shared: SharedDirectory, daemons: list[AlertingDaemon]) -> None:
    known = read_shards(shared.path).shard_map
    (shared.path / "map").write_text("nonsense")
    found: list[ShardAlert] = []
    with ShardsClient(shared.path) as asked:
        with pytest.raises(NoAnswerError, match=r"who has which patients is not known: .*line 1"):
            found.extend(asked.alerts({"a": 2}))
        assert places(iter(found)) == [("b", 0), ("b", 1), ("a", 2), ("b", 2)]
        asked.acknowledge(alert(1, 1, 11).id)
        with pytest.raises(NoAnswerError, match=r"map: line 1: expected BUCKET SHARD FENCE"):
            asked.discharge(of_shard(1))
    shared.stop("b")
    assert read_shards(shared.path, known).absent.keys() == {"", "b"}
    (shared.path / "a" / "shard.json").unlink()
    (shared.path / "b" / "shard.json").unlink()
    with pytest.raises(UsageError, match="line 1"):
        ShardsClient(shared.path)
    assert daemons


def test_a_position_is_a_number_for_each_journal() -> None:
    position = {"shard-0": 12, "shard-1": 7}
    assert parse_position(position_text(position)) == position
    assert parse_position("0") == parse_position("") == {}
    for wrong in ("12", "a", "a:1,a:2", "a:x", "a:1;b:2"):
        with pytest.raises(UsageError, match="--since"):
            parse_position(wrong)


@pytest.mark.parametrize(
    "command", [["alerts"], ["streams"], ["acknowledge", "--all"], ["discharge", "bed-1"], ["web"]]
)
def test_shards_and_another_place_of_a_daemon_are_not_both_taken(
    tmp_path: Path, command: list[str]
) -> None:
    words = [*command, "--shards", str(tmp_path), "--connect", "tcp://127.0.0.1:9"]
    with pytest.raises(UsageError, match="--shards says where all are: give no"):
        CliRunner().invoke(app, words, catch_exceptions=False)
