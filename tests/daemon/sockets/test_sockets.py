"""The real sockets on loopback: what arrives, what is refused, and that nothing blocks."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from beatgan.errors import BeatganError, UsageError
from beatgan.protocol.messages import encode_message
from beatgan_daemon import descriptors
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.sockets import bound_socket, subscribed_socket
from beatgan_daemon.sockets.ingest_socket import IngestSocket
from beatgan_daemon.sockets.publish_socket import PublishSocket
from tests.support.messages import beat_message

ANY = "tcp://127.0.0.1:*"
Socket = zmq.Socket[bytes]
Context = zmq.Context[Socket]


@pytest.fixture
def publisher(context: Context) -> Iterator[Socket]:
    with context.socket(zmq.XPUB) as xpub:
        xpub.linger = 0
        yield xpub


def await_subscription(publisher: Socket, source: IngestSocket) -> None:
    """A SUB socket subscribes at a new peer only while its own thread attends to it."""
    for _ in range(500):
        source.wait(0.0)
        if publisher.poll(10):
            assert publisher.recv() == b"\x01ecg."
            return
    pytest.fail("no subscription came")


def test_a_source_hears_only_ecg(context: Context, publisher: Socket) -> None:
    with IngestSocket(context, [ANY]) as source:
        publisher.connect(source.endpoint)
        await_subscription(publisher, source)
        for topic in (b"beat.bed", b"ecg.bed", b"ecg", b"ecg.other"):
            publisher.send_multipart([topic, b"header", b"payload"])
        received = []
        while source.wait(0.5):
            received.append(source.receive())
        assert received == [
            [b"ecg.bed", b"header", b"payload"],
            [b"ecg.other", b"header", b"payload"],
        ]
        assert source.receive() is None


def test_a_source_binds_and_connects_as_often_as_asked(context: Context) -> None:
    with context.socket(zmq.XPUB) as one, context.socket(zmq.XPUB) as two:
        port = one.bind_to_random_port("tcp://127.0.0.1")
        with IngestSocket(context, [ANY, ANY], [f"tcp://127.0.0.1:{port}"]) as source:
            assert len(set(source.endpoints)) == 2
            two.connect(source.endpoints[1])
            for each in (one, two):
                await_subscription(each, source)
                each.send_multipart([b"ecg.bed", b"", b""])
            for _ in range(2):
                assert source.wait(5.0)
                assert source.receive() is not None


def test_an_oversized_part_costs_its_sender_the_connection(
    context: Context, publisher: Socket
) -> None:
    with IngestSocket(context, [ANY], max_part=1000) as source:
        publisher.connect(source.endpoint)
        await_subscription(publisher, source)
        publisher.send_multipart([b"ecg.bed", b"", bytes(1001)])
        for _ in range(500):  # it reconnects by itself
            publisher.send_multipart([b"ecg.bed", b"", b"small"])
            if source.wait(0.01):
                break
        assert source.receive() == [b"ecg.bed", b"", b"small"]


def test_waiting_ends_in_time(context: Context) -> None:
    with IngestSocket(context, [ANY]) as source:
        began = time.monotonic()
        assert not source.wait(0.05)
        assert 0.04 < time.monotonic() - began < 1.0
        assert not source.wait(-1.0)


def test_a_sink_reaches_its_subscribers(context: Context, subscriber: Socket) -> None:
    with PublishSocket(context, ANY) as sink:
        subscriber.subscribe(b"beat.bed")
        subscriber.connect(sink.endpoint)
        for n in range(500):
            list(sink.subscriptions())
            sink.send(*encode_message(beat_message(n)))
            if subscriber.poll(20):
                break
        parts = subscriber.recv_multipart()
        assert parts[0] == b"beat.bed"
        assert parts in [encode_message(beat_message(n)) for n in range(500)]


def test_a_sink_never_waits_for_a_slow_subscriber(context: Context, subscriber: Socket) -> None:
    with PublishSocket(context, ANY, high_water=10, linger=0.0) as sink:
        subscriber.rcvhwm = 10
        subscriber.subscribe(b"")
        subscriber.connect(sink.endpoint)
        while not subscriber.poll(10):
            list(sink.subscriptions())
            sink.send(*encode_message(beat_message(0)))
        began = time.monotonic()
        for n in range(50_000):
            sink.send(*encode_message(beat_message(n)))
        assert time.monotonic() - began < 10.0


def test_a_sink_hears_of_every_subscription(context: Context) -> None:
    with (
        PublishSocket(context, ANY) as sink,
        context.socket(zmq.SUB) as one,
        context.socket(zmq.SUB) as two,
    ):
        received: list[bytes] = []
        for socket in (one, two):  # the second one's too, though there is one already
            socket.subscribe(b"alert.")
            socket.connect(sink.endpoint)
            for _ in range(100):
                sink.socket.poll(20)
                received += sink.subscriptions()
                if len(received) == (1 if socket is one else 2):
                    break
        assert received == [b"alert.", b"alert."]
        one.unsubscribe(b"alert.")
        assert not sink.socket.poll(50) or list(sink.subscriptions()) == []


def test_subscriptions_have_a_bound_and_reopening_frees_them(
    context: Context, subscriber: Socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscribed_socket, "MAX_SUBSCRIBED", 10_000)
    with PublishSocket(context, ANY) as sink:
        subscriber.connect(sink.endpoint)

        def told(topics: int, subscribe: bool) -> None:
            for k in range(topics):
                (subscriber.subscribe if subscribe else subscriber.unsubscribe)(b"beat.%095d" % k)
            for _ in range(200):
                sink.socket.poll(10)
                list(sink.subscriptions())
                if sink._subscriptions.bytes == (topics * 116 if subscribe else 0):
                    break

        for _ in range(3):  # what ends does not count
            told(80, subscribe=True)
            assert not sink.overfull
            told(80, subscribe=False)
        told(90, subscribe=True)
        assert sink.overfull
        subscriber.close()
        sink.reopen()
        assert not sink.overfull


def subscribed(sink: PublishSocket, subscriber: Socket) -> list[bytes]:
    """The next subscriptions; a socket subscribes anew only while its own thread attends to it."""
    for _ in range(500):
        subscriber.poll(0)
        if sink.socket.poll(10) and (received := list(sink.subscriptions())):
            return received
    pytest.fail("no subscription came")


def test_a_sink_is_not_talked_to(context: Context) -> None:
    with (
        PublishSocket(context, ANY) as sink,
        context.socket(zmq.XSUB) as talker,
        context.socket(zmq.XSUB) as shouter,
    ):
        talker.linger = shouter.linger = 0
        shouter.connect(sink.endpoint)
        shouter.send(b"\x01" + 2000 * b"x")  # costs the connection
        talker.connect(sink.endpoint)
        talker.send(b"hello")
        talker.send(b"\x01alert.")
        assert subscribed(sink, talker) == [b"alert."]


def test_a_reopened_sink_is_where_it_was(context: Context, subscriber: Socket) -> None:
    with PublishSocket(context, ANY) as sink:
        bound = sink.endpoint
        subscriber.subscribe(b"beat.")
        subscriber.connect(bound)
        assert subscribed(sink, subscriber) == [b"beat."]
        sink.reopen()
        assert sink.endpoint == bound
        assert subscribed(sink, subscriber) == [b"beat."]
        sink.send(*encode_message(beat_message(0)))
        assert subscriber.poll(5000)


def test_who_does_not_speak_is_cut_off(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without keys, too: ZeroMQ itself waits for 30 s."""
    monkeypatch.setattr(bound_socket, "HANDSHAKE_MS", 200)
    with IngestSocket(context, [ANY]) as source:
        host, _, port = source.endpoint.removeprefix("tcp://").rpartition(":")
        with socket.create_connection((host, int(port)), timeout=15) as mute:
            while mute.recv(100):
                pass


def test_reopening_waits_for_descriptors(
    context: Context, subscriber: Socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libzmq ends the process where it binds without one."""
    free = iter([0, 3, 100])
    with PublishSocket(context, ANY) as sink:
        monkeypatch.setattr(descriptors, "free", lambda: next(free))
        sink.reopen()
        assert next(free, None) is None
        monkeypatch.setattr(descriptors, "free", lambda: 3)
        monkeypatch.setattr(bound_socket, "PATIENCE_S", 0.1)
        with pytest.raises(StartError, match="publish socket: no descriptors are left"):
            sink.reopen()


def test_ipc_is_refused_where_callers_could_take_all_descriptors(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libzmq ends the process where it cannot accept another one on ipc."""
    monkeypatch.setattr(descriptors, "limit", lambda: 256)
    with pytest.raises(StartError, match="ipc needs a limit of 4096 open files at least, not 256"):
        PublishSocket(context, f"ipc://{tmp_path}/socket")


def test_a_failed_start_leaves_no_endpoint_behind() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        endpoint = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    with zmq.Context() as context, pytest.raises(UsageError):
        IngestSocket(context, [endpoint, "nonsense"])
    with zmq.Context() as context, PublishSocket(context, endpoint) as sink:
        assert sink.endpoint == endpoint


def test_a_port_in_use_is_named(context: Context) -> None:
    with PublishSocket(context, ANY) as sink:
        with pytest.raises(
            StartError, match=f"publish endpoint '{sink.endpoint}': the port is in use"
        ):
            PublishSocket(context, sink.endpoint)
        with pytest.raises(
            StartError, match=f"ingest endpoint '{sink.endpoint}': the port is in use"
        ):
            IngestSocket(context, [ANY, sink.endpoint])


@pytest.mark.parametrize(
    ("endpoint", "error", "text"),
    [
        ("nonsense", UsageError, "tcp://HOST:PORT"),
        ("", UsageError, "tcp://HOST:PORT"),
        ("tcp://127.0.0.1", UsageError, "tcp://HOST:PORT"),
        ("tcp://127.0.0.1:70000", UsageError, "at most 65535"),
        ("tcp://127.0.0.1:5x", UsageError, "at most 65535"),
        ("http://127.0.0.1:80", UsageError, "transport that ZeroMQ does not have"),
        ("udp://127.0.0.1:80", UsageError, "does not fit this kind of socket"),
        ("tcp://192.0.2.1:5555", StartError, "no such address"),
        ("tcp://nosuch0:5555", StartError, "no such address"),
        ("ipc:///no/such/folder/socket", StartError, "No such file"),
    ],
)
def test_a_bad_endpoint_is_named_with_the_reason(
    endpoint: str, error: type[BeatganError], text: str, context: Context
) -> None:
    with pytest.raises(error, match="publish endpoint") as caught:
        PublishSocket(context, endpoint)
    assert repr(endpoint) in str(caught.value)
    assert text in str(caught.value)
    with pytest.raises(error, match="ingest endpoint"):
        IngestSocket(context, [endpoint])


@pytest.mark.parametrize("endpoint", ["nonsense", "tcp://127.0.0.1:70000", "http://x:1"])
def test_a_bad_endpoint_to_connect_to_is_named(endpoint: str, context: Context) -> None:
    with pytest.raises(UsageError, match=f"cannot connect the ingest endpoint '{endpoint}'"):
        IngestSocket(context, connect=[endpoint])
