"""Valid traffic at the extremes of the protocol against a real daemon whose every index is checked.

Some regular streams send the bundled recording in real time. Another process sends frames of
`extremes`, as fast as they are taken or at a rate, and a thread subscribes and asks for whatever is
allowed: in turns, so that the regular streams' latency with and without them is of the same time.
Told as JSON, after each turn: frames, memory, whether the regular streams' beats are those of an
offline run, and their latencies.
    python -m benchmarks.robustness.valid_load --frames 10000000
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Annotated, Any

import numpy as np
import typer
import zmq

from beatgan.errors import BeatganError
from beatgan.frontend import Frontend
from beatgan.protocol.control import encode_request
from beatgan.records import SAMPLE, read_recording
from beatgan.types import Beat
from beatgan_daemon.model_loading import load_model
from benchmarks.performance.load.processes import Daemon, ready, started
from benchmarks.robustness.extremes import Extremes, corpus
from benchmarks.robustness.hostile import PEAK, REJECTED, megabytes
from benchmarks.robustness.regular_streams import (
    FRAME_S,
    FS,
    Listener,
    RegularStreams,
    latency,
)

SETTLED_S = 8.0  # from the first frame until latencies count
CHANGE_S = 3.0  # from the end of a turn until latencies count: what waits is served by then
AFTER_S = 3.0
TOLD = 1000  # frames sent until that is said
ONES_OWN = 1.0  # seconds in which a beat comes


def frames(seed: int, count: int) -> Iterator[list[bytes]]:
    """All that ever did harm, then so many drawn frames."""
    yield from corpus()
    extremes = Extremes(seed)
    yield from (extremes.next() for _ in range(count))


def send(ingest: str, seed: int, count: int, rate: float) -> None:
    """In a process of its own: send `frames` as fast as they are taken, or ``rate`` a second.

    Prints how many were sent, now and then.
    """
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        socket.setsockopt(zmq.XPUB_NODROP, 1)
        socket.connect(ingest)
        socket.recv()
        due = time.monotonic()
        for number, parts in enumerate(frames(seed, count), 1):
            socket.send_multipart(parts)
            if number % TOLD == 0:
                print(number, flush=True)
            if rate and number % 10 == 0:
                due = max(due + 10 / rate, time.monotonic() - 0.1)  # a pause is not made up for
                time.sleep(max(0.0, due - time.monotonic()))


@dataclass
class Sender:
    """The process of `send`, which can be halted."""

    process: subprocess.Popen[str]
    sent: int = 0

    def run(self) -> None:
        """Follow what it says, until it ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.sent = int(line)

    def work(self, seconds: float) -> bool:
        """Let it send for so long; whether there is more to send."""
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGSTOP)
            return True
        return False


@dataclass
class Clients:
    """Subscriptions and requests, all allowed, as many as a second has room for."""

    publish: str
    control: str
    over: Event = field(default_factory=Event)
    going: Event = field(default_factory=Event)
    requests: int = 0

    def run(self) -> None:
        """Ask until ``over``, while ``going``."""
        chance = random.Random(1)
        with zmq.Context() as context:
            while not self.over.is_set():
                if self.going.wait(0.1):
                    self._ask(context, chance)

    def _ask(self, context: zmq.Context[zmq.Socket[bytes]], chance: random.Random) -> None:
        with context.socket(zmq.SUB) as sink, context.socket(zmq.DEALER) as asks:
            sink.linger = asks.linger = 0
            sink.connect(self.publish)
            asks.connect(self.control)
            for _ in range(50):
                sink.subscribe(chance.choice((b"beat.none", b"alert.", chance.randbytes(70))))
                asks.send(chance.choice(REQUESTS))
                if asks.poll(200):
                    asks.recv_multipart()
                    self.requests += 1
                time.sleep(0.02)


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
    recording = read_recording(SAMPLE).samples[:, :1].astype(np.float32)
    samples = sent * round(FS * FRAME_S)
    copies = -(-samples // len(recording))
    frontend = Frontend(loaded.spec, loaded.coefficients, FS, ["MLII"])
    events = frontend.push(np.tile(recording, (copies, 1))[:samples])
    return {event.sample for event in events if isinstance(event, Beat)}


@dataclass
class Turns:
    """When there was load and when not, and how long beats took to come, in ms."""

    streams: RegularStreams
    listener: Listener
    spans: dict[str, list[tuple[float, float]]] = field(
        default_factory=lambda: {"without": [], "with": []}
    )

    def latencies(self, kind: str) -> dict[str, float]:
        """From the frame with the R peak sent to the beat received."""
        return latency(self.streams, self.listener, self.spans[kind])


@dataclass
class Run:
    """A daemon under load, and what is known of it."""

    daemon: Daemon
    turns: Turns
    sender: Sender
    clients: Clients
    began_mb: int

    def take(self, quiet_s: float, load_s: float) -> bool:
        """A turn without load and one with it; whether there is more to send."""
        began = time.monotonic()
        time.sleep(quiet_s)
        self._span("without", began)
        self.clients.going.set()
        began = time.monotonic()
        more = self.sender.work(load_s)
        self.clients.going.clear()
        self._span("with", began)
        if (died := self.daemon.process.poll()) is not None:
            raise BeatganError(f"the daemon ended with {died}: {self._log()}")
        return more

    def _span(self, kind: str, began: float) -> None:
        until = time.monotonic() - ONES_OWN
        self.turns.spans[kind].append((began + CHANGE_S, until))

    def _log(self) -> str:
        return self.daemon.log.read_text()[-3000:]

    def figures(self) -> dict[str, Any]:
        """What has come of it so far."""
        counts = self.daemon.metrics()
        without, under = self.turns.latencies("without"), self.turns.latencies("with")
        loaded_s = sum(until - since + CHANGE_S for since, until in self.turns.spans["with"])
        ratio = under.get("p99", np.nan) / without.get("p99", np.nan)
        return {
            "frames": self.sender.sent,
            "load_s": round(loaded_s),
            "frames_per_s": round(self.sender.sent / max(loaded_s, 1.0)),
            "requests": self.clients.requests,
            "memory_mb": {
                "before": self.began_mb,
                "peak": megabytes(self.daemon.process.pid, PEAK),
            },
            "latency_ms": {"without": without, "with": under, "p99_ratio": round(ratio, 2)},
            "gaps": self.turns.listener.gaps,
            "hung": sum(each["event"] == "a thread hangs" for each in self.daemon.logged()),
            "crashed": sum(each["event"] == "crashed" for each in self.daemon.logged()),
            "samples_received": round(counts["beatgan_samples_received_total"]),
            "frames_shed": round(counts["beatgan_frames_shed_total"]),
            "rejected": {
                name.removeprefix(REJECTED)[:-1]: round(count)
                for name, count in sorted(counts.items())
                if name.startswith(REJECTED) and count
            },
        }


def main(
    count: Annotated[int, typer.Option("--frames", help="frames at the extremes")] = 1_000_000,
    seed: Annotated[int, typer.Option(help="other frames for another seed")] = 1,
    streams: Annotated[int, typer.Option(help="regular streams")] = 10,
    rate: Annotated[float, typer.Option(help="frames a second; 0: as many as are taken")] = 0.0,
    quiet_s: Annotated[float, typer.Option(help="seconds of a turn without load")] = 30.0,
    load_s: Annotated[float, typer.Option(help="seconds of a turn with load")] = 120.0,
    most_s: Annotated[float, typer.Option(help="seconds for all of it")] = 7200.0,
    model: Annotated[Path, typer.Option(help="model file")] = Path("models/student.pt"),
) -> None:
    """Load a daemon and print what came of it, a line of JSON after each turn."""
    any_port = "tcp://127.0.0.1:*"
    command: list[str | Path] = [
        *("-m", "beatgan_daemon.cli", "run", "--model", model, "--http", "127.0.0.1:0"),
        *("--ingest-bind", any_port, "--publish-bind", any_port),
        *("--set", f"control.bind={any_port}", "--set", "log.format=json"),
    ]
    end = time.monotonic() + most_s
    with TemporaryDirectory() as folder, ExitStack() as stack:
        log = Path(folder) / "log"
        state = ("--set", f"state.dir={folder}/state", "--set", "state.checkpoint_s=2")
        cores = os.sched_getaffinity(0)
        running = started([*command, *state], cores, log, NUMBA_BOUNDSCHECK="1")
        daemon = ready(stack.enter_context(running), log)
        control = next(e["control"] for e in daemon.logged() if e["event"] == "ready")
        before_mb = megabytes(daemon.process.pid, "VmRSS")
        regular, listener = RegularStreams(daemon.ingest, streams), Listener(daemon.publish)
        clients = Clients(daemon.publish, control)
        sending = [sys.executable, "-m", __spec__.name, "send", daemon.ingest]
        process = stack.enter_context(
            subprocess.Popen(
                [*sending, str(seed), str(count), str(rate)], stdout=subprocess.PIPE, text=True
            )
        )
        stack.callback(process.kill)
        process.send_signal(signal.SIGSTOP)
        sender = Sender(process)
        threads = [Thread(target=each.run) for each in (listener, regular, clients, sender)]
        for thread in threads:
            thread.start()
        run = Run(daemon, Turns(regular, listener), sender, clients, before_mb)
        try:
            time.sleep(SETTLED_S)
            while run.take(quiet_s, load_s) and time.monotonic() < end:
                print(json.dumps(run.figures()), flush=True)
            process.kill()
            time.sleep(AFTER_S)
            regular.over.set()
            threads[1].join()
            time.sleep(AFTER_S)
        finally:
            process.kill()
            for each in (regular, clients, listener):
                each.over.set()
        for thread in threads:
            thread.join()
        offline = expected(model, len(regular.sent))
        told: dict[str, set[int]] = {f"bed-{bed}": set() for bed in range(streams)}
        for name, sample, _ in listener.received:
            told[name].add(sample)
        differ = sum(len(offline ^ each) for each in told.values())
        beats = {"offline": streams * len(offline), "not_so_live": differ}
        figures = run.figures()
        print(json.dumps({**figures, "beats": beats, "exit": daemon.stop()}), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["send"]:
        send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
    else:
        typer.run(main)
