"""A daemon killed again and again, under load: is any alert lost, sent as new twice, or left open?

Streams of synthetic ECG with every kind of alarm run many times faster than real time through a
real daemon, which is killed (SIGKILL) at random moments, some before it is ready, and started again
on the same state directory. What a subscriber ever saw, what the journal says and what the control
socket answers are then held against one another.
    python -m benchmarks.robustness.kills --kills 100
"""

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import monotonic, sleep
from typing import Annotated, Any

import numpy as np
import typer
import zmq

from beatgan.errors import UsageError
from beatgan_daemon.clients.client import Client, fetch_alerts
from benchmarks.robustness.kills_source import Source

REPEAT = b',"repeat":true}'
BEFORE_READY = 0.2  # share of the kills before the daemon is ready
LIFE_BEATS = 36  # of each stream, after which it is killed at the latest: by its own pace, so that
# a machine that has more to do makes no life too short for any alarm
PATIENCE_S = 120.0  # for what comes within a second on a machine at rest
CHECKPOINT_S = (0.5, 30.0)  # between checkpoints: mostly newer than the alarm states, or older
OVERLAP = 20  # alerts asked for a second time after each restart: they may not have changed
ALARMS = ("alarms.refractory_s=0", "alarms.burst=1000000", "alarms.max_per_hour=1000000")


def _until(done: Callable[[], bool]) -> bool:
    """Whether it is, in time."""
    end = monotonic() + PATIENCE_S
    while not done():
        if monotonic() > end:
            return False
        sleep(0.01)
    return True


@dataclass(frozen=True)
class Result:
    """What was found; ``faults`` says what should not have been."""

    kills: int
    alerts: int
    seen: int  # by the subscriber, each counted once
    resumed: int  # episodes with messages from before and after a kill
    ended: Counter[str]  # episodes by code
    starts: list[float]  # from the process's start to its first beat, in s
    faults: list[str]


@dataclass
class SubscriberLog:
    """What a subscriber saw."""

    alerts: dict[int, bytes] = field(default_factory=dict)  # by number
    faults: list[str] = field(default_factory=list)
    beats: int = 0

    def codes(self) -> set[str]:
        """Of all alerts seen."""
        return {json.loads(body)["code"] for body in tuple(self.alerts.values())}

    def await_beats(self, count: int) -> bool:
        """Whether so many more beats come in time."""
        end = self.beats + count
        return _until(lambda: self.beats >= end)

    def add(self, body: bytes) -> None:
        """One alert, which may be repeated."""
        plain = body[: -len(REPEAT)] + b"}" if body.endswith(REPEAT) else body
        n = json.loads(plain)["n"]
        if self.alerts.setdefault(n, plain) != plain:
            self.faults.append(f"alert {n} was seen with two contents")


@contextmanager
def subscriber(endpoint: str) -> Iterator[SubscriberLog]:
    """A subscriber to whatever the daemon publishes while it runs."""
    seen, stopped = SubscriberLog(), Event()

    def listen() -> None:
        with zmq.Context[zmq.Socket[bytes]]() as context, context.socket(zmq.SUB) as socket:
            socket.linger, socket.rcvhwm, socket.reconnect_ivl = 0, 0, 20
            socket.subscribe(b"alert.")
            socket.subscribe(b"beat.")
            socket.connect(endpoint)
            while not stopped.is_set():
                if socket.poll(50):
                    topic, body = socket.recv_multipart()
                    if topic.startswith(b"beat."):
                        seen.beats += 1
                    else:
                        seen.add(body)

    thread = Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stopped.set()
        thread.join()


@dataclass
class Daemon:
    """The daemon's processes, one after another on the same state directory."""

    model: Path
    folder: Path

    def endpoint(self, name: str) -> str:
        """Where one of its sockets is."""
        return f"ipc://{self.folder}/{name}"

    def start(self, checkpoint_s: float = CHECKPOINT_S[0]) -> subprocess.Popen[bytes]:
        """Start it; `ready` waits until it serves."""
        options = [
            f"ingest.bind={self.endpoint('ingest')}",
            f"publish.bind={self.endpoint('publish')}",
            f"control.bind={self.endpoint('control')}",
            f"state.dir={self.folder / 'state'}",
            "http.listen=127.0.0.1:0",
            f"state.checkpoint_s={checkpoint_s}",
            "streams.silence_s=2",
            *ALARMS,
        ]
        command = [sys.executable, "-m", "beatgan_daemon.cli", "run", "--model", str(self.model)]
        command += [word for option in options for word in ("--set", option)]
        with self.log.open("w") as log:
            return subprocess.Popen(command, stderr=log)

    @property
    def log(self) -> Path:
        """What the latest process logs."""
        return self.folder / "log"

    def ready(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until it says so. Raises RuntimeError with its log where it does not."""
        while process.poll() is None:
            if '"event":"ready"' in self.log.read_text().replace(" ", ""):
                return
            sleep(0.01)
        raise RuntimeError(f"the daemon did not start: {self.log.read_text()[-2000:]}")


class KillTest:
    """One run: kills, restarts, and what is known of the journal so far."""

    def __init__(
        self, daemon: Daemon, seen: SubscriberLog, chance: random.Random, streams: int
    ) -> None:
        self._daemon, self._seen, self._chance = daemon, seen, chance
        self._streams = streams
        self.journal: list[bytes] = []
        self.boundaries: list[int] = []  # lengths of the journal right after each restart
        self.starts: list[float] = []
        self.faults: list[str] = []

    def kill(self) -> None:
        """One run of the daemon, which ends with SIGKILL at a random moment."""
        process = self._daemon.start(self._chance.choice(CHECKPOINT_S))
        try:
            if self._chance.random() < BEFORE_READY:
                sleep(self._chance.uniform(0.0, 3.0))
                return
            self.live(process)
            self._seen.await_beats(round(self._chance.uniform(0, LIFE_BEATS * self._streams)))
        finally:
            process.kill()
            process.wait()

    def live(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the first beat, and read the journal."""
        began = monotonic()
        self._daemon.ready(process)
        if self._seen.await_beats(1):
            self.starts.append(monotonic() - began)
        else:
            self.faults.append(f"no beat within {PATIENCE_S:g} s of a start")
        self.read()
        self.boundaries.append(len(self.journal))

    def read(self) -> None:
        """What is new in the journal, and whether what was there is still the same."""
        since = max(0, len(self.journal) - OVERLAP)
        bodies = list(fetch_alerts(self._daemon.endpoint("control"), since))
        known = self.journal[since:]
        if bodies[: len(known)] != known:
            self.faults.append(f"alerts from {since} on are not what they were")
        self.journal += bodies[len(known) :]

    def resumed(self) -> int:
        """Episodes that have messages from before and after a start."""
        numbers: dict[str, list[int]] = {}
        for n, body in enumerate(self.journal):
            numbers.setdefault(json.loads(body)["id"], []).append(n)
        return sum(
            any(each[0] < boundary <= each[-1] for boundary in self.boundaries)
            for each in numbers.values()
        )


def end_all_episodes(daemon: Daemon, source: Source) -> list[str]:
    """Let all episodes end, acknowledge what is latched; what is then still active."""
    source.normal.set()
    end = monotonic() + PATIENCE_S
    with Client(daemon.endpoint("control")) as client:
        while (left := [json.loads(body) for body in client.active().bodies]) and monotonic() < end:
            for message in left:
                with suppress(UsageError):  # it may end at this very moment
                    if message["latched"]:
                        client.acknowledge(message["id"])
            sleep(0.5)
    return [f"{message['id']} was left open" for message in left]


def check(journal: list[bytes], seen: SubscriberLog) -> tuple[Counter[str], list[str]]:
    """Ended episodes by code, and what should not have been."""
    faults = list(seen.faults)
    messages: list[dict[str, Any]] = [json.loads(body) for body in journal]
    for place, message in enumerate(messages):
        if message["n"] != place:
            faults.append(f"alert {place} of the journal has number {message['n']}")
    for n, body in seen.alerts.items():
        if n >= len(journal) or journal[n] != body:
            faults.append(f"alert {n} was seen, but is not so in the journal")
    phases: dict[str, list[str]] = {}
    for message in messages:
        phases.setdefault(message["id"], []).append(message["phase"])
    for episode, seen_phases in phases.items():
        counts = seen_phases.count("start"), seen_phases.count("end")
        if counts != (1, 1) or seen_phases[-1] != "end":
            faults.append(f"{episode}: {' '.join(seen_phases)}")
    codes = {message["id"]: message["code"] for message in messages}
    return Counter(codes[episode] for episode in phases), faults


def kill_repeatedly(
    model: Path,
    kills: int,
    streams: int,
    seed: int,
    enough: Callable[[SubscriberLog], bool] = lambda _: True,
) -> Result:
    """Kill a daemon so many times, end it regularly once ``enough`` was seen, and check."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="kills-")))
        daemon = Daemon(model, folder)
        source = Source(daemon.endpoint("ingest"), streams)
        seen = stack.enter_context(subscriber(daemon.endpoint("publish")))
        source.start()
        stack.callback(source.stopped.set)
        test = KillTest(daemon, seen, random.Random(seed), streams)
        for _ in range(kills):
            test.kill()
        process = stack.enter_context(daemon.start())
        stack.callback(process.kill)
        test.live(process)
        if not _until(lambda: enough(seen)):
            test.faults.append(f"not enough was seen within {PATIENCE_S:g} s")
        open_left = end_all_episodes(daemon, source)
        test.read()
        process.terminate()
        process.wait(PATIENCE_S)
        ended, faults = check(test.journal, seen)
    faults += test.faults + open_left
    alerts, received = len(test.journal), len(seen.alerts)
    return Result(kills, alerts, received, test.resumed(), ended, test.starts, faults)


def main(
    model: Annotated[Path, typer.Option()] = Path("models/student.pt"),
    kills: int = 100,
    streams: int = 6,
    seed: int = 0,
) -> None:
    """Print what was found. Ends with 1 if anything was not as it should be."""
    result = kill_repeatedly(model, kills, streams, seed)
    typer.echo(
        f"{result.kills} kills, {result.alerts} alerts in the journal without a hole, "
        f"{result.seen} of them seen by the subscriber, {result.resumed} episodes resumed"
    )
    typer.echo(", ".join(f"{count} {code}" for code, count in sorted(result.ended.items())))
    middle, slowest = np.median(result.starts), max(result.starts)
    typer.echo(f"from start to the first beat: median {middle:.2f} s, slowest {slowest:.2f} s")
    for fault in result.faults:
        typer.echo(fault, err=True)
    if result.faults:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
