"""What the publish socket sends to whom, and knows of who is subscribed."""

from contextlib import ExitStack

import pytest
import zmq

from beatgan.protocol.names import BEAT_BATCH
from beatgan.protocol.subscriptions import WantedBeats
from beatgan_daemon.sockets.publish_socket import PublishSocket
from tests.support.zmtp import part, shaken

ANY = "tcp://127.0.0.1:*"
Socket = zmq.Socket[bytes]
Context = zmq.Context[Socket]


def taken_in(sink: PublishSocket, *sockets: Socket) -> WantedBeats:
    """What is wanted once nothing more is said; sockets send while their own thread attends."""
    quiet = 0
    while quiet < 20:
        for each in sockets:
            each.poll(0)
        quiet = 0 if sink.socket.poll(10) else quiet + 1
        list(sink.subscriptions())
    return sink.wanted


def topics(subscriber: Socket) -> list[bytes]:
    """Of the messages that have come."""
    received = []
    while subscriber.poll(200):
        received.append(subscriber.recv_multipart()[0])
    return received


def test_who_wants_beats_in_batches_gets_them_and_nobody_else(context: Context) -> None:
    asked: dict[bytes, list[bytes]] = {
        b"": [b"alert.a", b"beat.a", b"status.a"],
        b"b": [b"beat.a"],
        b"beat": [b"beat.a"],
        b"beat.a": [b"beat.a"],
        b"beats": [],
        b"ba": [BEAT_BATCH],
        BEAT_BATCH: [BEAT_BATCH],
    }
    with PublishSocket(context, ANY) as sink, ExitStack() as resources:
        subscribers = {topic: resources.enter_context(context.socket(zmq.SUB)) for topic in asked}
        for topic, each in subscribers.items():
            each.subscribe(topic)
            each.connect(sink.endpoint)
        taken_in(sink, *subscribers.values())
        for topic in (b"alert.a", b"beat.a", b"status.a", BEAT_BATCH):
            sink.send(topic, b"")
        assert {asked_for: topics(each) for asked_for, each in subscribers.items()} == asked
        subscribers[b""].unsubscribe(b"")
        taken_in(sink, subscribers[b""])
        for topic in (b"alert.a", b"beat.a", b"status.a", BEAT_BATCH):
            sink.send(topic, b"")
        assert topics(subscribers[b""]) == []
        assert topics(subscribers[b"b"]) == [b"beat.a"]


def test_a_sink_knows_whether_beats_are_wanted(context: Context, subscriber: Socket) -> None:
    with PublishSocket(context, ANY) as sink, context.socket(zmq.SUB) as other:
        assert sink.wanted == WantedBeats()
        subscriber.connect(sink.endpoint)
        subscriber.subscribe(b"alert.")
        assert taken_in(sink, subscriber) == WantedBeats()
        subscriber.subscribe(b"beat.bed")
        other.connect(sink.endpoint)
        other.subscribe(BEAT_BATCH)
        assert taken_in(sink, subscriber, other) == WantedBeats((b"beat.bed",), batched=True)
        other.close()
        assert taken_in(sink, subscriber) == WantedBeats((b"beat.bed",))
        subscriber.unsubscribe(b"beat.bed")
        assert taken_in(sink, subscriber) == WantedBeats()
        subscriber.subscribe(b"")
        assert taken_in(sink, subscriber) == WantedBeats((b"beat.",))
        sink.reopen()
        assert sink.wanted == WantedBeats()
        for _ in range(100):
            if taken_in(sink, subscriber) == WantedBeats((b"beat.",)):
                break
        else:
            pytest.fail("it never subscribed again")


def test_nobody_unsubscribes_others(context: Context, subscriber: Socket) -> None:
    """A raw client says what it likes; a SUB or XSUB socket ends its own subscriptions alone."""
    with (
        PublishSocket(context, ANY) as sink,
        shaken(int(sink.endpoint.rpartition(":")[2]), b"SUB") as rogue,
    ):
        subscriber.subscribe(b"beat.")
        subscriber.connect(sink.endpoint)
        assert taken_in(sink, subscriber) == WantedBeats((b"beat.",))
        for _ in range(3):
            rogue.sendall(part(b"\x00beat."))
        rogue.sendall(part(b"\x01" + BEAT_BATCH))
        assert taken_in(sink, subscriber) == WantedBeats((b"beat.",), batched=True)
        sink.send(b"beat.bed", b"{}")
        assert subscriber.poll(5000)
