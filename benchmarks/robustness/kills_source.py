"""What `kills` feeds its daemon: synthetic ECG, many times faster than real time."""

from threading import Event, Thread
from time import monotonic, sleep, time_ns

import numpy as np
import zmq

from beatgan.model.synthetic_ecg import synthetic_ecg
from beatgan.protocol.frames import encode_frame
from beatgan.types import Chunk, Floats

FS = 360.0
SPEED = 20.0  # times real time
FRAME = 180  # samples


class Source(Thread):
    """Sends the streams' frames, whether a daemon runs or not."""

    def __init__(self, endpoint: str, streams: int) -> None:
        super().__init__(daemon=True)
        self._endpoint, self._streams = endpoint, streams
        self._epoch, self._first = time_ns(), 0
        self._pathological, self._normal = pathological_ecg(), normal_ecg()
        self.normal, self.stopped = Event(), Event()

    def run(self) -> None:
        """Until it is stopped; once ``normal`` is set, a new epoch without alarms."""
        with zmq.Context[zmq.Socket[bytes]]() as context, context.socket(zmq.PUB) as socket:
            socket.linger = 0
            socket.reconnect_ivl = 20
            socket.connect(self._endpoint)
            due, normal = monotonic(), False
            while not self.stopped.is_set():
                if self.normal.is_set() and not normal:
                    normal, self._epoch, self._first = True, time_ns(), 0
                self._send(socket, self._normal if normal else self._pathological)
                due += FRAME / FS / SPEED
                sleep(max(0.0, due - monotonic()))

    def _send(self, socket: zmq.Socket[bytes], ecg: Floats) -> None:
        t_ns = self._epoch + round(self._first / FS * 1e9)
        for stream in range(self._streams):
            places = np.arange(FRAME) + self._first + 3000 * stream
            samples = np.take(ecg, places, mode="wrap")[:, np.newaxis]
            chunk = Chunk(f"bed-{stream}", self._epoch, 0, self._first, t_ns, FS, ("II",), samples)
            socket.send_multipart(encode_frame(chunk))
        self._first += FRAME


def pathological_ecg() -> Floats:
    """A minute with ectopic beats, fibrillation, lost signal, a flat line and asystole."""
    ecg = synthetic_ecg(60.0, FS, ectopic_every=5)
    wave = np.arange(3000) / FS
    ecg[3000:6000] = np.sin(2 * np.pi * (5 + 0.4 * np.sin(wave)) * wave)
    ecg[9000:9360] = np.nan
    ecg[12_000:13_500] = 0.25
    ecg[16_000:18_500] = np.random.default_rng(0).normal(scale=0.01, size=2500)
    return ecg


def normal_ecg() -> Floats:
    """Ten minutes that give no alarm."""
    return synthetic_ecg(600.0, FS, seed=1, ectopic_every=0)
