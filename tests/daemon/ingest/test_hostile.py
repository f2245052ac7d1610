"""Frames made to hurt: deep, huge, many, absurd. Refused for what they are, in bounded memory."""

import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
import zmq

from beatgan.errors import StreamError
from beatgan.protocol import frame_header
from beatgan.protocol.frame_decoder import decode_frame
from beatgan.protocol.frame_header import decode_topic
from beatgan.protocol.frames import MAX_HEADER, encode_frame
from beatgan.types import Chunk, Floats
from beatgan_daemon.sockets.ingest_socket import MAX_PARTS, IngestSocket

Socket = zmq.Socket[bytes]


def reason(parts: list[bytes]) -> str:
    with pytest.raises(StreamError) as caught:
        decode_frame(parts)
    assert len(str(caught.value)) < 500, "what is refused is not repeated at length"
    return caught.value.reason


def deep(depth: int, opening: bytes, innermost: bytes = b"\xc0") -> bytes:
    """MessagePack of containers in containers, under a key that is not known."""
    return b"\x81\xa1x" + opening * depth + innermost


HUGE = {
    "lists in lists": deep(MAX_HEADER - 10, b"\x91"),
    "maps in maps": deep((MAX_HEADER - 10) // 3, b"\x81\xa1x"),
    "a list that claims 4 G items": deep(1, b"\xdd\xff\xff\xff\xff"),
    "a map that claims 4 G keys": deep(1, b"\xdf\xff\xff\xff\xff"),
    "a text that claims 4 GiB": deep(1, b"\xdb\xff\xff\xff\xff"),
    "bytes that claim 4 GiB": deep(1, b"\xc6\xff\xff\xff\xff"),
    "an extension that claims 4 GiB": deep(1, b"\xc9\xff\xff\xff\xff\x01"),
    "more than a header may hold": msgspec.msgpack.encode({"x": bytes(MAX_HEADER)}),
    "4 MiB": msgspec.msgpack.encode({"x": bytes(4 << 20)}),
    "leads without end": msgspec.msgpack.encode({"leads": ["x"] * 4000}),
    "one very long lead": msgspec.msgpack.encode({"leads": ["x" * 8000]}),
    "a number of 8,000 digits as text": msgspec.msgpack.encode({"first": "9" * 8000}),
}


@pytest.mark.parametrize("what", HUGE)
def test_deep_and_huge_headers_are_refused_without_taking_memory(what: str) -> None:
    header = HUGE[what]
    tracemalloc.start()
    try:
        assert reason([b"ecg.bed", header, bytes(4)]) in {"header", "key", "type", "leads"}
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_names_without_end_take_no_memory_without_end(
    new_engine: Callable[..., Any], patient: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Topics, leads and streams, each name new."""
    monkeypatch.setattr(frame_header, "_MAX_TOPICS", 500)
    monkeypatch.setattr(frame_header, "_MAX_LEAD_SETS", 500)
    engine, _ = new_engine(max_streams=50)
    refused: Counter[str] = Counter()
    for k in range(2000):
        leads = ("II",) if k < 50 else (f"lead {k}",)
        chunk = Chunk(f"mad-{k}", 1, 0, 0, 0, 360.0, leads, patient[:36])
        try:
            engine.receive(decode_frame(encode_frame(chunk)), k * 1e-6)
        except StreamError as error:
            refused[error.reason] += 1
        assert len(frame_header._topics) <= 500
        assert len(frame_header._leads) <= 500
    assert refused == {"streams": 2000 - 50}
    assert len(engine.streams()) == 50


@pytest.mark.parametrize(
    "topic",
    [
        b"",
        b"ecg.",
        b"ecg." + b"x" * 65,
        b"ecg." + b"x" * 10**6,
        b"ecg.\xff",
        b"ecg.a b",
        b"ecg.a\n",
    ],
)
def test_absurd_names_are_refused(topic: bytes) -> None:
    with pytest.raises(StreamError, match="the topic is") as caught:
        decode_topic(topic)
    assert caught.value.reason == "topic"
    assert len(str(caught.value)) < 300


@pytest.fixture
def wired() -> Iterator[tuple[Socket, IngestSocket]]:
    with (
        zmq.Context[Socket]() as context,
        IngestSocket(context, ["tcp://127.0.0.1:*"]) as source,
        context.socket(zmq.XPUB) as publisher,
    ):
        publisher.linger = 0
        publisher.sndhwm = 0
        publisher.connect(source.endpoint)
        for _ in range(500):
            source.wait(0.0)
            if publisher.poll(10):
                break
        yield publisher, source


def test_of_many_parts_few_are_kept(wired: tuple[Socket, IngestSocket]) -> None:
    publisher, source = wired
    publisher.send_multipart([b"ecg.bed", *[b"x"] * 100_000])
    publisher.send_multipart([b"ecg.bed", b"", b""])
    assert source.wait(10.0)
    parts = source.receive()
    assert parts == [b"ecg.bed", *[b"x"] * (MAX_PARTS - 1)]
    assert reason(parts) == "parts"
    assert source.wait(10.0)
    assert source.receive() == [b"ecg.bed", b"", b""]


def test_as_many_frames_wait_as_fit_however_large_they_are() -> None:
    with zmq.Context[Socket]() as context:
        for part, most, queued in ((4 << 20, 100_000, 16), (1 << 16, 100_000, 1024), (1000, 9, 9)):
            with IngestSocket(
                context, ["tcp://127.0.0.1:*"], high_water=most, max_part=part
            ) as source:
                assert source._sockets[0].socket.rcvhwm == queued


def test_one_large_frame_stops_no_connection(wired: tuple[Socket, IngestSocket]) -> None:
    """Also not that of another source, and though no frame waits when it comes."""
    publisher, source = wired
    with zmq.Context[Socket]() as context, context.socket(zmq.XPUB) as other:
        other.linger, other.sndhwm = 0, 0
        other.connect(source.endpoint)
        while not other.poll(10):
            source.wait(0.0)
        for _ in range(30):
            other.send_multipart([b"ecg.other", b"", b""])
            assert source.wait(10.0)
            assert source.receive() is not None
        publisher.send_multipart([b"ecg.bed", b"", bytes(4 << 20)])
        assert source.wait(10.0)
        assert source.receive() is not None
        for count in (1, 40):
            for _ in range(count):
                other.send_multipart([b"ecg.other", b"", b""])
            for _ in range(count):
                assert source.wait(10.0), "its connection is still read"
                assert source.receive() is not None


def test_an_absurd_rate_of_samples_is_counted_out_exactly(
    new_engine: Callable[..., Any],
) -> None:
    """A day of signal at the highest rate, in the largest frames, at one moment."""
    engine, counts = new_engine(max_streams=2)
    samples = np.zeros((65_536, 1), np.float32)
    for k in range(20):
        chunk = Chunk("mad", 1, k, k * len(samples), 0, 2000.0, ("II",), samples)
        engine.receive(decode_frame(encode_frame(chunk)), 0.0)
        engine.poll(0.0)
    assert counts["received"] == 20 * 65_536
