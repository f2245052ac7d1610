"""What a tab gets, of a daemon that the test speaks for."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from struct import unpack_from
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from beatgan.protocol.messages import BeatMessage
from beatgan_daemon.web.tab import MOST_STREAMS
from tests.daemon.web.conftest import Daemon, Web, eventually, until
from tests.support.actions import entry
from tests.support.messages import alert_message, beat_message

WANT = {"t": "want", "streams": [{"stream": "bed-1", "leads": [0], "zoom": "full"}]}


def beat(n: int, **more: Any) -> BeatMessage:
    return replace(beat_message(n), **{"stream": "bed-1", "epoch": 7, **more})


def is_beats(said: Any) -> bool:
    return not isinstance(said, bytes) and said["t"] == "beats"


def samples_of(beats: Any) -> list[int]:
    return [each["sample"] for each in beats["beats"]]


@contextmanager
def opened(web: Web) -> Iterator[ClientConnection]:
    with web.socket() as socket:
        until(socket, lambda said: said["t"] == "streams" and said["streams"])
        yield socket


def test_samples_come_whole_in_order_and_within_5_microvolt(daemon: Daemon, web: Web) -> None:
    ecg = np.random.default_rng(1).normal(0, 1, 720).astype(np.float32)
    ecg[100:110] = np.nan
    with opened(web) as socket:
        socket.send(json.dumps(WANT))
        daemon.wait_for(daemon.tap, b"ecg.bed-1")
        for first in range(0, 720, 72):
            daemon.frame("bed-1", 1_000 + first, ecg[first : first + 72])
            daemon.frame("bed-10", first, ecg[:72])  # a topic is a prefix
        got: list[int] = []
        while len(got) < 720:
            message = until(socket, lambda said: isinstance(said, bytes))
            at = 0
            while at < len(message):
                index, lead, n, kind, first, fs = unpack_from("<HHHHdf", message, at)
                assert (index, lead, kind, fs) == (0, 0, 0, 360.0)
                assert first == 1_000 + len(got)
                got += unpack_from(f"<{n}h", message, at + 24)
                at += 24 + 2 * n
    units = np.array(got)
    assert (units[100:110] == -32_768).all()
    there = ~np.isnan(ecg)
    assert np.abs(units[there] * 0.005 - ecg[there]).max() <= 0.0025 + 1e-6


def test_beats_and_a_heart_rate(daemon: Daemon, web: Web) -> None:
    with opened(web) as socket:
        socket.send(json.dumps(WANT))
        daemon.wait_for(daemon.outlet, b"beat.bed-1")
        for n in range(9):
            daemon.beat(beat(n, rr_ms=800.0 if n else None))
        assert until(socket, lambda said: said["t"] == "rate" and said["hr"])["hr"] == 75.0


def test_a_tab_that_comes_later_has_the_beats_of_before(daemon: Daemon, web: Web) -> None:
    """The first one is gone; the stream's samples are counted anew once."""
    with opened(web) as socket:
        socket.send(json.dumps(WANT))
        daemon.wait_for(daemon.outlet, b"beat.bed-1")
        daemon.beat(beat(99, epoch=0))
        for n in range(3):
            daemon.beat(beat(n))
        until(socket, lambda said: said["t"] == "beats" and said["beats"][-1]["sample"] == 2)
    with opened(web) as socket:
        socket.send(json.dumps(WANT))
        said = until(socket, lambda said: said["t"] == "beats")
    assert samples_of(said) == [0, 1, 2]


def test_a_source_that_begins_anew_brings_nothing_of_before(daemon: Daemon, web: Web) -> None:
    """Its samples are counted from another moment, and it may be somebody else."""
    with opened(web) as first, opened(web) as second:
        first.send(json.dumps(WANT))
        daemon.wait_for(daemon.outlet, b"beat.bed-1")
        for n in range(3):
            daemon.beat(beat(n, sample=5_000 + n, rr_ms=800.0))
        assert until(first, lambda said: said["t"] == "rate" and said["hr"])["hr"] == 75.0
        daemon.beat(beat(0, epoch=8, sample=100, rr_ms=800.0))
        daemon.actions.entries["bed-1"] = entry("bed-1", epoch=8)
        until(first, lambda said: said["t"] == "streams" and said["streams"][0]["epoch"] == "8")
        assert samples_of(until(first, is_beats)) == [100]
        assert until(first, lambda said: said["t"] == "rate")["hr"] == 75.0  # the same; told anew
        second.send(json.dumps(WANT))
        assert samples_of(until(second, is_beats)) == [100]


def test_what_is_sent_is_numbered_by_the_list_that_the_page_has(daemon: Daemon, web: Web) -> None:
    with opened(web) as socket:
        socket.send(json.dumps(WANT))
        daemon.wait_for(daemon.tap, b"ecg.bed-1")
        daemon.frame("bed-1", 0, np.zeros(72))
        assert unpack_from("<H", until(socket, lambda said: isinstance(said, bytes))) == (0,)
        daemon.actions.entries["bed-1"] = entry("bed-1", leads=("V5",))  # as the list has it now
        until(socket, lambda said: said["t"] == "streams" and said["streams"][0]["leads"] == ["V5"])
        daemon.frame("bed-1", 72, np.zeros(72))  # II still: not under the name of V5
        for _ in range(2):
            until(socket, lambda said: said["t"] == "alive")
        daemon.actions.entries["bed-1"] = entry("bed-1")
        record = until(socket, lambda said: isinstance(said, bytes) or said["t"] == "streams")
        assert record["t"] == "streams"  # the samples come behind the list that names their lead
        until(socket, lambda said: isinstance(said, bytes))


def test_an_alert_that_was_not_heard_is_fetched_in_its_place(daemon: Daemon, web: Web) -> None:
    with opened(web) as socket:
        daemon.alert(alert_message(0, "a"))
        daemon.alert(alert_message(1, "b"), heard=False)
        daemon.alert(alert_message(2, "c"))
        said = [until(socket, lambda said: said["t"] == "alert") for _ in range(3)]
        assert [(each["n"], each["id"]) for each in said] == [(0, "a"), (1, "b"), (2, "c")]
        assert said[0]["epoch"] == "0"  # a string: it may have 64 bits
        listed = until(socket, lambda said: said["t"] == "active" and len(said["alarms"]) == 3)
        assert {each["id"] for each in listed["alarms"]} == {"a", "b", "c"}


def test_an_acknowledgement_goes_to_the_daemon_and_counts_when_it_says_so(
    daemon: Daemon, web: Web
) -> None:
    with opened(web) as socket:
        daemon.alert(alert_message(0, "a"))
        until(socket, lambda said: said["t"] == "alert")
        socket.send(json.dumps({"t": "ack", "id": "a", "name": "Anna"}))
        eventually(lambda: daemon.actions.acknowledged == [("a", "Anna")])
        daemon.alert(replace(alert_message(1, "a", "update"), acknowledged=True, by="Anna"))
        said = until(socket, lambda said: said["t"] == "acknowledged")
        assert said == {"t": "acknowledged", "id": "a", "by": "Anna"}


def test_a_refusal_is_told(daemon: Daemon, web: Web) -> None:
    with opened(web) as socket:
        socket.send(json.dumps({"t": "ack", "id": "gone", "name": "Anna"}))
        assert "unknown-episode" in until(socket, lambda said: said["t"] == "refused")["text"]
        socket.send(json.dumps({"t": "ack", "id": "gone", "name": " "}))
        assert "who you are" in until(socket, lambda said: said["t"] == "refused")["text"]
    assert daemon.actions.acknowledged == []


def test_every_acknowledgement_is_answered_however_many(web: Web) -> None:
    with opened(web) as socket:
        for k in range(40):
            socket.send(json.dumps({"t": "ack", "id": f"gone-{k}", "name": "Anna"}))
        said = [until(socket, lambda said: said["t"] == "refused")["id"] for _ in range(40)]
        assert sorted(said) == sorted(f"gone-{k}" for k in range(40))


NO_MESSAGES = [
    "hello",
    b"\0\xff",
    "[" * 8_000,
    '{"t":' * 3_000,
    *(
        json.dumps({"t": "want", "streams": [{"stream": name, "leads": [0], "zoom": "full"}]})
        for name in ("", "é", "bed-1\n", "a.b", "<b>")
    ),
]


@pytest.mark.parametrize("said", NO_MESSAGES, ids=range(len(NO_MESSAGES)))
def test_what_is_no_message_ends_the_page_that_sent_it_alone(
    web: Web, said: str | bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with opened(web) as other, opened(web) as socket:
        socket.send(said)
        with pytest.raises(ConnectionClosed) as closed:
            until(socket, lambda said: False)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1007
        for _ in range(2):
            until(other, lambda said: said["t"] == "alive")
    assert "Traceback" not in capfd.readouterr().err


def test_a_page_that_asks_too_much_is_shut(web: Web) -> None:
    each = {"stream": "bed-1", "leads": [0], "zoom": "full"}
    with opened(web) as socket:
        socket.send(json.dumps({"t": "want", "streams": [each] * (MOST_STREAMS + 1)}))
        with pytest.raises(ConnectionClosed) as closed:
            until(socket, lambda said: False)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1007


def test_a_daemon_that_is_silent_is_told_of(daemon: Daemon, web: Web) -> None:
    with opened(web) as socket:
        said = until(socket, lambda said: said["t"] == "alive")
        assert said["daemon_s"] < 3
        daemon._stop.set()
        daemon._thread.join()
        assert until(socket, lambda said: said["t"] == "alive" and said["daemon_s"] > 3)
