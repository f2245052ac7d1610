"""Valid frames at the extremes, and all that ever did harm, against a daemon with bounds checks."""

import numpy as np
import zmq

from beatgan.protocol.frames import encode_frame
from beatgan.types import Chunk
from benchmarks.robustness.extremes import Extremes, corpus
from tests.e2e.conftest import Start

FRAMES = 2_000


def test_no_valid_frame_reaches_beyond_an_array(start: Start) -> None:
    """What an index out of bounds would do unseen ends the daemon here."""
    flags = ("--set", "ingest.frames_per_s=1000000", "--set", "overload.behind_ms=0")
    extremes = Extremes(seed=20261128)
    with (
        start(*flags, NUMBA_BOUNDSCHECK="1") as daemon,
        zmq.Context() as context,
        context.socket(zmq.XPUB) as socket,
    ):
        socket.setsockopt(zmq.XPUB_NODROP, 1)
        socket.linger = 10_000
        socket.connect(daemon.ingest)
        assert socket.poll(10_000)
        socket.recv()
        for parts in corpus():
            socket.send_multipart(parts)
        for _ in range(FRAMES):
            socket.send_multipart(extremes.next())
        last = Chunk("last", 1, 0, 0, 0, 360.0, ("II",), np.zeros((7, 1), np.float32))
        before = daemon.metrics()["beatgan_streams_active"]
        socket.send_multipart(encode_frame(last))
        daemon.until("beatgan_streams_active", before + 1, 60.0)
        assert daemon.process.poll() is None
        assert not [each for each in daemon.logged() if each["event"] == "crashed"]
        assert daemon.stop() == 0
