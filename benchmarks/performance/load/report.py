"""A load run's figures for people: a table on the terminal, a chart of how cost grows.

Knows figures alone.
"""

from collections.abc import Callable, Sequence

import numpy as np

from beatgan_train.report import svg
from beatgan_train.report.page_style import STYLE
from beatgan_train.report.svg import Axis, Frame
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


def growth(runs: Sequence[Figures]) -> str:
    """How the shares of a core grow with the streams, both on logarithmic axes, as SVG text."""
    streams = np.log10([run.streams for run in runs])
    shares = [np.log10([100 * run.cpu_share for run in runs])]
    shares.append(np.log10([100 * run.floor * run.streams / 1e6 for run in runs]))
    low, high = np.floor(min(map(np.min, shares))), np.ceil(max(map(np.max, shares)))
    frame = Frame(
        *(60.0, 15.0, 420.0, 300.0),
        Axis(float(streams[0]), float(streams[-1]), streams.tolist(), "streams", _power),
        Axis(float(low), float(high), np.arange(low, high + 1).tolist(), "% of a core", _power),
    )
    linear = streams - streams[-1]
    parts = [frame.axes()]
    for style, values in zip(("s0", "s5"), shares, strict=True):
        parts.append(frame.line(streams, values[-1] + linear, "s1"))
        parts.append(frame.line(streams, values, style))
        parts += [frame.dot(x, y, style) for x, y in zip(streams, values, strict=True)]
    parts += [svg.word(80, 35, "blue: the daemon; red: the floor", "label")]
    parts += [svg.word(80, 52, "grey: in proportion to the last point", "label")]
    drawn = svg.picture(520, 365, "Share of a core against streams", *parts)
    size = 'xmlns="http://www.w3.org/2000/svg" width="520" height="365"'
    return f"<svg {size}><style>{STYLE}</style>{drawn}</svg>\n"


def _power(value: float) -> str:
    return f"{10**value:.6g}"
