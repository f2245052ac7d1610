"""A ward in one command: a real daemon, fed over ZeroMQ with real ECG, on a page and the terminal.

Everything listens on loopback, on ports that the system chooses, and is gone afterwards.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from time import monotonic
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.text import Text

from beatgan.errors import BeatganError, UsageError
from beatgan.protocol.messages import AlertMessage, decode_alert
from beatgan.records import excerpt
from beatgan.records.excerpt import EXCERPTS, Excerpt
from beatgan_daemon.clients import alarm_order, ward_screen
from beatgan_daemon.clients.address import Daemon, FixedDaemons
from beatgan_daemon.clients.client import fetch_alerts
from beatgan_daemon.clients.page_process import open_browser, start_page
from beatgan_daemon.clients.process import DaemonProcess, Endpoints, start_daemon
from beatgan_daemon.clients.watch import watch_all
from beatgan_daemon.playback.replay import Plan, replay
from beatgan_daemon.signals import stop_signals, tidy_end


def demo(seconds: float | None, model: Path, console: Console, *, page: bool = True) -> None:
    """Run a daemon on the bundled recordings for ``seconds``, or until Ctrl-C.

    ``page``: serve the page, too. Raises UsageError where there is no model, RecordError where
    there are no recordings, StartError with the daemon's own words where it does not start,
    BeatganError where it ends too soon.
    """
    if not model.is_file():
        raise UsageError(f"--model: there is no file {model}")
    beds = ward()
    console.print(
        f"starting the daemon with {model}; the very first start compiles", soft_wrap=True
    )
    with (
        tidy_end(),
        stop_signals() as stopping,
        TemporaryDirectory() as folder,
        start_daemon(
            ["--model", str(model), "--set", "tap.bind=tcp://127.0.0.1:*"], Path(folder) / "log"
        ) as daemon,
        ExitStack() as resources,
    ):
        endpoints = daemon.wait_until_ready(stopping=stopping)
        if endpoints is None:
            return
        console.print(f"ready. Metrics: {endpoints.http}/metrics")
        address = None
        if page:
            address = _page(endpoints, Path(folder), console, resources, stopping)
        _introduce(beds, seconds, console)
        _show(beds, endpoints, daemon, seconds, console, stopping, address)
        if daemon.ended():
            raise BeatganError(f"the daemon ended before its time: {daemon.last_words()}")
        for line in told(beds, map(decode_alert, fetch_alerts(endpoints.control))):
            console.print(line, soft_wrap=True)
        with urlopen(f"{endpoints.http}/metrics", timeout=5) as metrics:
            console.print(summary(metrics.read().decode()), style="bold", soft_wrap=True)
        daemon.process.terminate()  # it ends while the page's server does


def _page(
    endpoints: Endpoints,
    folder: Path,
    console: Console,
    resources: ExitStack,
    stopping: Callable[[], bool],
) -> str | None:
    """The page's address, which is told and opened; None where there is no page."""
    server = resources.enter_context(start_page(endpoints, folder / "page", folder / "strips"))
    address = server.wait_for_address(stopping=stopping)
    if address is None:
        if not stopping():
            console.print(f"no page: {server.last_words()}", style="yellow", soft_wrap=True)
        return None
    console.print(Text(f"page: {address}", style="bold"), soft_wrap=True)
    if console.is_terminal:
        open_browser(address)
    return address


def _introduce(beds: Sequence[Excerpt], seconds: float | None, console: Console) -> None:
    for bed in beds:
        console.print(f"{bed.recording.name}  {bed.source}: {bed.annotated}", soft_wrap=True)
    end = "until Ctrl-C" if seconds is None else f"for {seconds:g} s; Ctrl-C ends"
    console.print(f"replaying {len(beds)} beds in real time {end}")


def _show(
    beds: Sequence[Excerpt],
    endpoints: Endpoints,
    daemon: DaemonProcess,
    seconds: float | None,
    console: Console,
    stopping: Callable[[], bool],
    address: str | None,
) -> None:
    """Feed the daemon, and show what it says."""
    end = monotonic() + (inf if seconds is None else seconds)
    stop = Event()
    with ThreadPoolExecutor(1) as pool:
        feed = pool.submit(
            replay,
            [bed.recording for bed in beds],
            Plan(loop=True),
            connect=endpoints.ingest,
            stop=stop,
        )

        def over() -> bool:
            return stopping() or feed.done() or daemon.ended() or monotonic() > end

        daemons = FixedDaemons([Daemon(endpoints.publish, endpoints.control)])
        try:
            if console.is_terminal:
                heading = "" if address is None else f"page: {address}"
                ward_screen.show(daemons, console, over, heading=heading)
            else:
                watch_all(daemons, console, over)
        finally:
            stop.set()
        feed.result()


def ward() -> list[Excerpt]:
    """The bundled recordings, named as beds. Raises RecordError where one is missing."""
    return [
        each._replace(recording=replace(each.recording, name=f"bed-{number}"))
        for number, each in enumerate(map(excerpt.read, EXCERPTS), start=1)
    ]


def told(beds: Sequence[Excerpt], alerts: Iterable[AlertMessage]) -> Iterator[Text]:
    """For each bed what its annotators marked, and below it each alarm at its most urgent.

    Seconds are those of the recording, which begins anew at its end.
    """
    worst: dict[tuple[str, str], AlertMessage] = {}
    for alert in alerts:
        known = worst.get((alert.stream, alert.code))
        if known is None or alarm_order.rank(alert) > alarm_order.rank(known):
            worst[alert.stream, alert.code] = alert
    for bed in beds:
        recording = bed.recording
        yield Text(f"{recording.name}  annotated: {bed.annotated}", style="bold")
        length = len(recording.samples)
        alarms = [alert for (stream, _), alert in worst.items() if stream == recording.name]
        for alarm in sorted(alarms, key=lambda each: each.onset_sample):
            at = alarm.onset_sample % length / recording.fs
            line = Text(f"       second {at:3.0f}  ")
            word = f"{alarm_order.SIGNS.get(alarm.priority, ''):<3} {alarm.priority.upper():<6}"
            line.append(word, style=alarm_order.STYLES.get(alarm.priority, ""))
            yield line.append(f"  {alarm.code}: {alarm.text}")
        if not alarms:
            yield Text("       no alarm")


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
