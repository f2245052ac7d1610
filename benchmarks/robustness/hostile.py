"""Hostile frames against a real daemon: what they cost the regular streams.

Some streams send the bundled recording in real time, a frame each 100 ms. After a while another
process sends mutated frames, many of names without end, as fast as it can over a connection of its
own. Printed: how late the others' beats came before and during the attack, what of theirs was lost,
what became of the hostile frames, and the daemon's memory.
    python -m benchmarks.robustness.hostile --frames 1000000
    python -m benchmarks.robustness.hostile --frames 1000000 --frames-per-s 1000000
With the second, every frame is decoded.
"""

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Annotated

import numpy as np
import typer
import zmq

from beatgan.records import SAMPLE, read_recording
from benchmarks.performance.load.processes import ready, started
from benchmarks.robustness.fuzzer import Fuzzer
from benchmarks.robustness.regular_streams import Listener, RegularStreams, latency

DISTINCT = 50_000  # hostile frames that are made; then the same ones again
PEAK = "VmHWM"
REJECTED = "beatgan_frames_rejected_total{"


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
        before_it = (attack_began - before_s + 8.0, attack_began)
        print(f"before, ms: {latency(sender, listener, [before_it])}")
        print(f"during, ms: {latency(sender, listener, [(attack_began, over)])}")
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
