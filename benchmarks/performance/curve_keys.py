"""What CURVE costs the receiver of ECG frames: CPU time a frame, encrypted and not.

python -m benchmarks.performance.curve_keys --frames 200000
"""

import subprocess
import sys
import time
from contextlib import ExitStack
from typing import Annotated

import numpy as np
import typer
import zmq

from beatgan.protocol.frames import encode_frame
from beatgan.types import Chunk
from beatgan_daemon.security import curve
from beatgan_daemon.security.allow_list import AllowList, Client, Role
from beatgan_daemon.security.curve import KeyPair
from beatgan_daemon.security.zap_authenticator import ZapAuthenticator
from beatgan_daemon.sockets.ingest_socket import IngestSocket


def send(endpoint: str, frames: int, samples: int, *keys: str) -> None:
    """In a process of its own: so many frames as fast as they are taken."""
    signal = np.zeros((samples, 1), np.float32)
    parts = encode_frame(Chunk("bed", 1, 0, 0, 0, 360.0, ("MLII",), signal))
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        if keys:
            public, secret, server = (key.encode() for key in keys)
            curve.as_client(socket, KeyPair(public, secret), server)
        socket.setsockopt(zmq.XPUB_NODROP, 1)
        socket.connect(endpoint)
        socket.recv()
        for _ in range(frames):
            socket.send_multipart(parts)


def receive(frames: int, samples: int, encrypted: bool) -> tuple[float, float]:
    """CPU and wall time a frame, us, of all threads that receive."""
    server, peer = (KeyPair(*zmq.curve_keypair()) for _ in range(2))
    allow_list = AllowList({peer.public: Client("peer", frozenset({Role.INGEST}))})
    keys = [peer.public, peer.secret, server.public] if encrypted else []
    with ExitStack() as stack:
        context = stack.enter_context(zmq.Context[zmq.Socket[bytes]]())
        authenticator = (
            ZapAuthenticator(context, server, allow_list, {}, lambda *_: None)
            if encrypted
            else None
        )
        if authenticator:
            stack.enter_context(authenticator)
        source = stack.enter_context(
            IngestSocket(context, ["tcp://127.0.0.1:*"], authenticator=authenticator)
        )
        words = [source.endpoint, str(frames), str(samples), *(key.decode() for key in keys)]
        with subprocess.Popen(
            [sys.executable, "-m", "benchmarks.performance.curve_keys", "send", *words]
        ):
            source.wait(60.0)
            cpu, wall = time.process_time(), time.monotonic()
            for _ in range(frames):
                while source.receive() is None:
                    source.wait(10.0)
            return (
                1e6 * (time.process_time() - cpu) / frames,
                1e6 * (time.monotonic() - wall) / frames,
            )


def main(
    frames: Annotated[int, typer.Option(help="frames in a run")] = 200_000,
    repeats: Annotated[int, typer.Option(help="runs of each; the least is printed")] = 3,
) -> None:
    """Measure both, for frames of 0.1 s and 1 s of one lead."""
    for samples in (36, 360):
        for encrypted in (False, True):
            runs = [receive(frames, samples, encrypted) for _ in range(repeats)]
            cpu, wall = map(min, zip(*runs, strict=True))
            word = "CURVE" if encrypted else "plain"
            print(f"{samples:4} samples, {word}: {cpu:.1f} us CPU, {wall:.1f} us a frame")


if __name__ == "__main__":
    if sys.argv[1:2] == ["send"]:
        send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])
    else:
        typer.run(main)
