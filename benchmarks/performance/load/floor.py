"""The least that any consumer of these frames must do, as a process to be measured like the daemon.

Receive, decode the header, make the payload float32, and for every 64 beats ask the student what as
many windows should look like. It finds no beat and publishes nothing.
    python -m benchmarks.performance.load.floor MODEL BEATS_A_FRAME
"""

import sys
from pathlib import Path

import msgspec
import numpy as np
import zmq

from beatgan.model.artifact import load
from beatgan.model.model import Look
from beatgan.protocol.frames import Header
from beatgan.types import Floats
from beatgan_daemon.signals import stop_signals

BATCH = 64
POLL_MS = 100


class FloorReport(msgspec.Struct, frozen=True):
    """What it says at its end."""

    frames: int
    batches: int


def student(model: Path) -> tuple[Look, Floats]:
    """The network of beats of a model file, and windows to run it on."""
    with model.open("rb") as file:
        artifact = load(file, str(model))
    random = np.random.default_rng(0)
    windows = random.standard_normal((BATCH, artifact.spec.length)).astype(np.float32)
    return Look(artifact.networks.beat, artifact.spec), windows


def consume(socket: zmq.Socket[bytes], look: Look, windows: Floats, beats: float) -> FloorReport:
    """Take frames until SIGTERM; ``beats`` beats are found in each."""
    decode = msgspec.msgpack.Decoder(Header).decode
    frames, batches, due = 0, 0, 0.0
    with stop_signals() as stopping:
        while True:
            try:
                _, head, payload = socket.recv_multipart()
            except zmq.Again:
                if stopping():
                    return FloorReport(frames, batches)
                continue
            header = decode(head)
            (np.frombuffer(payload, header.dtype).astype(np.float32)) * np.float32(header.scale)
            frames += 1
            due += beats
            if due >= BATCH:
                look(windows, windows)
                batches += 1
                due -= BATCH


def run(model: Path, beats: float) -> FloorReport:
    """Say where frames are taken, on one line; consume them until SIGTERM."""
    look, windows = student(model)
    look(windows, windows)
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.rcvhwm, socket.rcvtimeo = 0, POLL_MS
        socket.subscribe(b"ecg.")
        socket.bind("tcp://127.0.0.1:*")
        print(socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0"), flush=True)
        return consume(socket, look, windows, beats)


if __name__ == "__main__":
    print(msgspec.json.encode(run(Path(sys.argv[1]), float(sys.argv[2]))).decode())
