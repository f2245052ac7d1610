"""Who may send which stream: bed-8's key under bed-7's name, with real keys and sockets."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import numpy as np
import pytest
import zmq

from beatgan.pipeline.engine import Engine
from beatgan.protocol.frame_decoder import decode_frame
from beatgan.protocol.frames import encode_frame
from beatgan.types import Chunk
from beatgan_daemon import zmq_endpoints
from beatgan_daemon.ingest.frame_queue import FrameQueue
from beatgan_daemon.ingest.sender_guard import SenderGuard
from beatgan_daemon.security import curve
from beatgan_daemon.security.allow_list import AllowList, Client, Role, Server, StreamPatterns
from beatgan_daemon.security.curve import KeyPair
from beatgan_daemon.security.zap_authenticator import ZapAuthenticator
from beatgan_daemon.sockets.ingest_socket import IngestSocket

ANY = "tcp://127.0.0.1:*"
DAEMON, SEVEN, EIGHT = (KeyPair(*zmq.curve_keypair()) for _ in range(3))
Socket = zmq.Socket[bytes]
NewEngine = Callable[..., tuple[Engine, Counter[str]]]


def chunk(stream: str, seq: int, epoch: int = 1) -> Chunk:
    samples = np.zeros((36, 1), np.float32)
    return Chunk(stream, epoch, seq, 36 * seq, 10**8 * seq, 360.0, ("II",), samples)


def clients(**streams: str) -> AllowList:
    """SEVEN and EIGHT, who may send what is said here."""
    known = {
        pair.public: Client(name, frozenset({Role.INGEST}), StreamPatterns((streams[name],)))
        for name, pair in (("seven", SEVEN), ("eight", EIGHT))
        if name in streams
    }
    return AllowList(known)


@dataclass
class Refused:
    """What a guard refused: by reason and stream, and in words."""

    counts: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    words: list[str] = field(default_factory=list)

    def __call__(self, reason: str, stream: str | None, why: str, now: float) -> None:
        self.counts[reason, stream] += 1
        self.words.append(why)


@dataclass
class Ward:
    """A guard over an engine, without sockets; the sender's key is put in by hand."""

    engine: Engine
    allow_list: AllowList
    sender: str | None = None
    refused: Refused = field(default_factory=Refused)

    def __post_init__(self) -> None:
        def who(sender: str) -> Client | None:
            return self.allow_list.clients.get(sender.encode())

        self.guard = SenderGuard(self, who, self.engine, self.refused)

    def send(self, pair: KeyPair | None, each: Chunk, now: float) -> bool:
        """Whether a frame is used."""
        self.sender = None if pair is None else pair.public.decode()
        if self.guard.check(encode_frame(each), now) is None:
            return False
        self.engine.receive(each, now, self.sender)
        return True


@pytest.fixture
def ward(new_engine: NewEngine) -> Ward:
    engine, _ = new_engine(silence=5.0)
    return Ward(engine, clients(seven="bed-7", eight="bed-8"))


def test_a_key_sends_its_own_streams_alone(ward: Ward) -> None:
    assert ward.send(SEVEN, chunk("bed-7", 0), 0.0)
    assert ward.send(EIGHT, chunk("bed-8", 0), 0.0)
    assert not ward.send(EIGHT, chunk("bed-7", 0, epoch=2), 0.1)
    assert not ward.send(EIGHT, chunk("bed-9", 0), 0.1)
    assert not ward.send(None, chunk("bed-7", 1), 0.1)
    assert not ward.send(KeyPair(b"x" * 40, b""), chunk("bed-7", 1), 0.1)
    assert ward.engine.streams() == ("bed-7", "bed-8")
    assert ward.refused.counts == {("not_allowed", "bed-7"): 3, ("not_allowed", "bed-9"): 1}
    said = ward.refused.words[0]
    assert said.startswith("ecg.bed-7: eight (key ")
    assert EIGHT.public.decode() in said


def test_what_is_no_streams_name_is_refused_without_one(ward: Ward) -> None:
    parts = encode_frame(chunk("bed-7", 0))
    for topic in (b"ecg.", b"ecg.\xff", b"", b"ecg.bed-7\n"):
        ward.sender = SEVEN.public.decode()
        assert ward.guard.check([topic, *parts[1:]], 0.0) is None
    assert ward.refused.counts == {("not_allowed", None): 4}


def test_a_list_that_changes_holds_at_once(ward: Ward) -> None:
    assert ward.send(SEVEN, chunk("bed-7", 0), 0.0)
    ward.allow_list = clients(eight="bed-*")
    assert not ward.send(SEVEN, chunk("bed-7", 1), 0.1)
    seven = Client("seven", frozenset({Role.SUBSCRIBE}))
    ward.allow_list = AllowList({SEVEN.public: seven})
    assert not ward.send(SEVEN, chunk("bed-7", 1), 0.1)


def test_a_stream_is_one_keys_as_long_as_its_frames_come(ward: Ward) -> None:
    """Even where the list lets both send it: nobody takes a patient over."""
    ward.allow_list = clients(seven="*", eight="*")
    assert ward.send(SEVEN, chunk("bed-7", 0), 0.0)
    for seq in range(8):
        assert not ward.send(EIGHT, chunk("bed-7", seq, epoch=2), seq)
        ward.engine.poll(seq)
        assert ward.send(SEVEN, chunk("bed-7", seq + 1), seq)
    assert ward.refused.counts == {("sender", "bed-7"): 8}
    ward.engine.poll(20.0)  # by then it is silent, and its alarm is on
    assert ward.send(EIGHT, chunk("bed-7", 0, epoch=2), 20.0)
    assert not ward.send(SEVEN, chunk("bed-7", 9), 20.1)


def test_frames_that_wait_together_are_not_mixed(ward: Ward) -> None:
    """Both had passed before the engine saw the first one."""
    ward.allow_list = clients(seven="*", eight="*")
    for pair in (SEVEN, EIGHT):
        ward.sender = pair.public.decode()
        assert ward.guard.check(encode_frame(chunk("bed-7", 0)), 0.0) == ward.sender
    ward.engine.receive(chunk("bed-7", 0), 0.0, SEVEN.public.decode())
    with pytest.raises(Exception, match="another key sends this stream"):
        ward.engine.receive(chunk("bed-7", 0, epoch=2), 0.0, EIGHT.public.decode())


# --- real sockets -----------------------------------------------------------------------------


@dataclass
class Wired:
    """A frame queue behind a guarded socket, callers' sockets, and what came through."""

    context: zmq.Context[Socket]
    source: IngestSocket
    queue: FrameQueue
    refused: Refused
    resources: ExitStack

    def caller(self, pair: KeyPair) -> Socket:
        socket = publisher(self.resources)
        curve.as_client(socket, pair, DAEMON.public)
        socket.connect(self.source.endpoint)
        return subscribed(socket, self.source)

    def until(self, used: int, refused: int) -> list[tuple[str, str | None]]:
        """Streams and senders of ``used`` frames, once as many were refused as said."""
        found: list[tuple[str, str | None]] = []
        end = monotonic() + 10
        while len(found) < used or self.refused.counts.total() < refused:
            assert monotonic() < end, (found, self.refused)
            self.queue.pull(0.01)
            while (frame := self.queue.take()) is not None:
                found.append((decode_frame(frame.parts).stream, frame.sender))
        return found


def publisher(resources: ExitStack) -> Socket:
    context = resources.enter_context(zmq.Context[Socket]())
    socket = resources.enter_context(context.socket(zmq.XPUB))
    socket.linger = 0
    return socket


def subscribed(socket: Socket, source: IngestSocket) -> Socket:
    for _ in range(500):
        source.wait(0.0)
        if socket.poll(10):
            return socket
    pytest.fail("nobody subscribed")


@pytest.fixture
def wired(new_engine: NewEngine, logged: object) -> Iterator[Callable[..., Wired]]:
    with ExitStack() as resources:

        def wire(allow_list: AllowList, servers: dict[str, Server], *connect: str) -> Wired:
            context = resources.enter_context(zmq.Context[Socket]())
            authenticator = resources.enter_context(
                ZapAuthenticator(context, DAEMON, allow_list, servers, lambda *_: None)
            )
            source = resources.enter_context(
                IngestSocket(context, [ANY], connect, authenticator=authenticator)
            )
            refused = Refused()
            guard = SenderGuard(source, authenticator.sender, new_engine()[0], refused)
            queue = FrameQueue(source, 1000, monotonic, guard.check)
            return Wired(context, source, queue, refused, resources)

        yield wire


def test_every_frame_has_its_senders_key(wired: Callable[..., Wired]) -> None:
    hall = wired(clients(seven="bed-7", eight="bed-8"), {})
    seven, eight = hall.caller(SEVEN), hall.caller(EIGHT)
    for seq in range(3):
        seven.send_multipart(encode_frame(chunk("bed-7", seq)))
        eight.send_multipart(encode_frame(chunk("bed-7", seq, epoch=2)))
        eight.send_multipart(encode_frame(chunk("bed-8", seq)))
    used = Counter(hall.until(6, 3))
    keys = {"bed-7": SEVEN.public.decode(), "bed-8": EIGHT.public.decode()}
    assert used == dict.fromkeys(keys.items(), 3)
    assert hall.refused.counts == {("not_allowed", "bed-7"): 3}


def test_a_source_that_is_called_sends_its_own_streams_alone(
    wired: Callable[..., Wired],
) -> None:
    with ExitStack() as resources:
        beds: dict[str, tuple[Socket, KeyPair]] = {}
        for pair in (SEVEN, EIGHT):
            socket = publisher(resources)
            socket.curve_publickey, socket.curve_secretkey = pair.public, pair.secret
            socket.curve_server = True
            beds[zmq_endpoints.bind(socket, ANY, "bed")] = (socket, pair)
        where = list(beds)
        servers = {
            each: Server(beds[each][1].public, StreamPatterns((stream,)))
            for each, stream in zip(where, ("bed-7", "bed-8"), strict=True)
        }
        hall = wired(AllowList({}), servers, *where)
        for each in where:
            subscribed(beds[each][0], hall.source)
            for stream in ("bed-7", "bed-8"):
                beds[each][0].send_multipart(encode_frame(chunk(stream, 0)))
        found = hall.until(2, 2)
        assert sorted(found) == [("bed-7", where[0]), ("bed-8", where[1])]
        assert hall.refused.counts == {("not_allowed", "bed-7"): 1, ("not_allowed", "bed-8"): 1}
        assert where[1] in str(hall.refused.words)


def test_a_frame_that_is_refused_is_no_load_of_the_stream(new_engine: NewEngine) -> None:
    """A flood under another's name must not hold that stream to a rate."""
    flood: Any = iter([encode_frame(chunk("bed-7", k)) for k in range(100)])

    class Flood:
        connection: str | int | None = None

        def wait(self, seconds: float | None) -> bool:
            return True

        def receive(self) -> list[bytes] | None:
            return next(flood, None)

    ward = Ward(new_engine()[0], clients(eight="bed-8"))
    ward.sender = EIGHT.public.decode()
    queue = FrameQueue(Flood(), 1000, lambda: 0.0, ward.guard.check)
    queue.pull(0.0)
    assert len(queue) == 0
    assert queue.load_by_topic(len) == {}
    assert ward.refused.counts == {("not_allowed", "bed-7"): 100}
