"""A daemon with its tap open, as a page's server uses it: frames as the source sent them."""

import signal
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import zmq

from beatgan.model.synthetic_ecg import synthetic_ecg
from beatgan.protocol.frames import encode_frame
from beatgan.types import Chunk
from beatgan_daemon.security import curve

FS = 250.0
Socket = zmq.Socket[bytes]
Context = zmq.Context[Socket]


@pytest.fixture
def context() -> Iterator[Context]:
    with zmq.Context() as context:
        yield context


def frames(stream: str, seconds: int) -> list[list[bytes]]:
    size = int(FS)
    ecg = synthetic_ecg(float(seconds), FS, seed=5)[:, None]
    return [
        encode_frame(
            Chunk(stream, 1, k, k * size, k * 10**9, FS, ("II",), ecg[k * size : (k + 1) * size])
        )
        for k in range(seconds)
    ]


def tap_of(daemon: Any) -> str:
    (ready,) = [line for line in daemon.logged() if line["event"] == "ready"]
    (endpoint,) = ready["tap"]
    return str(endpoint)


def until_subscribed(source: Socket) -> None:
    assert source.poll(20_000)
    assert source.recv() == b"\x01ecg."


def test_accepted_frames_of_wanted_streams_come_out_byte_for_byte(
    start: Any, context: Context
) -> None:
    wanted, other = frames("bed-1", 8), frames("bed-2", 8)
    broken = [b"ecg.bed-1", b"junk", b"\x00"]
    with (
        start("--set", "tap.bind=tcp://127.0.0.1:*") as daemon,
        context.socket(zmq.XPUB) as source,
        context.socket(zmq.SUB) as client,
    ):
        source.linger = client.linger = 0
        source.connect(daemon.ingest)
        until_subscribed(source)
        client.subscribe(b"ecg.bed-1")
        client.connect(tap_of(daemon))
        source.send_multipart(wanted[0])
        end = monotonic() + 20
        while daemon.metrics()["beatgan_tap_streams"] < 1:  # only of a stream that is known
            client.poll(10)
            assert monotonic() < end
        for one, two in zip(wanted[1:], other[1:], strict=True):
            source.send_multipart(broken)
            source.send_multipart(two)
            source.send_multipart(one)
        daemon.until("beatgan_samples_received_total", int(FS) * 15)
        came = []
        while client.poll(500):
            came.append(client.recv_multipart())
        assert came[-7:] == wanted[1:]
        assert came in (wanted, wanted[1:]), "neither what was refused nor another stream"
        counts = daemon.metrics()
        assert counts["beatgan_frames_rejected_total"] == 7
        assert counts["beatgan_tap_frames_total"] == len(came), "what nobody wants is not sent"
        assert counts["beatgan_tap_dropped_total"] == 0
        client.close()
        end = monotonic() + 20
        while daemon.metrics()["beatgan_tap_streams"]:
            assert monotonic() < end
        sent = daemon.metrics()["beatgan_tap_frames_total"]
        source.send_multipart(frames("bed-1", 9)[8])
        daemon.until("beatgan_samples_received_total", int(FS) * 16)
        assert daemon.metrics()["beatgan_tap_frames_total"] == sent


def test_it_is_shut_unless_it_is_asked_for(start: Any) -> None:
    with start() as daemon:
        (ready,) = [line for line in daemon.logged() if line["event"] == "ready"]
        assert ready["tap"] == []
        assert daemon.metrics()["beatgan_tap_streams"] == 0


def test_it_takes_a_role_of_its_own(start: Any, context: Context, tmp_path: Path) -> None:
    """Who may read what is published may not see the ECG for that."""
    roles = {"bed": "ingest bed *", "desk": "subscribe,control desk", "page": "signal page"}
    keys = {name: curve.keygen(tmp_path / name) for name in ("daemon", *roles)}
    clients = tmp_path / "clients"
    clients.write_text(
        "".join(f"{keys[name].public.decode()} {line}\n" for name, line in roles.items())
    )
    flags = {
        "security.key": tmp_path / "daemon.key_secret",
        "security.clients": clients,
        "tap.bind": "tcp://127.0.0.1:*",
    }
    arguments = [word for key, value in flags.items() for word in ("--set", f"{key}={value}")]

    def client(who: str) -> Socket:
        socket = context.socket(zmq.SUB)
        socket.linger = 0
        curve.client_configuration(keys[who], keys["daemon"].public)(socket)
        socket.subscribe(b"ecg.bed-1")
        socket.connect(tap_of(daemon))
        return socket

    with start(*arguments) as daemon, context.socket(zmq.XPUB) as source:
        source.linger = 0
        curve.client_configuration(keys["bed"], keys["daemon"].public)(source)
        source.connect(daemon.ingest)
        until_subscribed(source)
        with client("page") as page, client("desk") as desk, client("bed") as bed:
            first, *rest = frames("bed-1", 8)
            source.send_multipart(first)
            daemon.until("beatgan_connections_refused_total{signal}", 2)
            daemon.until("beatgan_tap_streams", 1)
            for each in rest:
                source.send_multipart(each)
            for each in rest:
                assert page.poll(10_000)
                found = page.recv_multipart()
                if found == first:  # sent late enough
                    found = page.recv_multipart()
                assert found == each
            assert not desk.poll(500)
            assert not bed.poll(0)
            lines = clients.read_text().splitlines(keepends=True)
            clients.write_text("".join(lines[:2]))
            daemon.process.send_signal(signal.SIGHUP)
            daemon.until("beatgan_connections_refused_total{unknown-key}", 1)
            assert daemon.metrics()["beatgan_tap_streams"] == 0, "it is out, and was inside"
