"""Peers that open connections without end take no descriptor that the daemon needs."""

import resource
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import zmq

from beatgan.model.synthetic_ecg import synthetic_ecg
from beatgan.protocol.frames import encode_frame
from beatgan.types import Chunk
from beatgan_daemon.playback.replay import ReplaySocket

LIMIT = 256  # of descriptors, as a shell may set it
CALLERS = 400  # for each socket
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
SECONDS = 12


@pytest.fixture
def daemon(start: Any, tmp_path: Path) -> Iterator[Any]:
    """One that may open so many; its first checkpoints are still to be written."""
    state = f"state.dir={tmp_path}"
    with start("--set", state, "--set", "state.checkpoint_s=1") as daemon:
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
        yield daemon


def ready(kind: bytes) -> bytes:
    """ZMTP 3's READY command of such a socket."""
    body = b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
    return b"\x04" + bytes([len(body)]) + body


def call(endpoint: str, said: bytes) -> socket.socket:
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    caller = socket.create_connection((host, int(port)), timeout=20)
    with suppress(ConnectionError):  # where it is cut at once
        caller.sendall(said)
    return caller


def second(k: int) -> list[bytes]:
    ecg = synthetic_ecg(float(SECONDS), 360.0)[360 * k : 360 * (k + 1), None]
    return encode_frame(Chunk("bed-1", 1, 0, 360 * k, k * 10**9, 360.0, ("II",), ecg))


@pytest.mark.parametrize("speak", [False, True], ids=["mute", "zmtp"])
def test_callers_without_end_stop_nothing(daemon: Any, speak: bool) -> None:
    sockets = ((daemon.ingest, b"PUB"), (daemon.publish, b"SUB"), (daemon.control, b"DEALER"))
    frames = iter(range(SECONDS))
    with zmq.Context[zmq.Socket[bytes]]() as context, ExitStack() as opened:
        source = opened.enter_context(ReplaySocket(context, connect=daemon.ingest))
        source.await_subscriber(10)
        source.send(second(next(frames)))
        daemon.until("beatgan_samples_received_total", 360)
        for endpoint, kind in sockets:
            said = GREETING + ready(kind) if speak else b""
            for _ in range(CALLERS):
                opened.enter_context(call(endpoint, said))
        for k in frames:
            source.send(second(k))
        daemon.until("beatgan_samples_received_total", 360 * SECONDS)
        daemon.until("beatgan_checkpoints_total", 1)
        assert urlopen(f"{daemon.http}/livez", timeout=10).status == 200
        counts = daemon.metrics()
    assert counts["beatgan_samples_lost_total"] == 0
    assert counts["beatgan_beats_scored_total"] > 5
    assert counts["beatgan_connections_refused_total{too-many}"] > 2 * CALLERS
    assert any(line["event"] == "connections refused" for line in daemon.logged())
    with zmq.Context() as context, ReplaySocket(context, connect=daemon.ingest) as source:
        source.await_subscriber(10)  # there is room again
    assert daemon.stop() == 0
