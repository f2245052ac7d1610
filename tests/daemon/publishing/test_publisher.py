"""The publisher's thread, real sockets and a real journal: order, late joiners, slow clients."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import zmq

from beatgan.errors import UsageError
from beatgan.pipeline.outgoing import Outgoing
from beatgan.protocol.alert_journal import JournalEntry
from beatgan.protocol.messages import (
    AlertMessage,
    BeatMessage,
    Message,
    StatusMessage,
    encode_json,
    encode_message,
)
from beatgan.protocol.names import BEAT_BATCH
from beatgan_daemon.clients.client import Client, fetch_alerts
from beatgan_daemon.publishing import beat_messages
from beatgan_daemon.publishing.late_joiners import EVERY_S, MAX_TOPICS, LateJoiners
from beatgan_daemon.publishing.outgoing_queue import Batch, OutgoingQueue
from beatgan_daemon.publishing.publisher import Publisher, PublisherError, Retention
from beatgan_daemon.sockets import subscribed_socket
from beatgan_daemon.sockets.control_socket import ControlSocket
from beatgan_daemon.sockets.publish_socket import PublishSocket
from beatgan_daemon.storage import journal as journalling
from beatgan_daemon.storage.journal import Journal
from beatgan_daemon.storage.spool_file import SpoolFile
from tests.support.actions import RecordedActions
from tests.support.messages import alert_message, beat_message, status_message

ANY = "tcp://127.0.0.1:*"
Logged = Callable[[], list[dict[str, Any]]]
Socket = zmq.Socket[bytes]


class Counts:
    """What the publisher told, under the names of its observer's methods."""

    def __init__(self) -> None:
        self.delays: list[float] = []
        self.drops: Counter[str] = Counter()
        self.figures = (0, 0, 0)
        self.lost = 0
        self.failures = self.checkpoints = self.checkpoint_failures = 0
        self.deleted: Counter[str] = Counter()

    def latencies(self, arrivals: Sequence[float], sent: float) -> None:
        self.delays += [sent - arrived for arrived in arrivals]

    def dropped(self, kind: str, messages: int = 1) -> None:
        self.drops[kind] += messages

    def journal(self, alerts: int, size: int, backlog: int, lost: int = 0) -> None:
        self.figures, self.lost = (alerts, size, backlog), lost

    def journal_failed(self) -> None:
        self.failures += 1

    def checkpointed(self, streams: int) -> None:
        self.checkpoints += streams

    def checkpoint_failed(self, streams: int) -> None:
        self.checkpoint_failures += streams

    def journal_deleted(self, reason: str, alerts: int) -> None:
        self.deleted[reason] += alerts


class Shelf:
    """Checkpoints in memory; saving may be held up."""

    def __init__(self) -> None:
        self.trouble: str | None = None
        self.saved_checkpoints: dict[str, bytes] = {}
        self.largest = 0

    def save(self, checkpoints: Sequence[tuple[str, bytes]]) -> bool:
        if self.trouble is None:
            self.saved_checkpoints.update(checkpoints)
            self.largest = max(self.largest, len(checkpoints))
        return self.trouble is None

    def forget(self, names: Sequence[str]) -> bool:
        for name in names:
            self.saved_checkpoints.pop(name, None)
        return True


class Bench:
    """A publisher, and clients at it."""

    def __init__(self, path: Path | None, resources: ExitStack, high_water: int = 10_000) -> None:
        self.context = resources.enter_context(zmq.Context[Socket]())
        self._resources = resources
        self.counts, self.store = Counts(), Shelf()
        self.actions = RecordedActions()
        self.requests: Counter[tuple[str, str]] = Counter()
        self.said: list[str] = []
        sink = PublishSocket(self.context, ANY, high_water=high_water, linger=0.5)
        control = ControlSocket(
            self.context,
            ANY,
            actions=self.actions,
            requested=lambda kind, outcome: self.requests.update([(kind, outcome)]),
        )
        self.publish, self.control = sink.endpoint, control.endpoint
        self.journal = Journal(path, self.said.append)
        self.publisher = Publisher(
            sink, control, self.journal, self.store, self.counts, Retention(30.0, 64.0)
        )
        resources.callback(self.publisher.close, 10.0)

    def tell(self, *messages: AlertMessage | BeatMessage | StatusMessage) -> None:
        self.publisher.put(Outgoing([*messages], [time.monotonic()] * len(messages)))

    def published(self, *messages: AlertMessage | BeatMessage | StatusMessage) -> None:
        """Likewise, and wait until it is done."""
        done = len(self.counts.delays) + len(messages)
        self.tell(*messages)
        until(lambda: len(self.counts.delays) >= done)

    def subscriber(self, topic: bytes = b"", high_water: int = 0) -> Socket:
        socket = self._resources.enter_context(self.context.socket(zmq.SUB))
        socket.linger = 0
        socket.rcvhwm = high_water
        socket.subscribe(topic)
        socket.connect(self.publish)
        return socket


@pytest.fixture
def new_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    with ExitStack() as resources:

        def make(**overrides: Any) -> Bench:
            return Bench(tmp_path / "journal.db", resources, **overrides)

        yield make


@pytest.fixture
def bench(new_bench: Callable[[], Bench]) -> Bench:
    return new_bench()


def until(condition: Callable[[], bool], what: str = "it never came true") -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail(what)


def received(socket: Socket, number: int) -> list[dict[str, Any]]:
    """The next so many messages."""
    found: list[dict[str, Any]] = []
    for _ in range(number):
        assert socket.poll(5000), f"only {len(found)} of {number} messages came"
        found.append(json.loads(socket.recv_multipart()[1]))
    return found


def greeted(bench: Bench, socket: Socket) -> None:
    """Wait until what is told reaches the subscriber; of a stream of its own."""
    while not socket.poll(10):
        bench.tell(beat_message(-1))
    while socket.poll(50):
        socket.recv_multipart()


def test_everything_is_told_in_order_and_alerts_are_on_the_disk_first(bench: Bench) -> None:
    socket = bench.subscriber()
    greeted(bench, socket)
    bench.tell(
        beat_message(0),
        alert_message(0),
        beat_message(1),
        status_message(),
        alert_message(1, phase="end"),
    )
    bench.tell(beat_message(2))
    published = received(socket, 6)
    assert [message["type"] for message in published] == [
        *("beat", "alert", "beat", "status", "alert", "beat")
    ]
    assert list(fetch_alerts(bench.control)) == [
        encode_json(alert_message(0)),
        encode_json(alert_message(1, phase="end")),
    ]
    assert all(0 <= latency < 5 for latency in bench.counts.delays)


def test_beats_come_in_batches_to_whom_asks_for_them_in_their_order(bench: Bench) -> None:
    everything, batches = bench.subscriber(), bench.subscriber(BEAT_BATCH)
    batches.subscribe(b"alert.")
    greeted(bench, everything)
    greeted(bench, batches)
    while everything.poll(50):
        everything.recv_multipart()
    beats = [beat_message(n) for n in range(100)]
    messages: list[Message] = [*beats[:40], alert_message(0), *beats[40:]]
    bench.publisher.put(Outgoing(messages))
    singly = [everything.recv_multipart() for _ in messages if everything.poll(5000)]
    assert singly == [encode_message(message) for message in messages]
    parts = [batches.recv_multipart() for _ in range(5) if batches.poll(5000)]
    assert [topic for topic, _ in parts] == [BEAT_BATCH] * 2 + [b"alert.bed"] + [BEAT_BATCH] * 2
    expected = b"".join(body + b"\n" for _, body in singly)
    assert b"".join(body if body.endswith(b"\n") else body + b"\n" for _, body in parts) == expected
    assert max(body.count(b"\n") for _, body in parts) == 32
    assert not batches.poll(50)
    assert not everything.poll(50)


def test_beats_that_nobody_is_subscribed_to_are_not_encoded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("encoded")

    socket = bench.subscriber(b"alert.")
    socket.subscribe(b"beat.other")
    bench.tell(alert_message(0))
    assert (
        received(socket, 1)[0]["type"] == "alert"
    )  # again, to a late joiner, or for the first time
    monkeypatch.setattr(beat_messages, "encode_json", fail)
    monkeypatch.setattr(beat_messages, "encode_lines", fail)
    bench.published(beat_message(0), alert_message(1, "b"))
    bench.publisher.put(Outgoing([], [time.monotonic()] * 7))  # of beats that were not built
    assert len(bench.counts.delays) == 1 + 2 + 7
    until(lambda: received(socket, 1)[0]["id"] == "b")


def test_whatever_a_subscriber_has_seen_is_in_the_journal(bench: Bench, tmp_path: Path) -> None:
    socket = bench.subscriber(b"alert.")
    numbers = count()
    while not socket.poll(10):
        n = next(numbers)
        bench.tell(alert_message(n, f"e{n}"))
    (seen,) = received(socket, 1)
    with Client(bench.control) as client:
        assert client.alerts(seen["n"]).bodies[0] == encode_json(
            alert_message(seen["n"], seen["id"])
        )


def test_alarm_states_and_checkpoints_are_kept_and_forgotten(bench: Bench, tmp_path: Path) -> None:
    saved = [(f"bed-{n}", b"whole") for n in range(100)]
    bench.publisher.put(
        Outgoing([alert_message(0)]), {"bed-1": b"alarms", "bed-2": b"alarms"}, saved
    )
    until(lambda: len(bench.store.saved_checkpoints) == 100)
    assert bench.store.largest <= 32  # so that alerts are delivered in between
    bench.publisher.put(Outgoing(), {"bed-2": None})
    until(lambda: len(bench.store.saved_checkpoints) == 99)
    assert bench.counts.checkpoints == 100
    assert bench.publisher.close(5.0)
    journal = Journal(tmp_path / "journal.db", print)
    assert journal.states() == [("bed-1", 1, b"alarms")]
    journal.close()


def test_closing_tells_and_keeps_what_was_put(bench: Bench, tmp_path: Path) -> None:
    socket = bench.subscriber()
    greeted(bench, socket)
    bench.publisher.put(
        Outgoing([alert_message(n, f"e{n}") for n in range(500)]),
        checkpoints=[(f"bed-{n}", b"x") for n in range(500)],
    )
    assert bench.publisher.close(10.0)
    assert [message["n"] for message in received(socket, 500)] == list(range(500))
    assert len(bench.store.saved_checkpoints) == 500
    journal = Journal(tmp_path / "journal.db", print)
    assert journal.next_n == 500
    journal.close()
    with pytest.raises(PublisherError):
        bench.tell(beat_message(0))


def test_who_joins_late_is_told_what_is_under_way(bench: Bench) -> None:
    bench.published(
        alert_message(0, "a"),
        alert_message(1, "b"),
        alert_message(2, "a", "update"),
        alert_message(3, "b", "end"),
    )
    bench.published(alert_message(4, "c", stream="other"))
    everything, bed = bench.subscriber(), bench.subscriber(b"alert.bed")
    beats = bench.subscriber(b"beat.")
    published = received(everything, 2)
    assert [(m["n"], m["id"], m["repeat"]) for m in published] == [(2, "a", True), (4, "c", True)]
    (again,) = received(bed, 1)
    assert again.pop("repeat") is True
    assert again == json.loads(encode_json(alert_message(2, "a", "update")))
    assert not beats.poll(100)


def test_repeats_are_coalesced_and_cease(bench: Bench) -> None:
    bench.published(alert_message(0))
    first = bench.subscriber(b"alert.")
    received(first, 1)
    began = time.monotonic()
    crowd = [bench.subscriber(b"alert.") for _ in range(20)]
    for socket in crowd:
        assert received(socket, 1)[0]["repeat"]
    assert time.monotonic() - began > 0.5 * EVERY_S
    time.sleep(0.1)
    again = 0
    while first.poll(50):
        first.recv_multipart()
        again += 1
    assert again <= 3
    assert list(fetch_alerts(bench.control)) == [
        encode_json(alert_message(0))
    ]  # no repeat is journaled


def test_a_slow_subscriber_holds_nothing_up_and_can_make_up_for_its_losses(
    new_bench: Callable[..., Bench],
) -> None:
    bench = new_bench(high_water=10)
    slow, fast = bench.subscriber(high_water=10), bench.subscriber(b"alert.")
    greeted(bench, slow)
    bench.tell(alert_message(0, "e0"))
    received(fast, 1)
    for first in range(1, 20_001, 1000):
        bench.tell(
            *(beat_message(n) for n in range(first, first + 1000)),
            alert_message(first // 1000 + 1, "e1"),
        )
    heard = {m["n"] for m in received(fast, 20)}
    assert heard == set(range(1, 21))
    assert max(bench.counts.delays) < 10.0
    seen = []
    while slow.poll(200):
        seen.append(json.loads(slow.recv_multipart()[1]))
    assert len(seen) < 20_000
    missed = set(range(21)) - {m["n"] for m in seen if m["type"] == "alert"}
    saved_checkpoints = {json.loads(body)["n"] for body in fetch_alerts(bench.control)}
    assert missed <= saved_checkpoints == set(range(21))


def test_a_client_that_reads_nothing_holds_nothing_up(bench: Bench) -> None:
    bench.tell(*(alert_message(n, f"e{n}") for n in range(2000)))
    with bench.context.socket(zmq.DEALER) as deaf:
        deaf.linger = 0
        deaf.rcvhwm = 1
        deaf.connect(bench.control)
        for _ in range(300):
            deaf.send(b'{"v":1,"type":"alerts","since":0}')
        began = time.monotonic()
        with Client(bench.control) as client:
            assert len(client.alerts(0).bodies) == 1000
            assert client.active(1999).bodies == [encode_json(alert_message(1999, "e1999"))]
        socket = bench.subscriber(b"beat.")
        greeted(bench, socket)
        assert time.monotonic() - began < 5.0


def test_acknowledgements_reach_the_pipeline(bench: Bench) -> None:
    bench.tell(alert_message(0, "bed/0/0/x/1"))
    with Client(bench.control) as client:
        until(lambda: len(client.active().bodies) == 1)
        client.acknowledge("bed/0/0/x/1")
    assert bench.actions.acknowledged == [("bed/0/0/x/1", None)]
    assert bench.requests["acknowledge", "ok"] == 1


def test_a_full_disk_is_counted_and_holds_nothing_up(bench: Bench) -> None:
    bench.published(alert_message(0))
    socket = bench.subscriber(b"alert.")
    received(socket, 1)
    tables = bench.journal._file.tables
    assert tables is not None
    (pages,) = tables.database.execute("PRAGMA page_count").fetchone()
    tables.database.execute(f"PRAGMA max_page_count = {pages}")
    bench.tell(*(alert_message(n, "e" * 200 + str(n)) for n in range(1, 101)))
    assert [m["n"] for m in received(socket, 100)] == list(range(1, 101))
    assert bench.publisher.trouble == "database or disk is full"
    until(lambda: bench.counts.failures > 1 and bench.counts.figures[2] == 100)
    assert len(list(fetch_alerts(bench.control))) == 101
    tables.database.execute("PRAGMA max_page_count = 1073741823")
    until(lambda: bench.publisher.trouble is None)
    until(lambda: bench.counts.figures[0] == 101 and bench.counts.figures[2] == 0)
    assert len(bench.said) == 2


def test_alerts_that_never_get_to_the_disk_are_counted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journalling, "BACKLOG_BYTES", 1000)
    bench.published(alert_message(0))
    tables = bench.journal._file.tables
    assert tables is not None
    tables.database.execute("PRAGMA query_only = 1")
    bench.published(*(alert_message(n, f"e{n}") for n in range(1, 101)))
    until(lambda: bench.counts.lost > 90)
    assert bench.counts.lost + bench.counts.figures[2] == 100
    tables.database.execute("PRAGMA query_only = 0")
    until(lambda: bench.publisher.trouble is None)


def test_old_alerts_go_while_it_runs_and_are_counted_and_told(
    bench: Bench, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    bench.tell(*(alert_message(n, f"e{n}") for n in range(1200)))
    bench.publisher.retention = Retention(0.0, 64.0)
    until(lambda: not list(fetch_alerts(bench.control)))
    until(lambda: bench.counts.deleted == {"age": 1200})
    lines = [line for line in logged() if line["event"] == "alerts deleted"]
    assert sum(line["count"] for line in lines) == 1200
    assert (lines[-1]["reason"], lines[-1]["oldest"]) == ("age", 1200)


def test_a_disk_that_hangs_holds_up_no_message_and_no_request(bench: Bench) -> None:
    """The alert comes within the bound, beats after it at once, and so do answers from memory."""
    socket = bench.subscriber()
    greeted(bench, socket)
    bench.published(alert_message(0, "a"))
    received(socket, 1)
    hangs = Event()
    bench.journal._disk.submit(lambda: hangs.wait(30))
    began = time.monotonic()
    bench.tell(alert_message(1, "b"), beat_message(0))
    assert [m["type"] for m in received(socket, 2)] == ["alert", "beat"]
    bench.tell(*(alert_message(n, f"e{n}") for n in range(2, 50)))
    assert len(received(socket, 48)) == 48
    with Client(bench.control) as client:
        assert len(client.active().bodies) == 50
        with pytest.raises(UsageError, match="unavailable"):
            client.alerts(0)
    assert time.monotonic() - began < 5.0
    until(lambda: "has not answered" in str(bench.publisher.trouble))
    assert "alerts cannot be written" in str(bench.publisher.unready())
    hangs.set()
    until(lambda: bench.publisher.trouble is None)
    assert len(list(fetch_alerts(bench.control))) == 50
    assert bench.publisher.unready() is None


def test_what_is_never_stored_is_known_after_the_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(SpoolFile, "add", full)
    bench.published(alert_message(0, "a"))
    tables = bench.journal._file.tables
    assert tables is not None
    tables.database.execute("PRAGMA query_only = 1")
    bench.published(*(alert_message(n, f"e{n}") for n in range(1, 4)))
    bench.store.trouble = "full"
    bench.publisher.put(Outgoing(), checkpoints=[("bed-1", b"x")])
    assert bench.publisher.close(10.0)
    assert bench.publisher.unstored() == (3, 1, 3)
    assert bench.publisher.unsaved == 1


def test_reopened_sockets_take_their_callers_back(bench: Bench) -> None:
    socket = bench.subscriber()
    bench.tell(alert_message(0))
    with Client(bench.control) as client:
        until(lambda: len(client.alerts(0).bodies) == 1)
        greeted(bench, socket)
        bench.publisher.reopen()
        assert received(socket, 1)[0]["repeat"]  # it has subscribed again
        assert len(client.alerts(0).bodies) == 1


def test_too_many_subscriptions_end_and_others_begin_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    monkeypatch.setattr(subscribed_socket, "MAX_SUBSCRIBED", 10_000)
    bench.tell(alert_message(0))
    patient, rogue = bench.subscriber(), bench.subscriber(b"x")
    greeted(bench, patient)
    for k in range(200):
        rogue.subscribe(b"x%099d" % k)
    until(lambda: any(each["event"] == "too many subscriptions" for each in logged()))
    rogue.close()
    until(lambda: patient.poll(0) > 0)
    assert received(patient, 1)[0]["repeat"]  # it has subscribed again


def test_at_rest_it_moves_and_does_not_spin(bench: Bench) -> None:
    first = bench.publisher.moved()
    before = time.process_time()
    until(lambda: bench.publisher.moved() > first)
    began = time.monotonic()
    before = time.process_time()
    time.sleep(1.5)
    assert time.process_time() - before < 0.5 * (time.monotonic() - began)
    assert time.monotonic() - bench.publisher.moved() < 2.0


def test_a_failure_reaches_the_pipeline(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Event()

    def fail(*_: object) -> None:
        gone.set()
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(bench.journal, "append", fail)
    bench.tell(alert_message(0))
    assert gone.wait(5.0)
    bench.publisher._thread.join(5.0)
    with pytest.raises(PublisherError) as caught:
        bench.tell(beat_message(0))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


# --- parts ----------------------------------------------------------------------------------------


def test_the_handover_drops_beats_but_no_alert() -> None:
    drops: Counter[str] = Counter()
    handover = OutgoingQueue(lambda kind, count: drops.update({kind: count}), bound=3)
    some: list[Message] = [
        beat_message(0),
        status_message(),
        beat_message(1),
        alert_message(0),
        beat_message(2),
        status_message(),
        alert_message(1),
    ]
    handover.put(Outgoing(some), {}, [])
    taken = handover.take().outgoing.messages
    assert taken == [
        beat_message(0),
        status_message(),
        beat_message(1),
        alert_message(0),
        alert_message(1),
    ]
    assert drops == {"beat": 1, "status": 1}
    handover.put(Outgoing([beat_message(3)]), {}, [])
    assert handover.take().outgoing == Outgoing([beat_message(3)])
    handover.close()


def test_a_later_state_takes_the_place_of_one_that_waits() -> None:
    handover = OutgoingQueue(lambda kind, count: None)
    handover.put(Outgoing(), {"a": b"1", "b": b"1"}, [("a", b"1"), ("b", b"1")])
    handover.put(Outgoing(), {"a": b"2", "b": None}, [("a", b"2")])
    batch = handover.take()
    assert batch.alarm_states == {"a": b"2", "b": None}
    assert batch.checkpoints == {"a": b"2", "b": None}
    assert handover.take() == Batch(Outgoing(), {}, {}, [], [])
    handover.close()


def episode(n: int, stream: str = "bed") -> JournalEntry:
    return JournalEntry(n, f"e{n}", stream, "start", b"{}")


def test_joiners_hear_of_their_topics_alone() -> None:
    active = [episode(0), episode(1, "bed-2"), episode(2, "other")]
    for topic, expected in {
        b"": ["e0", "e1", "e2"],
        b"al": ["e0", "e1", "e2"],
        b"alert.bed": ["e0", "e1"],
        b"alert.bed-2": ["e1"],
        b"beat.": [],
        b"alerts": [],
    }.items():
        joiners = LateJoiners()
        joiners.subscribed(topic)
        assert joiners.episodes(active, 0.0, 10) == expected
        assert joiners.due() is None


def test_joiners_are_served_together_and_little_by_little() -> None:
    joiners, active = LateJoiners(), [episode(n) for n in range(5)]
    joiners.subscribed(b"")
    assert joiners.episodes(active, 0.0, 2) == ["e0", "e1"]
    joiners.subscribed(b"")
    assert joiners.episodes(active, 0.001, 2) == []  # not all at once
    assert joiners.episodes(active, 0.1, 2) == ["e2", "e3"]
    assert joiners.episodes(active, 0.2, 2) == ["e4"]
    assert joiners.due() == pytest.approx(0.2 + EVERY_S)
    assert joiners.episodes(active, 0.3, 2) == []
    assert joiners.episodes(active, 0.2 + EVERY_S, 9) == ["e0", "e1", "e2", "e3", "e4"]


def test_a_flood_of_topics_is_bounded() -> None:
    joiners = LateJoiners()
    for n in range(10 * MAX_TOPICS):
        joiners.subscribed(b"alert.%d" % n)
    assert len(joiners._topics) <= MAX_TOPICS + 1
    assert joiners.episodes([episode(0)], 0.0, 9) == ["e0"]


def test_a_disk_that_is_done_after_the_end_wakes_nobody() -> None:
    queue = OutgoingQueue(lambda kind, count: None)
    queue.close()
    queue.wake()
    queue.close()
