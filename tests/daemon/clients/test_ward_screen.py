"""The ward as a person sees it on a terminal."""

import io
import os
import pty
import termios
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import pytest
from msgspec.structs import replace
from rich.console import Console

from beatgan.errors import UsageError
from beatgan.protocol.messages import AlertMessage, Delay, encode_json
from beatgan_daemon.clients import keyboard, ward_screen
from beatgan_daemon.clients.address import Daemon, FixedDaemons
from beatgan_daemon.clients.ward_screen import Screen
from beatgan_daemon.clients.ward_state import OLD_S, BeatSeen, Ward

ONSET = 1_790_000_000_000_000_000


def alert(n: int = 0, stream: str = "bed-2", **more: Any) -> AlertMessage:
    given = {
        "id": f"{stream}/0/0",
        "kind": "physiological",
        "code": "rhythm.ventricular-run",
        "priority": "high",
        "phase": "start",
        "lead": "II",
        "text": "ventricular tachycardia",
        **more,
    }
    return AlertMessage(
        n=n,
        stream=stream,
        epoch=0,
        onset_sample=100,
        onset_ns=ONSET,
        end_sample=None,
        sample=100,
        suspended=False,
        raised_ns=ONSET,
        score=None,
        threshold=None,
        beats=(),
        delay_ms=Delay(0.0, 0.0),
        explanation=None,
        **given,
    )


def beat(n: int, rr: float | None = 750.0, quality: str = "good", letter: str = "N") -> BeatSeen:
    return BeatSeen("bed-1", n, rr, letter == "V", quality, "II", letter)


class Link(SimpleNamespace):
    """A connection to a daemon that answers when the test says so."""

    def ask_again(self) -> None:
        self.again += 1

    def acknowledge(self, stream: str) -> Future[int]:
        self.asked.append(stream)
        self.answer: Future[int] = Future()
        return self.answer


def link() -> Link:
    return Link(daemon=Daemon("tcp://one"), lost=None, heard=0.0, next=None, again=0, asked=[])


def screen_of(*links: Link) -> Screen:
    return Screen(cast(Any, {str(n): each for n, each in enumerate(links or (link(),))}))


def drawn(screen: Screen, width: int = 160, height: int = 24) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(screen.draw(height))
    return out.getvalue()


def tell(screen: Screen, *alerts: AlertMessage, daemon: str = "0") -> None:
    for each in alerts:
        screen.message(daemon, f"alert.{each.stream}".encode(), encode_json(each))


def line(screen: Screen, name: str) -> str:
    found = [each for each in drawn(screen).splitlines() if f" {name} " in each]
    return found[0] if found else ""


# --- what is known of a bed ----------------------------------------------------------------------


def test_the_rate_is_the_median_of_good_intervals_and_ends_with_the_beats() -> None:
    bed = Ward().bed("0", "bed-1")
    assert bed.rate(0.0) is None
    for n, rr in enumerate([None, 750.0, 750.0, 2000.0]):
        bed.beat(beat(n, rr), 10.0)
    bed.beat(beat(4, 300.0, "poor"), 10.0)
    assert bed.rate(10.0) == pytest.approx(80)
    assert bed.poor()
    assert bed.rate(10.0 + OLD_S + 0.1) is None


def test_a_revision_takes_its_beat_s_place_and_a_new_count_begins_anew() -> None:
    bed = Ward().bed("0", "bed-1")
    for each in (beat(5), beat(6), beat(5, letter="V")):
        bed.beat(each, 0.0)
    assert [b.beat_class for b in bed.beats] == ["V", "N"]
    bed.beat(beat(0), 0.0)
    assert [b.n for b in bed.beats] == [0]


def test_the_most_urgent_that_nobody_has_seen_is_shown() -> None:
    bed = Ward().bed("0", "bed-2")
    bed.alert(alert(0, id="a", acknowledged=True))
    bed.alert(alert(1, id="b", priority="low"))
    worst = bed.worst()
    assert worst is not None
    assert worst.id == "b"
    bed.alert(alert(2, id="b", phase="end"))
    worst = bed.worst()
    assert worst is not None
    assert worst.id == "a"


def test_an_older_alert_changes_nothing() -> None:
    bed = Ward().bed("0", "bed-2")
    bed.alert(alert(5, text="new"))
    bed.alert(alert(3, text="old"))
    worst = bed.worst()
    assert worst is not None
    assert worst.text == "new"


def test_beds_stand_in_the_order_of_their_numbers_and_filters_leave_some_out() -> None:
    ward = Ward()
    for name in ("bed-10", "bed-2", "icu"):
        ward.bed("0", name)
    ward.bed("0", "bed-10").alert(alert(priority="medium"))
    assert [bed.stream for bed in ward.shown()] == ["bed-2", "bed-10", "icu"]
    assert [bed.stream for bed in ward.shown("BED")] == ["bed-2", "bed-10"]
    assert [bed.stream for bed in ward.shown("", 2)] == ["bed-10"]
    assert not [*ward.shown("", 3)]


# --- the screen -----------------------------------------------------------------------------------


def test_a_line_a_bed_with_rate_beats_alarm_sign_word_lead_and_id() -> None:
    screen = screen_of()
    batch = b"".join(
        b'{"type":"beat","stream":"bed-1","n":%d,"rr_ms":750.0,"anomalous":%s,"quality":"good",'
        b'"lead":"II","class":"%s","unknown":1}\n' % (n, *what)
        for n, what in enumerate([(b"false", b"N"), (b"true", b"V")])
    )
    screen.message("0", b"batch.beat", batch)
    tell(screen, alert(0))
    assert line(screen, "bed-1").split() == ["bed-1", "80", "NV", "II"]
    told = line(screen, "bed-2")
    assert "*** HIGH ventricular tachycardia" in told
    assert told.rstrip().endswith("bed-2/0/0")
    tell(screen, alert(1, phase="update", latched=True))
    assert "*** HIGH over, not acknowledged ventricular" in line(screen, "bed-2")
    tell(screen, alert(2, phase="update", acknowledged=True, by="desk"))
    assert "seen by desk" in line(screen, "bed-2")
    tell(screen, alert(3, phase="end"))
    assert "HIGH" not in line(screen, "bed-2")
    assert "not a medical device" in drawn(screen)


def test_a_acknowledges_the_selected_bed_and_a_refusal_is_shown() -> None:
    one = link()
    screen = screen_of(one)
    tell(screen, alert(0, "bed-1"), alert(1, "bed-2"))
    screen.key("a")
    assert "no bed is selected" in drawn(screen)
    for key in ("down", "down", "a"):
        screen.key(key)
    assert one.asked == ["bed-2"]
    assert "bed-2: acknowledging ..." in drawn(screen)  # it goes on while the daemon is asked
    one.answer.set_result(1)
    assert "bed-2: 1 acknowledged" in drawn(screen)
    assert "HIGH ventricular" in line(screen, "bed-2")  # until the daemon says that it was seen
    screen.key("a")
    one.answer.set_exception(UsageError("this key has no right to acknowledge"))
    assert "this key has no right to acknowledge" in drawn(screen)


def test_without_control_a_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    one = link()
    monkeypatch.setattr(one, "acknowledge", Mock(side_effect=UsageError("no --control was given")))
    screen = screen_of(one)
    tell(screen, alert(0))
    screen.key("down")
    screen.key("a")
    assert "no --control was given" in drawn(screen)


def test_keys_filter_and_find_and_quit() -> None:
    screen = screen_of()
    tell(screen, alert(0, "bed-1", priority="low"), alert(1, "bed-2"))
    for key in "fff":
        screen.key(key)
    assert not line(screen, "bed-1")
    assert line(screen, "bed-2")
    screen.key("f")
    for key in ("/", "q", "erase", "1", "enter"):
        screen.key(key)
    assert not screen.quit
    assert line(screen, "bed-1")
    assert not line(screen, "bed-2")
    screen.key("escape")
    assert line(screen, "bed-2")
    screen.key("q")
    assert screen.quit


def test_a_lost_connection_and_a_silent_daemon_are_told() -> None:
    screen = screen_of()
    screen.connected("0")
    assert "last word 0 s ago" in drawn(screen)
    tell(screen, alert(0))
    screen.disconnected("0")
    assert "NO CONNECTION to tcp://one since" in drawn(screen)
    assert "HIGH" in line(screen, "bed-2")
    screen.connected("0")  # it is told anew what stands
    assert "HIGH" not in line(screen, "bed-2")
    tell(screen, replace(alert(0), repeat=True))
    assert "HIGH" in line(screen, "bed-2")


def test_alerts_that_were_missed_are_asked_for() -> None:
    one = link()
    screen = screen_of(one)
    tell(screen, alert(0), alert(4, "bed-3"))
    assert one.again == 1
    assert "HIGH" not in line(screen, "bed-2")  # perhaps it ended meanwhile
    assert "HIGH" in line(screen, "bed-3")


def shards() -> tuple[Screen, dict[str, Link]]:
    links = {name: link() for name in ("a", "b")}
    for name, each in links.items():
        each.daemon = Daemon(f"tcp://{name}", name=name)
    screen = Screen(cast(Any, links), share_streams=True)
    for name in links:
        screen.connected(name)
    return screen, links


def test_a_stream_that_moves_has_one_bed_and_its_alarms_those_of_the_latest_fence() -> None:
    screen, links = shards()
    tell(screen, alert(7, fence=1), daemon="a")
    tell(screen, alert(0, fence=2, repeat=True, text="told again"), daemon="b")
    assert "told again" in line(screen, "bed-2")
    tell(screen, alert(8, fence=1, text="by a twin"), daemon="a")
    tell(screen, alert(9, fence=1, phase="end"), daemon="a")
    assert "told again" in line(screen, "bed-2")
    assert len(screen.ward.beds) == 1
    screen.disconnected("a")
    screen.connected("a")  # what it told once is not its own any more
    assert "told again" in line(screen, "bed-2")
    screen.key("down")
    screen.key("a")
    assert links["b"].asked == ["bed-2"]
    tell(screen, alert(1, fence=2, phase="end"), daemon="b")
    assert links["b"].again == 0  # its number follows that of the one told again
    assert "HIGH" not in line(screen, "bed-2")


def test_shards_that_are_well_share_a_line_and_others_have_their_own() -> None:
    screen, links = shards()
    assert "2 shards" in drawn(screen)
    screen.disconnected("b")
    assert "NO CONNECTION to b since" in drawn(screen)
    assert "1 shard " in drawn(screen)
    tell(screen, alert(0), daemon="a")
    links["a"].heard -= ward_screen.SILENT_S + 1
    assert "a  " in drawn(screen)
    assert "last word 11 s ago" in drawn(screen)
    screen.absent = {"c": "missing are the patients of c"}
    assert "missing are the patients of c" in drawn(screen)
    del links["a"]
    screen.key("down")
    screen.key("a")
    assert "bed-2: a is not there" in drawn(screen)


def test_two_daemons_may_have_streams_of_one_name() -> None:
    screen = screen_of(link(), link())
    tell(screen, alert(0))
    tell(screen, alert(0, phase="end"), daemon="1")
    assert "2 of 2 beds" in drawn(screen)
    assert "HIGH" in line(screen, "bed-2")


def test_more_beds_than_lines_follow_the_selected_one() -> None:
    screen = screen_of()
    for n in range(40):
        screen.ward.bed("0", f"bed-{n}")
    for _ in range(30):
        screen.key("down")
    shown = drawn(screen, height=20)
    assert "> bed-29" in shown
    assert len(shown.splitlines()) <= 20


def test_what_cannot_be_read_is_said_and_markup_is_text() -> None:
    screen = screen_of()
    screen.message("0", b"alert.x", b"{}")
    assert "not a message that this version can read" in drawn(screen)
    tell(screen, alert(0, text="[red]x[/red]"))
    assert "[red]x[/red]" in line(screen, "bed-2")


def test_keys_are_read_one_by_one_and_the_terminal_is_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = pty.openpty()
    with open(theirs, encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        before = termios.tcgetattr(theirs)
        with keyboard.keys() as descriptor:
            assert descriptor is not None
            os.write(ours, b"\x1b[A\x1b[Ba\x7f\x1b")
            assert keyboard.read(descriptor) == ["up", "down", "a", "erase", "escape"]
        assert termios.tcgetattr(theirs) == before
    os.close(ours)


def test_without_a_terminal_there_are_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with keyboard.keys() as descriptor:
        assert descriptor is None


def test_an_impossible_endpoint_is_a_usage_error() -> None:
    console = Console(file=io.StringIO())
    with pytest.raises(UsageError, match="'nonsense'"):
        ward_screen.show(FixedDaemons([Daemon("nonsense")]), console, lambda: True)
