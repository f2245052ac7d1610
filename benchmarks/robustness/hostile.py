"""Hostile frames against a real daemon: what they cost the regular streams.

Some streams send the bundled recording in real time, a frame each 100 ms. After a while another
process sends mutated frames, many of names without end, as fast as it can over a connection of its
own. Printed: how late the others' beats came before and during the attack, what of theirs was lost,
what became of the hostile frames, and the daemon's memory.
    python -m benchmarks.robustness.hostile --frames 1000000
    python -m benchmarks.robustness.hostile --frames 1000000 --frames-per-s 1000000
With the second, every frame is decoded.
"""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Annotated

import numpy as np
import typer
import zmq

from beatgan.protocol.frames import encode_frame
from beatgan.records import SAMPLE, read_recording
from beatgan.types import Chunk
from benchmarks.performance.load.processes import ready, started
from benchmarks.robustness.fuzzer import Fuzzer

FS, FRAME_S = 360.0, 0.1
DISTINCT = 50_000  # hostile frames that are made; then the same ones again
PEAK = "VmHWM"
REJECTED = "beatgan_frames_rejected_total{"


@dataclass
class RegularStreams:
    """Regular streams, and when each of their frames was sent."""

    ingest: str
    count: int
    over: Event = field(default_factory=Event)
    sent: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Send in real time until ``over``."""
        signal = read_recording(SAMPLE).samples[:, :1].astype(np.float32)
        size = round(FS * FRAME_S)
        frames = len(signal) // size  # then the recording begins anew
        with zmq.Context() as context, context.socket(zmq.PUB) as socket:
            socket.linger = 0
            socket.connect(self.ingest)
            time.sleep(1.0)
            began = time.monotonic()
            while not self.over.is_set():
                k = len(self.sent)
                time.sleep(max(0.0, began + k * FRAME_S - time.monotonic()))
                self.sent.append(time.monotonic())
                samples = signal[k % frames * size : (k % frames + 1) * size]
                for bed in range(self.count):
                    chunk = Chunk(f"bed-{bed}", 1, k, k * size, k * 10**8, FS, ("MLII",), samples)
                    socket.send_multipart(encode_frame(chunk))


@dataclass
class Listener:
    """When each beat was received (stream, sample, monotonic seconds), and gaps in their signal."""

    publish: str
    over: Event = field(default_factory=Event)
    received: list[tuple[str, int, float]] = field(default_factory=list)
    gaps: int = 0

    def run(self) -> None:
        """Listen until ``over``."""
        with zmq.Context() as context, context.socket(zmq.SUB) as socket:
            socket.linger = 0
            socket.subscribe(b"beat.bed-")
            socket.subscribe(b"status.bed-")
            socket.connect(self.publish)
            while not self.over.is_set():
                if socket.poll(100):
                    message = json.loads(socket.recv_multipart()[1])
                    self.gaps += message.get("state") in ("gap", "shed")
                    if message["type"] == "beat":
                        self.received.append(
                            (message["stream"], message["sample"], time.monotonic())
                        )


def attack(ingest: str, frames: int) -> None:
    """In a process of its own: send so many mutated frames as fast as can be."""
    patient = read_recording(SAMPLE).samples[:, :1].astype(np.float32)
    fuzzer = Fuzzer(patient, seed=1)
    mutated = [fuzzer.mutated() for _ in range(DISTINCT)]
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        socket.setsockopt(zmq.XPUB_NODROP, 1)
        socket.connect(ingest)
        socket.recv()
        for k in range(frames):
            parts = mutated[k % len(mutated)]
            name = b"ecg.mad-%d" % k if k % 4 == 0 else b"ecg.mad"
            socket.send_multipart([name, *parts[1:]])


def latency(streams: RegularStreams, listener: Listener, since: float, until: float) -> str:
    """From the frame with the R peak sent to the beat received, ms; the detector waits, too."""
    size = round(FS * FRAME_S)
    waits = [
        1000 * (at - streams.sent[sample // size])
        for _, sample, at in listener.received
        if since <= streams.sent[sample // size] < until
    ]
    low, middle, high, most = np.percentile(waits, [1, 50, 99, 100])
    return f"{len(waits)} beats, ms: p1 {low:.0f}, p50 {middle:.0f}, p99 {high:.0f}, max {most:.0f}"


def megabytes(process: int, name: str) -> int:
    """A line of /proc/PID/status."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) // 1024


def main(
    frames: Annotated[int, typer.Option(help="hostile frames")] = 1_000_000,
    streams: Annotated[int, typer.Option(help="regular streams")] = 20,
    before_s: Annotated[float, typer.Option(help="seconds before the attack")] = 15.0,
    frames_per_s: Annotated[float, typer.Option(help="ingest.frames_per_s")] = 200.0,
    model: Annotated[Path, typer.Option(help="model file")] = Path("models/student.pt"),
) -> None:
    """Attack a daemon and print what came of it."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        log = Path(folder) / "log"
        command, cores = _daemon(model, frames_per_s), os.sched_getaffinity(0)
        daemon = ready(stack.enter_context(started(command, cores, log)), log)
        before = megabytes(daemon.process.pid, "VmRSS")
        sender, listener = (
            RegularStreams(daemon.ingest, streams),
            Listener(daemon.publish),
        )
        threads = [Thread(target=each.run) for each in (sender, listener)]
        for thread in threads:
            thread.start()
        time.sleep(before_s)
        attack_began = time.monotonic()
        subprocess.run(
            [
                sys.executable,
                "-m",
                "benchmarks.robustness.hostile",
                "attack",
                daemon.ingest,
                str(frames),
            ],
            check=True,
        )
        over = time.monotonic()
        time.sleep(3.0)
        for each in (sender, listener):
            each.over.set()
        for thread in threads:
            thread.join()
        print(f"before: {latency(sender, listener, attack_began - before_s + 8.0, attack_began)}")
        print(f"during: {latency(sender, listener, attack_began, over)}")
        print(f"gaps in the regular streams: {listener.gaps}")
        print(f"{frames:,} frames in {over - attack_began:.1f} s")
        counts = daemon.metrics()
        for name, count in sorted(counts.items()):
            if name.startswith(REJECTED) and count:
                print(f"  rejected, {name.removeprefix(REJECTED)[:-1]}: {count:,.0f}")
        for name in ("samples_received", "samples_lost", "frames_shed"):
            print(f"  {name}: {counts[f'beatgan_{name}_total']:,.0f}")
        print(f"memory, MB: {before} before, at most {megabytes(daemon.process.pid, PEAK)}")


def _daemon(model: Path, frames_per_s: float) -> list[str | Path]:
    any_port = "tcp://127.0.0.1:*"
    return [
        *("-m", "beatgan_daemon.cli", "run", "--model", model, "--http", "127.0.0.1:0"),
        *("--ingest-bind", any_port, "--publish-bind", any_port),
        *("--set", f"control.bind={any_port}", "--set", "log.format=json"),
        *("--set", f"ingest.frames_per_s={frames_per_s}"),
    ]


if __name__ == "__main__":
    if sys.argv[1:2] == ["attack"]:
        attack(sys.argv[2], int(sys.argv[3]))
    else:
        typer.run(main)
