"""Recordings as live streams: on time, complete from the first frame, and clear when it fails."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import zmq

from beatgan.errors import BeatganError, RecordError, UsageError
from beatgan.protocol.frame_decoder import decode_frame
from beatgan.records import Recording
from beatgan.types import Chunk, Floats
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.playback.replay import Plan, Replayed, replay
from beatgan_daemon.sockets.ingest_socket import IngestSocket

Context = zmq.Context[zmq.Socket[bytes]]


@pytest.fixture
def source() -> Iterator[IngestSocket]:
    with zmq.Context() as context, IngestSocket(context, ["tcp://127.0.0.1:*"]) as source:
        yield source


def recording(samples: Floats, name: str = "208", fs: float = 360.0) -> Recording:
    return Recording(name, fs, ("MLII",), samples)


def received(
    source: IngestSocket, recordings: list[Recording], plan: Plan, **where: Any
) -> tuple[list[tuple[float, Chunk]], Replayed]:
    """Every chunk with its arrival, and what the replay says of itself."""
    where = where or {"connect": source.endpoint}
    chunks = []
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(replay, recordings, plan, **where)
        while source.wait(0.3) or not sending.done():
            while (parts := source.receive()) is not None:
                chunks.append((time.monotonic(), decode_frame(parts)))
        return chunks, sending.result()


def test_as_fast_as_possible_loses_nothing(source: IngestSocket, patient: Floats) -> None:
    plan = Plan(speed=0, chunk_samples=(1, 7, 2))
    chunks, printed = received(source, [recording(patient)], plan)
    np.testing.assert_array_equal(np.concatenate([c.samples for _, c in chunks]), patient)
    assert [c.seq for _, c in chunks] == list(range(len(chunks)))
    assert chunks[0][1].first == 0
    assert (printed.streams, printed.frames, printed.samples) == (1, len(chunks), len(patient))
    assert chunks[0][1].epoch == chunks[0][1].t_ns > 1.7e18


def test_a_full_queue_makes_it_wait_and_not_drop(patient: Floats) -> None:
    with (
        zmq.Context() as context,
        IngestSocket(context, ["tcp://127.0.0.1:*"], high_water=5) as source,
    ):
        plan = Plan(speed=0, chunk_samples=(2,))
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(replay, [recording(patient)], plan, connect=source.endpoint)
            assert source.wait(5.0)
            time.sleep(0.5)
            seen = 0
            while source.wait(0.3) or not sending.done():
                seen += source.receive() is not None
            assert seen == sending.result().frames == len(patient) / 2


def test_frames_come_when_their_last_sample_is_due(source: IngestSocket, patient: Floats) -> None:
    plan = Plan(speed=4.0, chunk_ms=200.0)
    chunks, printed = received(source, [recording(patient[:2880])], plan)
    assert len(chunks) == 40
    took = chunks[-1][0] - chunks[0][0]
    assert took == pytest.approx(39 * 0.05, abs=0.4)
    assert printed.behind < 0.5


def test_each_copy_is_a_stream_of_its_own(source: IngestSocket, patient: Floats) -> None:
    recordings = [recording(patient[:720]), recording(patient[:250], fs=250.0)]
    chunks, printed = received(source, recordings, Plan(speed=0, copies=3))
    streams: dict[str, list[Chunk]] = {}
    for _, chunk in chunks:
        streams.setdefault(chunk.stream, []).append(chunk)
    assert sorted(streams) == ["208", "208:2", "208:3", "208:4", "208:5", "208:6"]
    for name, frames in streams.items():
        expected = patient[:720] if name in ("208", "208:2", "208:3") else patient[:250]
        np.testing.assert_array_equal(np.concatenate([f.samples for f in frames]), expected)
    assert printed.streams == 6


def test_integers_on_the_wire_are_within_half_a_unit(source: IngestSocket, patient: Floats) -> None:
    chunks, _ = received(
        source, [recording(patient[:720])], Plan(speed=0, dtype="<i2", scale=0.005)
    )
    samples = np.concatenate([chunk.samples for _, chunk in chunks])
    np.testing.assert_allclose(samples, patient[:720], atol=0.0026, rtol=0)


def test_a_loop_ends_with_its_seconds(source: IngestSocket, patient: Floats) -> None:
    plan = Plan(speed=0, chunk_ms=1000.0, loop=True, seconds=10.0)
    chunks, printed = received(source, [recording(patient[:1080])], plan)
    assert [chunk.first for _, chunk in chunks] == list(range(0, 3600, 360))
    assert printed.samples == 3600


@pytest.mark.parametrize("speed", [0.0, 1.0])
def test_it_stops_when_told(source: IngestSocket, patient: Floats, speed: float) -> None:
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    received(
        source,
        [recording(patient)],
        Plan(speed=speed, loop=True),
        connect=source.endpoint,
        stop=stop,
    )
    assert time.monotonic() - began < 10.0


def test_it_binds_and_waits_for_a_subscriber(patient: Floats) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        endpoint = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(replay, [recording(patient)], Plan(speed=0), bind=endpoint)
        time.sleep(0.3)  # long enough for a plain PUB socket to have lost everything
        with zmq.Context() as context, IngestSocket(context, connect=[endpoint]) as source:
            chunks = []
            while source.wait(0.3) or not sending.done():
                if (parts := source.receive()) is not None:
                    chunks.append(decode_frame(parts))
        assert sending.result().frames == len(chunks)
    np.testing.assert_array_equal(np.concatenate([c.samples for c in chunks]), patient)


def test_a_port_in_use_is_named(source: IngestSocket, patient: Floats) -> None:
    with pytest.raises(StartError, match=f"cannot bind the replay endpoint '{source.endpoint}'"):
        replay([recording(patient)], Plan(), bind=source.endpoint)


def test_nobody_listening_is_an_error_in_time(patient: Floats) -> None:
    began = time.monotonic()
    with pytest.raises(
        UsageError, match=r"nobody subscribed to the ECG of 208 at tcp.* within 0.2 s"
    ):
        replay([recording(patient)], Plan(wait=0.2), bind="tcp://127.0.0.1:*")
    assert time.monotonic() - began < 5.0


def test_a_record_that_no_stream_can_carry_is_named(source: IngestSocket, patient: Floats) -> None:
    with pytest.raises(RecordError, match="slow: sampled at 20 Hz"):
        received(source, [recording(patient, "slow", fs=20.0)], Plan(speed=0))


@pytest.mark.parametrize("where", [{}, {"bind": "tcp://127.0.0.1:*", "connect": "tcp://x:1"}])
def test_bind_and_connect_exclude_each_other(where: dict[str, Any], patient: Floats) -> None:
    with pytest.raises(UsageError, match="either an endpoint to bind or one to connect"):
        replay([recording(patient)], Plan(), **where)


@pytest.mark.parametrize(
    "fault",
    [
        {"speed": -1.0},
        {"speed": float("nan")},
        {"speed": float("inf")},
        {"chunk_ms": 0.0},
        {"chunk_ms": float("nan")},
        {"chunk_samples": (0,)},
        {"chunk_samples": (65_537,)},
        {"copies": 0},
    ],
)
def test_an_impossible_plan_is_refused(fault: dict[str, Any]) -> None:
    with pytest.raises(BeatganError):
        Plan(**fault)
