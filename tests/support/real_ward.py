"""A real daemon fed with the bundled recordings, and the real server of the page, as processes.

Both listen on loopback and can be killed and started again where they were.
"""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Thread
from time import monotonic, time_ns
from typing import Final
from urllib.parse import urlsplit

import numpy as np
import zmq

from beatgan.protocol.frames import encode_frame
from beatgan.records import Recording, excerpt
from beatgan.types import Chunk
from beatgan_daemon.clients.process import COMMAND, DaemonProcess, environment

MODEL: Final = Path(__file__).parents[2] / "models" / "student.pt"
FRAME_S: Final = 0.2
START_S: Final = 180.0  # where nothing is compiled yet
ANY: Final = "tcp://127.0.0.1:*"
MARKUP: Final = "<img src=x onerror=document.title='struck'>"


@dataclass(frozen=True)
class Bed:
    """A recording as a stream that never ends; ``lost``: (from, to) in each 10 s."""

    stream: str
    recording: Recording
    lost: tuple[float, float] = (0.0, 0.0)

    def loses(self, at_s: float) -> bool:
        """Whether the frame that begins at ``at_s`` never arrives."""
        return self.lost[0] <= at_s % 10 < self.lost[1]


def bed(stream: str, name: str, start_s: float = 0.0) -> Bed:
    """The bundled excerpt of that name, from ``start_s`` on."""
    recording = excerpt.read(name).recording
    samples = np.roll(recording.samples, -round(start_s * recording.fs), axis=0)
    return Bed(stream, replace(recording, samples=samples))


class Feed:
    """Sends the beds' frames when they are due, in a thread."""

    def __init__(self, beds: Sequence[Bed], endpoint: str) -> None:
        self.stopped = Event()
        self.silent: set[str] = set()  # streams whose source is away
        self._beds, self._endpoint = beds, endpoint
        self._thread = Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self.stopped.set()
        self._thread.join()

    def _run(self) -> None:
        with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
            socket.linger = 0
            socket.connect(self._endpoint)
            assert socket.poll(20_000), "the daemon subscribes to nothing"
            began, began_ns, k = monotonic(), time_ns(), 0
            while not self.stopped.wait(max(0.0, began + k * FRAME_S - monotonic())):
                for bed in self._beds:
                    if bed.stream not in self.silent and not bed.loses(k * FRAME_S):
                        socket.send_multipart(self._frame(bed, k, began_ns))
                k += 1

    @staticmethod
    def _frame(bed: Bed, k: int, began_ns: int) -> list[bytes]:
        recording = bed.recording
        size = round(FRAME_S * recording.fs)
        samples = np.take(recording.samples, range(k * size, (k + 1) * size), axis=0, mode="wrap")
        t_ns = began_ns + round(k * size * 1e9 / recording.fs)
        return encode_frame(
            Chunk(bed.stream, began_ns, k, k * size, t_ns, recording.fs, recording.leads, samples)
        )


class RealWard:
    """The daemon, its feed and the page's server."""

    def __init__(self, folder: Path, beds: Sequence[Bed], *web_options: str) -> None:
        """``folder``: for logs and state; ``web_options``: of ``beatgan-daemon web``."""
        self._folder, self._web_options = folder, web_options
        self.ingest = self.publish = self.control = self.tap = ANY
        self.http = "127.0.0.1:0"
        self.listen = "127.0.0.1:0"
        self.beds = {bed.stream: bed for bed in beds}
        self.start_daemon()
        self.feed = Feed(beds, self.ingest)
        self.start_web()

    def start_daemon(self) -> None:
        """Start it, where it was before, and wait until it is ready."""
        log = self._folder / f"daemon-{time_ns()}.log"
        options = {
            "log.format": "json",
            "ingest.bind": self.ingest,
            "publish.bind": self.publish,
            "control.bind": self.control,
            "tap.bind": self.tap,
            "http.listen": self.http.removeprefix("http://"),
            "state.dir": str(self._folder / "state"),
            "model.path": str(MODEL),
        }
        flags = [word for key, value in options.items() for word in ("--set", f"{key}={value}")]
        with log.open("w") as stderr:
            self.daemon = subprocess.Popen(
                [*COMMAND, "run", *flags], stderr=stderr, text=True, env=environment()
            )
        found = DaemonProcess(self.daemon, log)
        assert found.wait_until_ready(START_S)
        ready = next(line for line in found.logged() if line["event"] == "ready")
        (self.ingest,), (self.tap,) = ready["ingest"], ready["tap"]
        self.publish, self.control, self.http = (ready[k] for k in ("publish", "control", "http"))

    def start_web(self) -> None:
        """Start it, where it was before; ``address`` with its token."""
        endpoints = ["--connect", self.publish, "--tap", self.tap, "--control", self.control]
        endpoints += ["--metrics", self.http.removeprefix("http://")]
        self.web = subprocess.Popen(
            [*COMMAND, "web", *endpoints, "--listen", self.listen, *self._web_options],
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        assert self.web.stdout is not None
        self.address = self.web.stdout.readline().strip()
        self.listen = urlsplit(self.address).netloc

    def kill_web(self) -> None:
        """End it as no handler can prevent."""
        self.web.kill()
        self.web.wait()
        assert self.web.stdout is not None
        self.web.stdout.close()

    def kill_daemon(self) -> None:
        """End it as no handler can prevent."""
        self.daemon.kill()
        self.daemon.wait()

    @property
    def origin(self) -> str:
        """Where the page is, without a path."""
        return f"http://{self.listen}"

    def web_memory_mb(self) -> float:
        """What the page's server has in memory."""
        status = Path(f"/proc/{self.web.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def stop(self) -> None:
        """End everything."""
        self.feed.stop()
        for process in (self.web, self.daemon):
            process.terminate()
            process.wait(15)
            if process.stdout is not None:
                process.stdout.close()


def ward_of_16() -> list[Bed]:
    """Sixteen beds: every excerpt, a gap in bed-9, a lead that is called as markup in bed-10."""
    names = ["ventricular-tachycardia", "ventricular-flutter", "bigeminy", "paced", "noise"]
    names += ["tachycardia-in-fibrillation", "normal"]
    beds = [bed(f"bed-{k}", name) for k, name in enumerate(names, 1)]
    beds += [bed(f"bed-{k}", "normal", start_s=7.0 * k) for k in range(8, 17)]
    beds[8] = replace(beds[8], lost=(4.0, 6.0))
    odd = replace(beds[9].recording, leads=("II", MARKUP))
    beds[9] = replace(beds[9], recording=odd)
    return beds


@contextmanager
def real_ward(folder: Path, beds: Sequence[Bed], *web_options: str) -> Iterator[RealWard]:
    """A ward for as long as the block lasts."""
    ward = RealWard(folder, beds, *web_options)
    try:
        yield ward
    finally:
        ward.stop()
