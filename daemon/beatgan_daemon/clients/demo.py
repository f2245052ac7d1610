"""The whole daemon in one command: a real process, fed over ZeroMQ, its alerts on the terminal.

Everything listens on loopback, on ports that the system chooses, and is gone afterwards.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from time import monotonic
from typing import Any
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from beatgan.errors import BeatganError, UsageError
from beatgan.records import SAMPLE, read_recording
from beatgan_daemon.clients.watch import watch
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.playback.replay import Plan, replay
from beatgan_daemon.signals import stop_signals

START_S = 180.0  # the very first start compiles the signal path
STOP_S = 10.0
COMMAND = (
    *(sys.executable, "-m", "beatgan_daemon.cli", "run", "--set", "log.format=json"),
    *("--ingest-bind", "tcp://127.0.0.1:*", "--publish-bind", "tcp://127.0.0.1:*"),
    *("--http", "127.0.0.1:0", "--set", "control.bind=tcp://127.0.0.1:*"),
)


def demo(seconds: float, model: Path, console: Console) -> None:
    """Run the daemon on the bundled sample for ``seconds``, or until Ctrl-C.

    Raises UsageError where there is no model, RecordError where there is no sample, StartError
    with the daemon's own words where it does not start, BeatganError where it ends too soon.
    """
    if not model.is_file():
        raise UsageError(f"no model at {model}: run this in the project's folder or give --model")
    recording = read_recording(SAMPLE)
    console.print(f"starting the daemon with {model} (the very first start compiles) ...")
    with stop_signals() as stopping, _child(model) as child:
        ready = child.ready(stopping)
        if ready is None:
            return
        console.print(f"ready. Metrics: {ready['http']}/metrics", style="bold")
        end = monotonic() + seconds
        console.print(f"replaying {recording.name} in real time for {seconds:g} s; Ctrl-C ends")
        with ThreadPoolExecutor(1) as pool:
            stop = Event()
            feed = pool.submit(
                replay, [recording], Plan(loop=True), connect=ready["ingest"][0], stop=stop
            )
            watch(
                ready["publish"],
                console,
                lambda: stopping() or feed.done() or child.ended() or monotonic() > end,
            )
            stop.set()
            feed.result()
        if child.ended():
            raise BeatganError(f"the daemon ended before its time: {child.last}")
        with urlopen(f"{ready['http']}/metrics", timeout=5) as page:
            console.print(summary(page.read().decode()), style="bold", soft_wrap=True)


class _Child:
    """The daemon's process, and what it logs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.last = "it said nothing"
        self._process = process
        self._lines: SimpleQueue[str] = SimpleQueue()
        # Reads on until the end: a full pipe would stop the daemon.
        self._reader = Thread(target=self._listen, daemon=True)
        self._reader.start()

    def ended(self) -> bool:
        return self._process.poll() is not None

    def ready(self, stopping: Callable[[], bool]) -> dict[str, Any] | None:
        """Where the daemon listens, as soon as it is ready; None if told to stop meanwhile."""
        end = monotonic() + START_S
        while not stopping():
            try:
                line = self._lines.get(timeout=0.2)
            except Empty:
                if monotonic() > end or self.ended():
                    raise StartError(f"the daemon did not start: {self.last}") from None
                continue
            if line.startswith("{") and (said := json.loads(line))["event"] == "ready":
                return dict(said)
        return None

    def stop(self) -> None:
        """End the process, politely at first."""
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    def _listen(self) -> None:
        for line in self._process.stderr or ():
            self.last = line.strip().removeprefix("beatgan-daemon: ")
            self._lines.put(line)


@contextmanager
def _child(model: Path) -> Iterator[_Child]:
    """A daemon with default settings, in a session of its own: Ctrl-C reaches it through us."""
    with subprocess.Popen(
        [*COMMAND, "--model", str(model)],
        stderr=subprocess.PIPE,
        text=True,
        env={key: value for key, value in os.environ.items() if not key.startswith("BEATGAN_")},
        start_new_session=True,
    ) as process:
        child = _Child(process)
        try:
            yield child
        finally:
            child.stop()


def summary(exposition: str) -> str:
    """What a run came to, from its metrics page."""
    totals: Counter[str] = Counter()
    buckets: list[tuple[float, float]] = []
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            totals[sample.name] += int(sample.value)
            if sample.name == "beatgan_alert_latency_seconds_bucket":
                buckets.append((float(sample.labels["le"]), sample.value))
    latency = 1000 * quantile(buckets, 0.99)
    return (
        f"{totals['beatgan_beats_scored_total']} beats scored, "
        f"{totals['beatgan_alerts_total']} alert messages, "
        f"{totals['beatgan_samples_lost_total']} samples lost, "
        f"latency p99 {latency:.1f} ms (last sample in to message out)"
    )


def quantile(buckets: list[tuple[float, float]], share: float) -> float:
    """A quantile of a histogram of (upper bound, cumulative count), as Prometheus estimates it.

    NaN where nothing was counted; the last finite bound where the quantile lies beyond it.
    """
    low, below = 0.0, 0.0
    wanted = share * (buckets[-1][1] if buckets else 0.0)
    for high, count in buckets:
        if count >= wanted > 0:
            return (
                low
                if high == float("inf")
                else low + (high - low) * (wanted - below) / (count - below)
            )
        low, below = high, count
    return float("nan")
