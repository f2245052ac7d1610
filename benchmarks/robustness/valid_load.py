"""Valid traffic at the extremes of the protocol against a real daemon whose every index is checked.

Some regular streams send the bundled recording in real time. After a while another process sends
frames of `extremes` as fast as they are taken, while a thread subscribes and asks for whatever is
allowed. Printed: frames, exit code, hangs, peak memory, whether the regular streams' beats are
those of an offline run, and their p99 latency relative to that before.
    python -m benchmarks.robustness.valid_load --frames 10000000
"""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Annotated

import numpy as np
import typer
import zmq

from beatgan.errors import BeatganError
from beatgan.frontend import Frontend
from beatgan.protocol.control import encode_request
from beatgan.records import SAMPLE, read_recording
from beatgan.types import Beat
from beatgan_daemon.model_loading import load_model
from benchmarks.performance.load.processes import ready, started
from benchmarks.robustness.extremes import Extremes, corpus
from benchmarks.robustness.hostile import (
    FRAME_S,
    FS,
    PEAK,
    REJECTED,
    Listener,
    RegularStreams,
    megabytes,
)

SETTLED_S = 8.0  # from the first frame until latencies count
AFTER_S = 3.0
COPIES = 4  # of the recording that a regular stream sends, see `RegularStreams`


def frames(seed: int, count: int) -> Iterator[list[bytes]]:
    """All that ever did harm, then so many drawn frames."""
    yield from corpus()
    extremes = Extremes(seed)
    yield from (extremes.next() for _ in range(count))


def send(ingest: str, seed: int, count: int) -> None:
    """In a process of its own: send `frames` as fast as they are taken."""
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        socket.setsockopt(zmq.XPUB_NODROP, 1)
        socket.connect(ingest)
        socket.recv()
        for parts in frames(seed, count):
            socket.send_multipart(parts)


@dataclass
class Clients:
    """Subscriptions and requests, all allowed, as many as a second has room for."""

    publish: str
    control: str
    over: Event = field(default_factory=Event)
    requests: int = 0

    def run(self) -> None:
        """Ask until ``over``."""
        chance = random.Random(1)
        with zmq.Context() as context:
            while not self.over.is_set():
                with context.socket(zmq.SUB) as sink, context.socket(zmq.DEALER) as asks:
                    sink.linger = asks.linger = 0
                    sink.connect(self.publish)
                    asks.connect(self.control)
                    for _ in range(50):
                        sink.subscribe(chance.choice((b"", b"alert.", chance.randbytes(70))))
                        asks.send(chance.choice(REQUESTS))
                        if asks.poll(200):
                            asks.recv_multipart()
                            self.requests += 1


REQUESTS = (
    encode_request("alerts", since=0, limit=1),
    encode_request("alerts", since=2**63 - 1, limit=2**63),
    encode_request("alerts", since=0),
    encode_request("active"),
    encode_request("acknowledge", id="x" * 1024),
)


def expected(model: Path, sent: int) -> set[int]:
    """The R peaks that an offline run finds in so many frames of a regular stream."""
    loaded = load_model(model, "cpu")
    signal = np.tile(read_recording(SAMPLE).samples[:, :1].astype(np.float32), (COPIES, 1))
    frontend = Frontend(loaded.spec, loaded.coefficients, FS, ["MLII"])
    events = frontend.push(signal[: sent * round(FS * FRAME_S)])
    return {event.sample for event in events if isinstance(event, Beat)}


def p99(streams: RegularStreams, listener: Listener, since: float, until: float) -> float:
    """From the frame with the R peak sent to the beat received, in ms."""
    size = round(FS * FRAME_S)
    waits = [
        1000 * (at - streams.sent[sample // size])
        for _, sample, at in listener.received
        if since <= streams.sent[sample // size] < until
    ]
    return float(np.percentile(waits, 99)) if waits else float("nan")


def main(
    count: Annotated[int, typer.Option("--frames", help="frames at the extremes")] = 1_000_000,
    seed: Annotated[int, typer.Option(help="other frames for another seed")] = 1,
    streams: Annotated[int, typer.Option(help="regular streams")] = 10,
    before_s: Annotated[float, typer.Option(help="seconds before the load")] = 40.0,
    most_s: Annotated[float, typer.Option(help="the load ends after so many seconds")] = 600.0,
    model: Annotated[Path, typer.Option(help="model file")] = Path("models/student.pt"),
) -> None:
    """Load a daemon and print what came of it."""
    any_port = "tcp://127.0.0.1:*"
    command: list[str | Path] = [
        *("-m", "beatgan_daemon.cli", "run", "--model", model, "--http", "127.0.0.1:0"),
        *("--ingest-bind", any_port, "--publish-bind", any_port),
        *("--set", f"control.bind={any_port}", "--set", "log.format=json"),
    ]
    with TemporaryDirectory() as folder, ExitStack() as stack:
        log = Path(folder) / "log"
        state = ("--set", f"state.dir={folder}/state", "--set", "state.checkpoint_s=2")
        cores = os.sched_getaffinity(0)
        running = started([*command, *state], cores, log, NUMBA_BOUNDSCHECK="1")
        daemon = ready(stack.enter_context(running), log)
        control = next(e["control"] for e in daemon.logged() if e["event"] == "ready")
        before_mb = megabytes(daemon.process.pid, "VmRSS")
        regular = RegularStreams(daemon.ingest, streams)
        listener, clients = Listener(daemon.publish), Clients(daemon.publish, control)
        threads = [Thread(target=each.run) for each in (listener, regular)]
        for thread in threads:
            thread.start()
        time.sleep(before_s)
        began = time.monotonic()
        asking = Thread(target=clients.run)
        asking.start()
        sender = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, "send", daemon.ingest, str(seed), str(count)]
        )
        try:
            sender.wait(most_s)
        except subprocess.TimeoutExpired:
            sender.kill()
            sender.wait()
        over = time.monotonic()
        time.sleep(AFTER_S)
        regular.over.set()
        clients.over.set()
        threads[1].join()
        asking.join()
        time.sleep(AFTER_S)
        listener.over.set()
        threads[0].join()
        died = daemon.process.poll()
        if died is not None:
            raise BeatganError(f"the daemon ended with {died}: {log.read_text()[-3000:]}")
        counts = daemon.metrics()
        decided = sum(counts.get(name, 0.0) for name in counts if name.startswith(REJECTED))
        quiet = p99(regular, listener, began - before_s + SETTLED_S, began)
        loaded = p99(regular, listener, began, over)
        offline = expected(model, len(regular.sent))
        missing = 0
        for bed in range(streams):
            told = {sample for name, sample, _ in listener.received if name == f"bed-{bed}"}
            missing += len(offline - told) + len(told - offline)
        print(f"{over - began:.0f} s of load, {clients.requests:,} requests answered")
        print(
            f"crashed: {died}; hung: {sum(e['event'] == 'a thread hangs' for e in daemon.logged())}"
        )
        print(f"memory, MB: {before_mb} before, at most {megabytes(daemon.process.pid, PEAK)}")
        print(f"beats of regular streams: {streams * len(offline)} offline, {missing} not so live")
        print(f"p99, ms: {quiet:.0f} before, {loaded:.0f} under load: {loaded / quiet:.2f}")
        print(f"rejected: {decided:,.0f}; " + ", ".join(_rejections(counts)))
        print(f"ends with {daemon.stop()}")


def _rejections(counts: dict[str, float]) -> Iterator[str]:
    for name, count in sorted(counts.items()):
        if name.startswith(REJECTED) and count:
            yield f"{name.removeprefix(REJECTED)[:-1]} {count:,.0f}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["send"]:
        send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        typer.run(main)
