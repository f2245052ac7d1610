"""Alerts as a person reads them."""

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import Thread
from typing import Any

import pytest
import zmq
from msgspec.structs import replace
from rich.console import Console

from beatgan.errors import UsageError
from beatgan.protocol.control import ReplyHeader
from beatgan.protocol.messages import AlertMessage, Delay, encode_json
from beatgan_daemon.clients.address import Daemon, FixedDaemons
from beatgan_daemon.clients.client import Page
from beatgan_daemon.clients.watch import Listener, describe, marks_for, watch, watch_all
from beatgan_daemon.sockets.publish_socket import PublishSocket
from beatgan_daemon.standard_streams import show_anything

ONSET = 1_790_000_000_250_000_000


def alert(
    n: int = 0, phase: str = "start", score: float | None = 5.25, **more: Any
) -> AlertMessage:
    return AlertMessage(
        id=more.pop("id", "bed-1/0/0"),
        n=n,
        stream="bed-1",
        epoch=0,
        kind="physiological",
        code="beat.anomalous",
        priority="medium",
        phase=phase,
        onset_sample=100,
        onset_ns=ONSET,
        end_sample=None,
        sample=100,
        lead="II",
        suspended=False,
        raised_ns=ONSET + 1_500_000_000,
        score=score,
        threshold=None if score is None else 3.5,
        beats=(100, 420) if score else (),
        delay_ms=Delay(1400.0, 100.0),
        explanation=None,
        **more,
    )


def test_a_line_says_when_who_what_how_sure_and_how_late() -> None:
    line = describe(alert()).plain
    raised = datetime.fromtimestamp(ONSET // 10**9 + 1)
    assert f"{raised:%Y-%m-%d %H:%M:%S}.750" in line
    for word in ["● ", "bed-1", "MEDIUM", "beat.anomalous", "start", "score 5.250 > 3.500"]:
        assert word in line
    assert "2 beats" in line
    assert "delay 1500 ms" in line


def test_a_line_says_the_class_of_the_worst_beat_where_there_is_one() -> None:
    assert "score 5.250 > 3.500  class V  2 beats" in describe(alert(beat_class="V")).plain
    assert "class" not in describe(alert()).plain


def test_a_line_says_the_sentence_once() -> None:
    text = "2 anomalous beats, the worst ventricular (95%), heart rate 72/min, lead II"
    line = describe(alert(text=text, beat_class="V")).plain
    assert f"start   {text}  score 5.250 > 3.500  began" in line


def test_a_technical_alert_needs_no_score() -> None:
    line = describe(alert(phase="end", score=None)).plain
    assert line.startswith("○ ")
    assert "score" not in line


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"latched": True}, "over, not acknowledged"),
        ({"acknowledged": True}, "  acknowledged"),
        ({"suppressed": 3}, "3 more held back"),
        ({"repeat": True}, "↻ "),
    ],
)
def test_a_line_says_how_the_episode_stands(more: dict[str, Any], text: str) -> None:
    assert text in describe(alert(**more)).plain
    assert text not in describe(alert()).plain


def test_a_score_below_the_threshold_is_not_above_it() -> None:
    assert "score 3.250 <= 3.500" in describe(alert(score=3.25)).plain
    assert "score 3.500 <= 3.500" in describe(alert(score=3.5)).plain


def test_a_line_tells_lead_id_and_who_acted() -> None:
    line = describe(alert()).plain
    assert "  II  " in line
    assert line.endswith("  bed-1/0/0")
    assert "suspended" not in line
    assert "  suspended  " in describe(replace(alert(), suspended=True)).plain
    assert "  acknowledged by desk  " in describe(alert(acknowledged=True, by="desk")).plain
    assert "  discharged by desk  " in describe(alert(discharged_ns=5, by="desk")).plain


def test_a_terminal_of_another_encoding_shows_it_all_the_same() -> None:
    for encoding in ("latin-1", "ascii", "utf-8"):
        written = io.BytesIO()
        terminal = io.TextIOWrapper(written, encoding=encoding)
        show_anything(terminal)
        console = Console(file=terminal, width=300)
        marks = marks_for(console.encoding)
        for each in (replace(alert(), lead="Ω"), alert(phase="end"), alert(repeat=True)):
            console.print(describe(each, marks), soft_wrap=True, highlight=False)
        terminal.flush()
        lines = written.getvalue().decode(encoding).splitlines()
        assert lines[0][0] == ("●" if encoding == "utf-8" else "*")
        assert ("Ω" if encoding == "utf-8" else "\\u03a9") in lines[0]
        assert len(lines) == 3


@dataclass
class Watching:
    sink: PublishSocket
    out: io.StringIO

    def send(self, alert: AlertMessage) -> None:
        self.send_json(encode_json(alert))

    def send_json(self, body: bytes) -> None:
        list(self.sink.subscriptions())
        self.sink.send(b"alert.bed-1", body)

    def until(self, text: str) -> None:
        """Wait for the watcher to print ``text``."""
        for _ in range(500):
            if text in self.out.getvalue():
                return
            time.sleep(0.02)
        pytest.fail(f"never said {text!r}, but: {self.out.getvalue()}")


def watched(act: Callable[[Watching], None]) -> list[str]:
    """The lines that a watcher prints while ``act`` publishes."""
    out, ended = io.StringIO(), False
    with (
        zmq.Context[zmq.Socket[bytes]]() as context,
        PublishSocket(context, "tcp://127.0.0.1:*") as sink,
    ):
        console = Console(file=out, width=40)
        watcher = Thread(target=watch, args=(sink.endpoint, console, lambda: ended))
        watcher.start()
        try:
            act(Watching(sink, out))
        finally:
            ended = True
            watcher.join()
    return out.getvalue().splitlines()


def test_alerts_come_out_as_plain_lines_and_losses_are_told() -> None:
    def act(watching: Watching) -> None:
        watching.until("connected to")
        for _ in range(200):  # until the subscription has arrived too
            watching.send(alert(n=0))
            time.sleep(0.02)
            if "bed-1" in watching.out.getvalue():
                break
        watching.send(alert(n=5, phase="end"))
        watching.until(" end ")

    lines = watched(act)
    assert lines[0].startswith("connected to tcp://127.0.0.1:")
    assert lines[-2] == "4 alert message(s) lost on the way"
    assert lines[-1] == describe(alert(n=5, phase="end")).plain  # in one piece, uncoloured


def test_what_is_no_alert_is_said_and_survived() -> None:
    def act(watching: Watching) -> None:
        watching.until("connected to")
        for _ in range(200):
            watching.send_json(b'{"v":2}')
            time.sleep(0.02)
            if "not an alert" in watching.out.getvalue():
                break
        watching.send(alert())
        watching.until("bed-1")

    assert "not an alert that this version can read" in "\n".join(watched(act))


def test_an_impossible_endpoint_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="'nonsense'"):
        watch("nonsense", Console(file=io.StringIO()), lambda: True)


# --- what is said of what was missed --------------------------------------------------------------


class StoredAlerts:
    """A client that answers with what a daemon kept; a daemon that is away is None."""

    def __init__(self, *stored: AlertMessage) -> None:
        self.stored: list[AlertMessage] | None = list(stored)

    def alerts(self, since: int) -> Page:
        if self.stored is None:
            raise UsageError("nobody is there")
        bodies = [encode_json(each) for each in self.stored if each.n >= since]
        following = self.stored[-1].n + 1 if self.stored else 0
        return Page(ReplyHeader(v=1, type="alerts", next=following), bodies)


def received(listener: Listener, *alerts: AlertMessage) -> list[str]:
    return [line.plain for each in alerts for line in listener.receive(encode_json(each))]


def test_episodes_under_way_come_first_and_once() -> None:
    listener = Listener(None)
    again = alert(n=7, repeat=True), alert(n=9, id="other", repeat=True)
    assert received(listener, *again, *again) == [describe(each).plain for each in again]
    assert received(listener, alert(n=12)) == [describe(alert(n=12)).plain]  # nothing is lost
    assert received(listener, alert(n=12, repeat=True)) == []  # for somebody else
    assert received(listener, alert(n=13, phase="end")) == [
        describe(alert(n=13, phase="end")).plain
    ]


def test_what_was_missed_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = StoredAlerts(*(alert(n=n) for n in range(6)))
    listener = Listener(stored)
    assert received(listener, alert(n=1), alert(n=5)) == [describe(alert(n=1)).plain] * 5
    assert received(listener, alert(n=4)) == []  # it was fetched


def test_what_is_kept_no_more_is_lost() -> None:
    listener = Listener(StoredAlerts(*(alert(n=n) for n in (3, 4, 5))))
    lines = received(listener, alert(n=0), alert(n=5))
    assert lines[1] == "2 alert message(s) are no longer in the journal"
    assert len(lines) == 5


def test_a_daemon_that_does_not_answer_is_named() -> None:
    stored = StoredAlerts()
    stored.stored = None
    listener = Listener(stored)
    lines = received(listener, alert(n=0), alert(n=5))
    assert lines[1] == "4 alert message(s) lost on the way (nobody is there)"
    assert list(listener.check()) == []


def test_after_a_connection_what_was_missed_is_fetched() -> None:
    stored = StoredAlerts(alert(n=0))
    listener = Listener(stored)
    assert list(listener.check()) == []  # the first: only what is under way is of interest
    received(listener, alert(n=0))
    stored.stored = [alert(n=n) for n in range(3)]
    assert len(list(listener.check())) == 2
    assert received(listener, alert(n=1), alert(n=2), alert(n=3)) == [describe(alert(n=3)).plain]


def test_a_daemon_that_counts_anew_is_followed() -> None:
    for client in (None, StoredAlerts(alert(n=0))):
        listener = Listener(client)
        received(listener, alert(n=10))
        lines = [line.plain for line in listener.check()] if client else []
        lines += received(listener, alert(n=0), alert(n=1))
        assert lines[0] == "the daemon counts its alerts anew"
        assert len(lines) == 3


def test_an_episode_that_began_and_ended_while_cut_off_is_fetched() -> None:
    """Though nothing had been received before, and nothing comes afterwards."""
    stored = StoredAlerts(alert(n=0))
    listener = Listener(stored)
    assert list(listener.check()) == []
    missed = alert(n=1), alert(n=2, phase="end")
    stored.stored = [alert(n=0), *missed]
    assert [line.plain for line in listener.check()] == [describe(each).plain for each in missed]
    assert list(listener.check()) == []
    assert received(listener, *missed) == []


def test_what_is_on_its_way_at_the_first_connection_is_shown() -> None:
    listener = Listener(StoredAlerts(alert(n=0), alert(n=1)))
    assert list(listener.check()) == []
    assert received(listener, alert(n=1)) == [describe(alert(n=1)).plain]


def test_what_could_not_be_fetched_is_fetched_later() -> None:
    stored = StoredAlerts()
    stored.stored = None
    listener = Listener(stored)
    received(listener, alert(n=0), alert(n=3))
    list(listener.check())
    assert not listener.answered
    stored.stored = [alert(n=n) for n in range(5)]
    assert len(list(listener.check())) == 3  # 1, 2 and 4
    assert listener.answered


def test_a_daemon_that_counts_anew_tells_all_that_it_has() -> None:
    stored = StoredAlerts(*(alert(n=n) for n in range(10)))
    listener = Listener(stored)
    list(listener.check())
    stored.stored = [alert(n=0), alert(n=1, phase="end")]
    first, *others = [line.plain for line in listener.check()]
    assert first == "the daemon counts its alerts anew"
    assert others == [describe(alert(n=0)).plain, describe(alert(n=1, phase="end")).plain]


def test_several_daemons_are_told_apart() -> None:
    out = io.StringIO()
    with (
        zmq.Context[zmq.Socket[bytes]]() as context,
        PublishSocket(context, "tcp://127.0.0.1:*") as one,
        PublishSocket(context, "tcp://127.0.0.1:*") as two,
    ):
        endpoints = [one.endpoint, two.endpoint]
        end = time.monotonic() + 20
        watch_all(
            FixedDaemons([Daemon(endpoint) for endpoint in endpoints]),
            Console(file=out),
            lambda: out.getvalue().count("connected to") == 2 or time.monotonic() > end,
        )
    assert {line.split("  ")[0] for line in out.getvalue().splitlines()} == set(endpoints)


def test_one_impossible_endpoint_of_several_ends_all() -> None:
    daemons = [Daemon("tcp://127.0.0.1:1"), Daemon("nonsense")]
    with pytest.raises(UsageError, match="'nonsense'"):
        watch_all(FixedDaemons(daemons), Console(file=io.StringIO()), lambda: False)


def test_one_told_anew_by_a_shard_that_goes_on_with_it_is_no_hole() -> None:
    listener = Listener(None)
    assert len([*listener.receive(encode_json(alert(n=3)))]) == 1
    moved = replace(alert(n=4, id="moved"), repeat=True, fence=2)
    assert [line.plain[:1] for line in listener.receive(encode_json(moved))] == ["↻"]
    assert [line.plain[:1] for line in listener.receive(encode_json(alert(n=5)))] == ["●"]
    late = replace(alert(n=6, id="late"), fence=1)
    assert [line.plain for line in listener.receive(encode_json(late))] == [
        "ignored an alert under an old fence: late"
    ]
    assert len([*listener.receive(encode_json(alert(n=7)))]) == 1
