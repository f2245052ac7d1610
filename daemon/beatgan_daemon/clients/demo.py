"""A ward in one command: a real daemon, fed over ZeroMQ with real ECG, its alarms on the terminal.

Everything listens on loopback, on ports that the system chooses, and is gone afterwards.
"""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from time import monotonic
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from beatgan.errors import BeatganError, RecordError, UsageError
from beatgan.records import SAMPLE, excerpt, read_recording
from beatgan.records.excerpt import EXCERPTS, Excerpt
from beatgan_daemon.clients import ward_screen
from beatgan_daemon.clients.address import Daemon
from beatgan_daemon.clients.process import start_daemon
from beatgan_daemon.clients.watch import watch_all
from beatgan_daemon.playback.replay import Plan, replay
from beatgan_daemon.signals import stop_signals


def demo(seconds: float, model: Path, console: Console) -> None:
    """Run a daemon on the bundled recordings for ``seconds``, or until Ctrl-C.

    Raises UsageError where there is no model, RecordError where there are no recordings, StartError
    with the daemon's own words where it does not start, BeatganError where it ends too soon.
    """
    if not model.is_file():
        raise UsageError(f"no model at {model}: run this in the project's folder or give --model")
    beds = ward()
    console.print(f"starting the daemon with {model} (the very first start compiles) ...")
    with (
        stop_signals() as stopping,
        TemporaryDirectory() as folder,
        start_daemon(["--model", str(model)], Path(folder) / "log") as daemon,
    ):
        endpoints = daemon.wait_until_ready(stopping=stopping)
        if endpoints is None:
            return
        console.print(f"ready. Metrics: {endpoints.http}/metrics", style="bold")
        end = monotonic() + seconds
        for bed in beds:
            console.print(f"{bed.recording.name}  {bed.about}", soft_wrap=True)
        console.print(f"replaying {len(beds)} beds in real time for {seconds:g} s; Ctrl-C ends")
        with ThreadPoolExecutor(1) as pool:
            stop = Event()
            feed = pool.submit(
                replay,
                [bed.recording for bed in beds],
                Plan(loop=True),
                connect=endpoints.ingest,
                stop=stop,
            )
            show = ward_screen.show if console.is_terminal else watch_all
            show(
                [Daemon(endpoints.publish, endpoints.control)],
                console,
                lambda: stopping() or feed.done() or daemon.ended() or monotonic() > end,
            )
            stop.set()
            feed.result()
        if daemon.ended():
            raise BeatganError(f"the daemon ended before its time: {daemon.last_words()}")
        with urlopen(f"{endpoints.http}/metrics", timeout=5) as page:
            console.print(summary(page.read().decode()), style="bold", soft_wrap=True)


def ward() -> list[Excerpt]:
    """The bundled recordings, named as beds; the sample last, if the package that has it is there.

    Raises RecordError where one is missing.
    """
    found = [*map(excerpt.read, EXCERPTS)]
    with suppress(RecordError):
        found.append(Excerpt(read_recording(SAMPLE), "ventricular beats: MIT-BIH record 208"))
    return [
        Excerpt(replace(each.recording, name=f"bed-{number}"), each.about)
        for number, each in enumerate(found, start=1)
    ]


def summary(exposition: str) -> str:
    """What a run came to, from its metrics page."""
    totals: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    buckets: list[tuple[float, float]] = []
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            totals[sample.name] += int(sample.value)
            if sample.name == "beatgan_alerts_total" and sample.value:
                codes[sample.labels["code"]] += int(sample.value)
            if sample.name == "beatgan_alert_latency_seconds_bucket":
                buckets.append((float(sample.labels["le"]), sample.value))
    latency = 1000 * quantile(buckets, 0.99)
    return (
        f"{totals['beatgan_beats_scored_total']} beats scored, "
        f"{totals['beatgan_alerts_total']} alert messages of {len(codes)} kinds "
        f"({', '.join(sorted(codes)) or 'none'}), "
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
