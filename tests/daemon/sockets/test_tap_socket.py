"""The tap on loopback: who gets which frames, and that nobody is waited for."""

from collections import Counter
from time import monotonic, sleep

import pytest
import zmq

from beatgan_daemon.sockets import subscribed_socket
from beatgan_daemon.sockets.tap_socket import TapSocket
from tests.support.zmtp import part, shaken

ANY = "tcp://127.0.0.1:*"
Socket = zmq.Socket[bytes]
Context = zmq.Context[Socket]


def tap_of(context: Context, counts: Counter[str], high_water: int = 1000) -> TapSocket:
    def count(what: str) -> None:
        counts[what] += 1

    return TapSocket(
        context,
        [ANY],
        high_water=high_water,
        sent=lambda: count("sent"),
        dropped=lambda: count("dropped"),
    )


def settle(tap: TapSocket, *sockets: Socket) -> None:
    """Take in all subscriptions; sockets send theirs while their own thread attends."""
    quiet = 0
    while quiet < 20:
        for each in sockets:
            each.poll(0)
        quiet = 0 if tap.socket.poll(10) else quiet + 1
        tap.take_subscriptions()


def received(subscriber: Socket, wait_ms: int = 200) -> list[list[bytes]]:
    found = []
    while subscriber.poll(wait_ms):
        found.append(subscriber.recv_multipart())
    return found


def test_a_frame_goes_to_those_who_want_its_stream_as_it_is(
    context: Context, subscriber: Socket
) -> None:
    counts: Counter[str] = Counter()
    frames = [[b"ecg.%b" % name, bytes(range(256)), name * 9] for name in (b"a", b"bed-1", b"b")]
    with tap_of(context, counts) as tap, context.socket(zmq.SUB) as everything:
        subscriber.subscribe(b"ecg.bed-1")
        subscriber.connect(tap.endpoint)
        for each in frames:
            tap.send(each)  # before it is known that somebody listens
        assert not counts
        settle(tap, subscriber)
        for each in frames:
            tap.send(each)
        assert received(subscriber) == [frames[1]]
        assert counts == {"sent": 1}
        everything.subscribe(b"ecg.")
        everything.connect(tap.endpoint)
        settle(tap, everything)
        for each in frames:
            tap.send(each)
        assert received(everything) == frames
        assert received(subscriber) == [frames[1]]
        everything.close()
        subscriber.unsubscribe(b"ecg.bed-1")
        settle(tap, subscriber)
        assert not tap.wants(b"ecg.bed-1")


def test_what_no_frame_is_sent_under_is_no_subscription(
    context: Context, subscriber: Socket
) -> None:
    with tap_of(context, Counter()) as tap:
        for topic in (b"beat.", b"ecg.b/d", b"ecg." + 65 * b"a", b"\xff"):
            subscriber.subscribe(topic)
        subscriber.connect(tap.endpoint)
        settle(tap, subscriber)
        assert not tap.wants(b"ecg." + 64 * b"a")
        subscriber.subscribe(b"")
        settle(tap, subscriber)
        assert tap.wants(b"ecg." + 64 * b"a")


def test_who_does_not_read_misses_frames_alone(context: Context, subscriber: Socket) -> None:
    counts: Counter[str] = Counter()
    with (
        tap_of(context, counts, high_water=20) as tap,
        shaken(int(tap.endpoint.rpartition(":")[2]), b"SUB") as silent,
    ):
        silent.sendall(part(b"\x01ecg.bed"))
        subscriber.rcvhwm = 0
        subscriber.subscribe(b"ecg.bed")
        subscriber.connect(tap.endpoint)
        settle(tap, subscriber)
        sent, end = 0, monotonic() + 30
        while not counts["dropped"]:  # until the kernel takes no more for it
            assert monotonic() < end
            began = monotonic()
            tap.send([b"ecg.bed", b"%d" % sent, bytes(50_000)])
            assert monotonic() - began < 1.0
            sent += 1
            sleep(0.002)
        for _ in range(50):
            tap.send([b"ecg.bed", b"%d" % sent, bytes(50_000)])
            sent += 1
            sleep(0.002)
        came = [int(frame[1]) for frame in received(subscriber, 500)]
        assert came == list(range(sent)), "who reads has missed nothing"
        assert counts["sent"] == sent


def test_too_many_subscriptions_end_every_connection(
    context: Context, subscriber: Socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscribed_socket, "MAX_SUBSCRIBED", 10_000)
    with (
        tap_of(context, Counter()) as tap,
        shaken(int(tap.endpoint.rpartition(":")[2]), b"SUB") as greedy,
    ):
        subscriber.subscribe(b"ecg.bed")
        subscriber.connect(tap.endpoint)
        settle(tap, subscriber)
        greedy.sendall(b"".join(part(b"\x01ecg.%d" % k) for k in range(1000)))
        end = monotonic() + 20
        greedy.settimeout(0.01)
        while True:
            assert monotonic() < end
            tap.take_subscriptions()
            subscriber.poll(0)
            try:
                if not greedy.recv(1000):
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        settle(tap, subscriber)
        for _ in range(50):
            settle(tap, subscriber)
            if tap.wants(b"ecg.bed"):
                break
        else:
            pytest.fail("it never subscribed again")
        assert not tap.wants(b"ecg.7")
