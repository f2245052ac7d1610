"""Every sample that a source counted is sent, or counted as missing or unsent."""

from contextlib import closing
from typing import Any

import msgspec
import numpy as np
import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from beatgan.errors import StreamError, UsageError
from beatgan.protocol.frame_decoder import decode_frame
from beatgan.protocol.frames import encode_frame
from beatgan.types import Chunk
from beatgan_daemon.bridges import signal_in
from beatgan_daemon.bridges.signal_in import SignalIn
from beatgan_daemon.clients import frame_output
from beatgan_daemon.clients.counted_stream import CountedStream
from beatgan_daemon.clients.frame_output import DaemonOutput, PrintedFrames
from beatgan_daemon.sockets.ingest_socket import IngestSocket
from tests.support.frame_outputs import KeptFrames

FS = 250.0
Context = zmq.Context[zmq.Socket[bytes]]


def chunk(first: int, size: int = 50, epoch: int = 1, stream: str = "bed") -> Chunk:
    samples = np.full((size, 1), 0.5, np.float32)
    return Chunk(stream, epoch, 0, first, 10**18, FS, ("II",), samples)


def test_what_is_sent_is_counted() -> None:
    bridge = SignalIn(output := KeptFrames())
    for first in (1000, 1050, 1150, 1175):  # 50 missing, 25 repeated
        bridge.forward(chunk(first))
    bridge.forward(chunk(0, stream="other"))
    count = bridge.count
    assert (count.streams, count.frames, len(output.frames)) == (2, 5, 5)
    assert (count.counted, count.sent, count.missing) == (275, 225, 50)
    assert (count.unsent, count.repeated) == (0, 25)
    assert count.exact


def test_what_nobody_takes_is_unsent() -> None:
    bridge = SignalIn(output := KeptFrames())
    output.takes = False
    bridge.forward(chunk(0))
    output.takes = True
    bridge.forward(chunk(60))
    assert (bridge.count.sent, bridge.count.missing, bridge.count.unsent) == (50, 10, 50)
    assert bridge.count.exact


def test_what_waits_for_a_daemon_that_never_came_back_is_unsent() -> None:
    bridge = SignalIn(output := KeptFrames())
    bridge.forward(chunk(0))
    output.connected = False
    bridge.forward(chunk(50))
    bridge.close()
    assert (bridge.count.sent, bridge.count.unsent) == (50, 50)
    assert bridge.count.exact


def test_what_waited_for_a_daemon_that_came_back_is_sent() -> None:
    bridge = SignalIn(output := KeptFrames())
    output.connected = False
    bridge.forward(chunk(0))
    output.connected = True
    bridge.forward(chunk(50))
    bridge.close()
    assert (bridge.count.sent, bridge.count.unsent) == (100, 0)


def test_a_source_that_begins_anew_is_no_gap() -> None:
    bridge = SignalIn(KeptFrames())
    bridge.forward(chunk(5000))
    bridge.forward(chunk(0, epoch=2))
    assert (bridge.count.counted, bridge.count.missing) == (100, 0)


def test_a_frame_that_came_whole_goes_out_whole() -> None:
    bridge = SignalIn(output := KeptFrames())
    parts = encode_frame(chunk(0), "<i2", 0.001)
    bridge.pass_on(parts)
    assert bridge.count.sent == 50
    with pytest.raises(StreamError, match="3 parts"):
        bridge.pass_on(parts[:2])
    assert output.frames == [parts]


def test_streams_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal_in, "MAX_STREAMS", 1)
    bridge = SignalIn(KeptFrames())
    bridge.forward(chunk(0))
    with pytest.raises(StreamError, match="no further one"):
        bridge.forward(chunk(0, stream="other"))
    bridge.forward(chunk(50))
    assert bridge.count.counted == 100


def test_refusals_are_counted_and_logged(logged: Any) -> None:
    bridge = SignalIn(KeptFrames())
    for _ in range(3):
        bridge.refuse(StreamError("header", "no JSON"), 0.0)
    assert bridge.count.refused == 3
    assert [line["why"] for line in logged()] == ["no JSON"]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 300), st.integers(1, 60), st.integers(0, 1), st.booleans(), st.booleans()
        ),
        max_size=40,
    )
)
@settings(max_examples=60, deadline=None)
def test_nothing_is_lost_uncounted(events: list[tuple[int, int, int, bool, bool]]) -> None:
    bridge = SignalIn(output := KeptFrames())
    for first, size, epoch, takes, connected in events:
        output.takes, output.connected = takes, connected
        bridge.forward(chunk(first, size, epoch))
    bridge.close()
    assert bridge.count.exact
    assert min(bridge.count.fields().values()) >= 0
    came = sum(size for _, size, *_ in events)
    assert bridge.count.sent + bridge.count.unsent + bridge.count.repeated == came


def test_a_stream_without_a_count_is_counted() -> None:
    stream = CountedStream("bed", FS, ("I", "II"), 7)
    (one,) = stream.chunks(np.zeros((10, 2), np.float32), 1000)
    stream.skip(5)
    (two,) = stream.chunks(np.zeros((3, 2), np.float32), 2000)
    assert (one.first, two.first, one.seq, two.seq, two.t_ns) == (0, 15, 0, 1, 2000)


def test_many_samples_make_several_frames() -> None:
    stream = CountedStream("bed", FS, ("I",), 7)
    made = stream.chunks(np.zeros((65_536 + 10, 1), np.float32), 0)
    assert [(each.first, len(each.samples)) for each in made] == [(0, 65_536), (65_536, 10)]
    assert made[1].t_ns == round(65_536 / FS * 1e9)


# --- the daemon's socket ------------------------------------------------------------------------


def test_before_a_daemon_subscribes_nothing_is_taken_then_everything() -> None:
    with zmq.Context() as context, closing(DaemonOutput(bind="tcp://127.0.0.1:*")) as output:
        assert not output.send(encode_frame(chunk(0)))
        with IngestSocket(context, [], [output.endpoint]) as ingest:
            assert output.wait(5.0)
            for first in range(0, 5000, 50):
                assert output.send(encode_frame(chunk(first)))
            firsts = []
            while ingest.wait(0.5):
                while (parts := ingest.receive()) is not None:
                    firsts.append(decode_frame(parts).first)
    assert firsts == list(range(0, 5000, 50))


def test_a_daemon_that_is_away_finds_what_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_output, "QUEUE", 10)
    with zmq.Context() as context:
        with IngestSocket(context, ["tcp://127.0.0.1:*"]) as ingest:
            endpoint = ingest.endpoint
            output = DaemonOutput(connect=endpoint)
            while not output.wait(0.01):
                ingest.wait(0.01)  # it subscribes when its own thread turns to it
            assert output.send(encode_frame(chunk(0)))
            assert ingest.wait(5.0)
        while output.connected:  # the cut is heard of soon, not at once
            output.wait(0.01)
        while output.send(encode_frame(chunk(50))):  # until the queue is full
            pass
        with closing(output), IngestSocket(context, [endpoint]) as ingest:
            assert ingest.wait(10.0)
            assert decode_frame(ingest.receive() or []).first == 50
            while not output.send(encode_frame(chunk(100))):  # until the queue has room
                pass
            assert (output.connected, output.reconnects) == (True, 1)


def test_one_endpoint_must_be_given() -> None:
    with pytest.raises(UsageError, match="either an endpoint"):
        DaemonOutput()


def test_a_dry_run_prints_frames(capsys: pytest.CaptureFixture[str]) -> None:
    bridge = SignalIn(PrintedFrames())
    bridge.forward(chunk(0))
    bridge.close()
    line = msgspec.json.decode(capsys.readouterr().out)
    assert (line["topic"], line["first"], line["leads"]) == ("ecg.bed", 0, ["II"])
    assert line["payload_bytes"] == 200
    assert bridge.count.sent == 50
