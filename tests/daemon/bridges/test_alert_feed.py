"""Alerts come once and in order, whatever is cut: the daemon, the bridge, or its peer."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import ENOSPC
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from msgspec.structs import replace

from beatgan.errors import BeatganError, UsageError
from beatgan.protocol.messages import AlertMessage, encode_json
from beatgan_daemon.bridges.alert_feed import AlertFeed
from beatgan_daemon.bridges.position_file import NAME, PositionFile
from beatgan_daemon.exit_codes import StartError
from tests.support.alerting_daemon import AlertingDaemon, alerts

PATIENCE_S = 10.0


@contextmanager
def feed_of(
    daemon: AlertingDaemon, directory: Path | None = None, since: int | None = None
) -> Iterator[AlertFeed]:
    feed = AlertFeed(daemon.publish, daemon.control, PositionFile(directory), since=since)
    try:
        yield feed
    finally:
        feed.close()


def taken(feed: AlertFeed, count: int, done: bool = True) -> list[bytes]:
    """So many alerts, each taken; fewer if no more come."""
    found: list[bytes] = []
    end = monotonic() + PATIENCE_S
    while len(found) < count and monotonic() < end:
        alert = feed.wait(0.05)
        if alert is not None:
            found.append(alert.body)
            feed.done()
    return found


def bodies(messages: list[AlertMessage]) -> list[bytes]:
    return [encode_json(message) for message in messages]


def nothing_more(feed: AlertFeed) -> bool:
    return all(feed.wait(0.05) is None for _ in range(6))


def wait_until_connected(feed: AlertFeed) -> None:
    end = monotonic() + PATIENCE_S
    while not feed.connected and monotonic() < end:
        feed.wait(0.02)


def test_the_journal_then_live() -> None:
    old, new = alerts(3), alerts(2, 3)
    with AlertingDaemon(old) as daemon, feed_of(daemon, since=0) as feed:
        assert taken(feed, 3) == bodies(old)
        wait_until_connected(feed)
        for message in new:
            daemon.alert(message)
        assert taken(feed, 2) == bodies(new)
        assert nothing_more(feed)
        assert feed.count.exact
        assert feed.count.delivered == 5


def test_without_a_position_it_begins_now() -> None:
    with AlertingDaemon(alerts(3)) as daemon, feed_of(daemon) as feed:
        assert nothing_more(feed)
        daemon.alert(message := alerts(1, 3)[0])
        assert taken(feed, 1) == [encode_json(message)]


def test_what_is_not_heard_live_is_read_from_the_journal() -> None:
    messages = alerts(5)
    with AlertingDaemon() as daemon, feed_of(daemon, since=0) as feed:
        wait_until_connected(feed)
        for message in messages:
            daemon.alert(message, live=message.n in (0, 4))
        assert taken(feed, 5) == bodies(messages)


def test_an_alert_stays_until_it_is_done() -> None:
    messages = alerts(2)
    with AlertingDaemon(messages) as daemon, feed_of(daemon, since=0) as feed:
        while (first := feed.wait(0.05)) is None:
            pass
        assert feed.wait(0.05) == first
        assert feed.count.waiting == 2
        assert taken(feed, 2) == bodies(messages)


def test_repeats_for_others_are_passed_over() -> None:
    messages = alerts(2)
    with AlertingDaemon(messages[:1]) as daemon, feed_of(daemon, since=0) as feed:
        assert taken(feed, 1) == bodies(messages[:1])
        wait_until_connected(feed)
        daemon.repeat(messages[0])
        daemon.alert(messages[1])
        assert taken(feed, 1) == bodies(messages[1:])
        assert nothing_more(feed)


def test_a_repeat_that_was_never_heard_is_delivered_without_the_word() -> None:
    with AlertingDaemon() as daemon, feed_of(daemon, since=0) as feed:
        wait_until_connected(feed)
        (message,) = alerts(1)
        daemon.alert(message, live=False)
        daemon.repeat(message)
        assert taken(feed, 1) == [encode_json(message)]


def test_what_another_shard_told_before_is_delivered_as_the_journal_has_it() -> None:
    with AlertingDaemon() as daemon, feed_of(daemon, since=0) as feed:
        wait_until_connected(feed)
        messages = [replace(each, repeat=True) for each in alerts(2)]
        for each in messages:
            daemon.alert(each)
        assert taken(feed, 2) == bodies(messages)
        assert nothing_more(feed)


def test_a_restart_of_the_bridge_goes_on_where_it_stopped(tmp_path: Path) -> None:
    messages = alerts(6)
    with AlertingDaemon(messages[:4]) as daemon:
        with feed_of(daemon, tmp_path, since=0) as feed:
            assert taken(feed, 2) == bodies(messages[:2])
        daemon.alert(messages[4])
        with feed_of(daemon, tmp_path) as feed:
            daemon.alert(messages[5])
            assert taken(feed, 4) == bodies(messages[2:])
            assert nothing_more(feed)


def test_a_restart_before_the_first_alert_owes_what_came_since(tmp_path: Path) -> None:
    messages = alerts(4)
    with AlertingDaemon(messages[:2]) as daemon:
        with feed_of(daemon, tmp_path) as feed:
            assert nothing_more(feed)
        daemon.alert(messages[2])
        with feed_of(daemon, tmp_path) as feed:
            assert taken(feed, 1) == bodies(messages[2:3])


def test_a_restart_of_the_daemon_loses_and_repeats_nothing() -> None:
    messages = alerts(5)
    with AlertingDaemon(messages[:2]) as daemon:
        feed = AlertFeed(daemon.publish, daemon.control, PositionFile(None), since=0)
        assert taken(feed, 2) == bodies(messages[:2])
    for _ in range(3):
        feed.wait(0.05)
    there = daemon.publish, daemon.control
    with AlertingDaemon(messages[:4], publish=there[0], control=there[1]) as daemon:
        assert taken(feed, 2) == bodies(messages[2:4])
        wait_until_connected(feed)
        daemon.alert(messages[4])
        assert taken(feed, 1) == bodies(messages[4:])
        assert feed.count.exact
    feed.close()


@pytest.mark.parametrize("others", [1, 3, 5])
def test_a_journal_that_begins_anew_is_read_from_its_first(tmp_path: Path, others: int) -> None:
    """Also where it is longer by now than the old one was."""
    with AlertingDaemon(alerts(3)) as daemon, feed_of(daemon, tmp_path, since=0) as feed:
        assert len(taken(feed, 3)) == 3
    anew = alerts(others, stream="bed-8")
    with AlertingDaemon(anew) as daemon, feed_of(daemon, tmp_path) as feed:
        assert taken(feed, others) == bodies(anew)
        assert nothing_more(feed)
        assert feed.count.journals == 1


def test_what_was_deleted_from_the_journal_is_counted(tmp_path: Path) -> None:
    with AlertingDaemon(alerts(2)) as daemon, feed_of(daemon, tmp_path, since=0) as feed:
        assert len(taken(feed, 2)) == 2
    left = alerts(2, 7)
    with AlertingDaemon(left, oldest=7) as daemon, feed_of(daemon, tmp_path) as feed:
        assert taken(feed, 2) == bodies(left)
        assert (feed.count.missed, feed.count.journaled) == (5, 7)
        assert feed.count.exact


def test_a_hole_in_the_journal_is_counted_and_holds_up_no_alert() -> None:
    """As where its disk failed, and the daemon died before it worked again."""
    with AlertingDaemon([*alerts(2), *alerts(2, 5)]) as daemon, feed_of(daemon, since=0) as feed:
        assert taken(feed, 4) == bodies([*alerts(2), *alerts(2, 5)])
        assert (feed.count.missed, feed.count.journaled) == (3, 7)
        wait_until_connected(feed)
        daemon.alert(alerts(1, 7)[0])
        assert taken(feed, 1) == bodies(alerts(1, 7))
        assert feed.count.exact


def test_many_alerts_come_in_pages() -> None:
    messages = alerts(2500)
    with AlertingDaemon(messages) as daemon, feed_of(daemon, since=0) as feed:
        assert taken(feed, 2500) == bodies(messages)
        assert feed.count.exact


# --- the position file --------------------------------------------------------------------------


def test_two_bridges_need_two_directories(tmp_path: Path) -> None:
    first = PositionFile(tmp_path)
    with pytest.raises(StartError, match="in use by another bridge"):
        PositionFile(tmp_path)
    first.close()
    PositionFile(tmp_path).close()


def test_a_file_that_is_no_position_is_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("7")
    with pytest.raises(UsageError, match=r"position\.json: not a position"):
        PositionFile(tmp_path)


def test_a_directory_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BeatganError, match="cannot be used"):
        PositionFile(tmp_path / "file" / "state")


def test_a_disk_that_takes_no_position_holds_up_no_alert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    with AlertingDaemon(alerts(5)) as daemon:
        with feed_of(daemon, tmp_path, since=0) as feed:
            assert len(taken(feed, 2)) == 2

            def full(*_: object) -> None:
                raise OSError(ENOSPC, "No space left on device")

            monkeypatch.setattr("beatgan_daemon.bridges.position_file.os.fsync", full)
            assert len(taken(feed, 3)) == 3
        assert "position not kept" in [line["event"] for line in logged()]
        monkeypatch.undo()
        with feed_of(daemon, tmp_path) as again:
            assert taken(again, 3) == bodies(alerts(3, 2))


def test_a_disk_that_is_full_from_the_first_holds_up_no_alert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    with AlertingDaemon(alerts(2)) as daemon, feed_of(daemon, tmp_path, since=0) as feed:

        def full(*_: object) -> None:
            raise OSError(ENOSPC, "No space left on device")

        monkeypatch.setattr("beatgan_daemon.bridges.position_file.os.fsync", full)
        assert len(taken(feed, 2)) == 2
        assert "position not kept" in [line["event"] for line in logged()]
