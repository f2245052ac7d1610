"""Streams as they are listed, what a discharge leaves behind, and who did it."""

from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

import msgspec
import pytest

from beatgan.errors import StreamError
from beatgan.pipeline.engine import Engine
from beatgan.protocol.messages import (
    AlertMessage,
    Message,
    StatusMessage,
    decode_alert,
    encode_json,
)
from beatgan.types import Floats
from beatgan_daemon.ingest.overload import OverloadPolicy
from beatgan_daemon.publishing.stream_actions import (
    Acknowledgement,
    Discharge,
    StreamActionQueue,
)
from beatgan_daemon.security.allow_list import Client, Server
from tests.support.chunks import START_NS, make_chunk

NewEngine = Callable[..., tuple[Engine, Counter[str]]]
NOW_NS = 1_800_000_000 * 10**9
SECOND_NS = 10**9


class Ward:
    """An engine, and what clients ask of its streams; time passes as told."""

    def __init__(self, engine: Engine, patient: Floats) -> None:
        self.engine, self._patient = engine, patient
        self.now, self.shed = 100.0, list[str]()
        self.known: dict[str, Client | Server] = {}
        self.actions = StreamActionQueue(
            engine,
            self._shed,
            lambda sender: self.known.get(sender),
            lambda: self.now,
            lambda: NOW_NS + round(self.now * 1e9),
        )

    def _shed(self) -> Collection[str]:
        return self.shed

    def send(self, stream: str, first: int = 0, samples: int = 720, key: str | None = None) -> None:
        signal = self._patient[first : first + samples]
        self.engine.receive(make_chunk(signal, first, stream=stream), self.now, key)

    def poll(self, seconds: float = 0.0) -> list[Message]:
        self.now += seconds
        return self.engine.poll(self.now).messages

    def discharge(self, stream: str, by: str | None = "desk") -> list[Message]:
        return self.engine.discharge(stream, by, 77, self.now).messages


@pytest.fixture
def ward(new_engine: NewEngine, patient: Floats) -> Ward:
    return Ward(new_engine(silence=5.0, max_streams=2)[0], patient)


def alerts(messages: list[Message]) -> list[AlertMessage]:
    return [each for each in messages if isinstance(each, AlertMessage)]


def test_a_stream_is_listed_with_all_that_is_known(ward: Ward) -> None:
    key, server = "k" * 40, b"s" * 40
    ward.known = {
        key: Client("gate-1", frozenset()),
        "tcp://10.0.0.7:1": Server(server),
    }
    ward.send("bed-2", key="tcp://10.0.0.7:1")
    ward.now += 1.0
    ward.send("bed-1", key=key)
    ward.now += 3.0
    ward.poll()
    one, two = ward.actions.streams("", 10)
    assert (one.stream, one.state, one.sender, one.key) == ("bed-1", "watched", "gate-1", key)
    assert (two.stream, two.sender, two.key) == ("bed-2", "tcp://10.0.0.7:1", server.decode())
    assert one.since_ns == one.received_ns == NOW_NS + 101 * SECOND_NS
    assert (one.last_sample, one.fs, one.leads) == (719, 360.0, ("lead 0",))
    assert one.next_sample == 720
    assert one.last_sample_ns == START_NS + round(719 * 1e9 / 360)
    assert [each.stream for each in ward.actions.streams("bed-1", 10)] == ["bed-2"]
    assert [each.stream for each in ward.actions.streams("", 1)] == ["bed-1"]
    assert ward.actions.stream("bed-3") is None


def test_since_when_a_stream_is_as_it_is(ward: Ward) -> None:
    def stands() -> tuple[str, int]:
        entry = ward.actions.stream("bed")
        assert entry is not None
        return entry.state, (entry.since_ns - NOW_NS) // SECOND_NS

    ward.send("bed")
    assert stands() == ("watched", 100)
    ward.now += 2.0
    ward.send("bed", 720)
    ward.poll()
    assert stands() == ("watched", 100)
    ward.poll(7.0)
    assert stands() == ("silent", 102)
    ward.send("bed", 1440)
    assert stands() == ("watched", 109)
    ward.shed.append("bed")
    assert stands() == ("shed", 109)


def test_a_discharge_frees_the_place_and_ends_the_alarms(ward: Ward) -> None:
    ward.send("bed-1")
    ward.send("bed-2")
    with pytest.raises(StreamError, match="at most 2"):
        ward.send("bed-3")
    raised = alerts(ward.poll(6.0))
    assert {each.code for each in raised} >= {"signal.no-data"}
    messages = ward.discharge("bed-1")
    ends = [each for each in alerts(messages) if each.phase == "end"]
    assert {each.code for each in ends} == {"signal.no-data", "signal.discharged"}
    for each in ends:
        assert (each.by, each.discharged_ns, each.end_sample) == ("desk", 77, 720)
        assert decode_alert(encode_json(each)) == each
    (ended,) = [each for each in messages if isinstance(each, StatusMessage)]
    assert (ended.state, ended.text) == ("ended", "discharged by desk")
    assert ward.engine.streams() == ("bed-2",)
    assert {m.stream for m in ward.engine.active_alarms.active.values()} == {"bed-2"}
    ward.send("bed-3")
    numbers = [each.n for each in [*raised, *alerts(messages)]]
    assert numbers == list(range(len(numbers)))


def test_every_discharge_is_told_though_there_was_no_alarm(ward: Ward) -> None:
    ward.send("bed-1")
    ward.poll(1.0)
    start, end = alerts(ward.discharge("bed-1", None))
    assert (start.code, start.phase, start.priority) == ("signal.discharged", "start", "low")
    assert (end.id, end.phase, end.discharged_ns) == (start.id, "end", 77)
    assert b'"by"' not in encode_json(end)
    ward.send("bed-1", 720)
    assert ward.engine.knows("bed-1"), "a source that goes on sending is watched anew"


def test_what_is_latched_ends_with_the_discharge(ward: Ward) -> None:
    ward.send("bed-1")
    ward.poll(6.0)
    alarms = ward.engine.active_alarms
    (message,) = [each for each in alarms.active.values() if each.stream == "bed-1"]
    asystole = msgspec.structs.replace(
        message, id="x", code="rhythm.asystole", priority="high", phase="start"
    )
    alarms.take(asystole)
    (latched,) = alarms.take(msgspec.structs.replace(asystole, phase="end", end_sample=700))
    assert latched.latched
    ends = [each for each in alerts(ward.discharge("bed-1")) if each.id == "x"]
    assert [(each.phase, each.latched, each.by) for each in ends] == [("end", False, "desk")]
    assert alarms.latched() == 0


def test_alarms_of_a_stream_that_is_gone_end_likewise(ward: Ward) -> None:
    ward.send("bed-1")
    ward.poll(6.0)
    ended = ward.engine.active_alarms.discharge("bed-1", "desk", 5)
    assert [(each.phase, each.by, each.discharged_ns) for each in ended] == [("end", "desk", 5)]


def test_what_was_asked_for_comes_in_order(ward: Ward) -> None:
    ward.actions.acknowledge(["a", "b"], "desk")
    ward.actions.discharge("bed", None)
    at_ns = NOW_NS + 100 * SECOND_NS
    expected: list[Any] = [
        Acknowledgement(("a", "b"), "desk", at_ns),
        Discharge("bed", None, at_ns),
    ]
    assert list(ward.actions.take()) == expected
    assert list(ward.actions.take()) == []


def test_a_shed_stream_that_is_discharged_takes_no_place() -> None:
    overload = OverloadPolicy(0.5, 3, 0.0)
    assert overload.shed_more(["a", "b", "c"], 1.0) == ["c"]
    assert overload.refuses("d")
    assert "d" not in overload.shed, "there is no room in the line"
    overload.forget("b")
    assert overload.refuses("d")
    assert list(overload.shed) == ["c", "d"]
    overload.forget("c")
    assert list(overload.shed) == ["d"]
