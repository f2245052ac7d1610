"""A load run's figures for people: a table on the terminal, a chart of how cost grows.

Knows figures alone.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.performance.load.results import Figures

ROWS: dict[str, Callable[[Figures], str]] = {
    "streams": lambda f: f"{f.streams}",
    "frames a second": lambda f: f"{f.frames:g}",
    "leads": lambda f: f"{f.leads}",
    "connections": lambda f: f"{f.connections}",
    "beats a stream-second": lambda f: f"{f.beats:.2f}",
    "alerts a stream-second": lambda f: f"{f.alerts:.3f}",
    "samples sent": lambda f: f"{f.samples_sent}",
    "samples received": lambda f: f"{f.samples_received}",
    "samples reported lost": lambda f: f"{f.samples_lost}",
    "beats published": lambda f: f"{f.beats_published}",
    "beat messages that came": lambda f: f"{f.beats_seen}",
    "latency, median, ms": lambda f: f"{f.latency_p50:.1f}",
    "latency, p99, ms": lambda f: f"{f.latency_p99:.1f}",
    "latency, longest, ms": lambda f: f"{f.latency_max:.1f}",
    "daemon, share of its core": lambda f: f"{f.cpu_share:.1%}",
    "others, share of that core": lambda f: f"{f.foreign_share:.1%}",
    "daemon, us a stream-second": lambda f: f"{f.cpu:.1f}",
    "floor, us a stream-second": lambda f: f"{f.floor:.1f}",
    "daemon / floor": lambda f: f"{f.ratio:.2f}",
    "memory a stream, KiB": lambda f: f"{f.memory_kib:.1f}",
    "  after seconds of ECG": lambda f: f"{f.memory_after:.0f}",
    "sources late, p99, ms": lambda f: f"{f.late_p99:.1f}",
    "sources late, most, ms": lambda f: f"{f.late_max:.0f}",
    "sources, share of a core": lambda f: f"{f.generator_share:.0%}",
    "subscriber, share of a core": lambda f: f"{f.subscriber_share:.0%}",
    "subscriber behind, most, ms": lambda f: f"{f.subscriber_behind:.0f}",
}


def table(runs: Sequence[Figures]) -> str:
    """One column for each run, and below it what is wrong with any of them."""
    lines = [
        f"{name:28}" + "".join(f"{cell(run):>12}" for run in runs) for name, cell in ROWS.items()
    ]
    return "\n".join([*lines, *(line for run in runs for line in verdict(run))])


def verdict(run: Figures) -> list[str]:
    """Where the time went by thread, promises not kept, and why the run is void."""
    threads = sorted(run.threads.items(), key=lambda pair: -pair[1])[:3]
    where = ", ".join(f"{name} {cpu:.1f}" for name, cpu in threads)
    return [
        f"{run.streams} streams: us a stream-second by thread: {where}",
        *(f"{run.streams} streams: FAILED: {fault}" for fault in run.failed),
        *(f"{run.streams} streams: VOID: {objection}" for objection in run.void),
    ]


def draw(runs: Sequence[Figures], path: Path) -> None:
    """Shares of a core against streams as an SVG file, both axes logarithmic."""
    figure = Figure(figsize=(5.4, 3.8), layout="constrained")
    axes = figure.subplots()
    streams = np.array([run.streams for run in runs])
    daemon = np.array([100 * run.cpu_share for run in runs])
    floor = np.array([100 * run.floor * run.streams / 1e6 for run in runs])
    for name, share, color in (("daemon", daemon, "tab:blue"), ("floor", floor, "tab:red")):
        axes.loglog(streams, share[-1] * streams / streams[-1], color="lightgrey")
        axes.loglog(streams, share, "o-", color=color, label=name)
    axes.set(xlabel="streams", ylabel="% of a core", title="grey: in proportion to the last point")
    axes.legend()
    figure.savefig(path, format="svg")
