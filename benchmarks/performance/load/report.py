"""A load run's figures for people: a table on the terminal, a chart of what a stream-second costs.

Knows figures alone.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.performance.load.results import Beside, Figures, Measured, beside

PUBLISHER = ("publisher", "outlet")  # the thread's name, and what earlier releases call it
NETWORK = ("ZMQbg/IO",)  # what ZeroMQ calls the threads that read and write its connections
COLORS = ("tab:blue", "tab:orange")
COLUMNS: dict[str, Callable[[Measured], str]] = {
    "streams": lambda m: f"{m.runs[0].streams}",
    "leads": lambda m: f"{m.runs[0].leads}",
    "frames/s": lambda m: f"{m.runs[0].frames:g}",
    "of": lambda m: m.who,
    "lost": lambda m: f"{max(run.lost for run in m.runs)}",
    "unseen": lambda m: f"{max(run.beats_published - run.beats_seen for run in m.runs)}",
    "p50 ms": lambda m: f"{m.median(lambda run: run.latency_p50):.1f}",
    "p99 ms": lambda m: f"{m.median(lambda run: run.latency_p99):.1f}",
    "longest": lambda m: f"{max(run.latency_max for run in m.runs):.0f}",
    "core": lambda m: f"{m.median(lambda run: run.cpu_share):.0%}",
    "CPU us": lambda m: f"{median(m.costs):.1f}",
    "range": lambda m: f"{m.costs[0]:.0f}-{m.costs[-1]:.0f}",
    "floor us": lambda m: f"{m.floor:.1f}",
    "/ floor": lambda m: f"{m.ratio:.2f}",
    "pipeline": lambda m: f"{m.median(lambda run: thread(run, ('pipeline',))):.1f}",
    "publisher": lambda m: f"{m.median(lambda run: thread(run, PUBLISHER)):.1f}",
    "network": lambda m: f"{m.median(lambda run: thread(run, NETWORK)):.1f}",
    "KiB/lead": lambda m: f"{m.median(lambda run: run.memory_kib):.1f}",
    "": lambda m: "failed" if m.failed else "" if m.sound else "void",
}


def thread(run: Figures, names: tuple[str, ...]) -> float:
    """Us a stream-second of the threads whose names begin so."""
    return sum(cost for key, cost in run.threads.items() if key.startswith(names))


def table(measured: Sequence[Measured]) -> str:
    """One row for each daemon and load, the median of its rounds; then what is wrong with any."""
    rows = [list(COLUMNS), *([cell(each) for cell in COLUMNS.values()] for each in measured)]
    below = [line for each in measured for line in remarks(each)]
    below += comparisons(measured)
    return "\n".join([*aligned(rows), "", *dict.fromkeys(below)])  # what is said of a floor, once


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """A line for each row, its cells below those of the others."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def comparisons(measured: Sequence[Measured]) -> Iterator[str]:
    """Each daemon by the first one under the same load, round for round."""
    for _, group in groupby(measured, load_of):
        first, *others = group
        for other in others:
            cost = beside(other, first, lambda run: run.cpu)
            p99 = beside(other, first, lambda run: run.latency_p99)
            yield (
                f"{load_of(other)}, {other.who} / {first.who}: "
                f"CPU {ratio(cost)}; p99 {ratio(p99)}; of {len(other.runs)} rounds"
            )


def ratio(found: Beside) -> str:
    """For people."""
    undecided = ", spans 1" if found.least <= 1 <= found.most else ""
    return f"{found.median:.3f} ({found.least:.3f} to {found.most:.3f}{undecided})"


def load_of(each: Measured) -> str:
    """Streams, leads and frames of a run."""
    first = each.runs[0]
    return f"{first.streams} streams of {first.leads} lead(s), {first.frames:g} frames/s"


def remarks(each: Measured) -> Iterator[str]:
    """How the sources and the subscriber fared, promises not kept, and what makes rounds void."""
    first, load = each.runs[0], load_of(each)
    name = f"{load}, {each.who}"
    yield (
        f"{name}: {median(run.beats for run in each.runs):.2f} beats, "
        f"{median(run.alerts for run in each.runs):.3f} alerts a stream-second; "
        f"sources late p99 {max(run.late_p99 for run in each.runs):.1f} ms, "
        f"{max(run.generator_share for run in each.runs):.0%} of a core; "
        f"subscriber behind {max(run.subscriber_behind for run in each.runs):.0f} ms, "
        f"{max(run.subscriber_share for run in each.runs):.0%} of a core; "
        f"memory after {first.memory_after:.0f} s"
    )
    for number, (run, floor) in enumerate(zip(each.runs, each.floors, strict=True), start=1):
        yield from (f"{name}, round {number}: FAILED: {fault}" for fault in run.failed)
        yield from (f"{name}, round {number}: VOID: {why}" for why in run.void)
        yield from (f"{load}, floor, round {number}: VOID: {why}" for why in floor.void)


def draw(measured: Sequence[Measured], path: Path) -> None:
    """What a stream-second costs by the number of streams, as a picture; a panel for each number
    of leads. In proportion to the streams is flat; hollow points are of rounds that are not sound.
    """
    ordered = sorted(measured, key=lambda each: each.runs[0].leads)
    panels = [list(group) for _, group in groupby(ordered, lambda each: each.runs[0].leads)]
    figure = Figure(figsize=(4.6 * len(panels), 3.8), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for panel, on in zip(panels, axes, strict=True):
        _draw_panel(panel, on)
    axes[0].set_ylabel("CPU of one core, us a stream-second")
    axes[0].legend()
    figure.savefig(path)


def _draw_panel(panel: Sequence[Measured], on: Axes) -> None:
    """One number of leads."""
    names = list(dict.fromkeys(each.who for each in panel))
    for name, color in zip(names, COLORS, strict=False):
        own = sorted(
            (each for each in panel if each.who == name), key=lambda each: each.runs[0].streams
        )
        streams = [each.runs[0].streams for each in own]
        costs = [median(each.costs) for each in own]
        below, above = zip(*((each.costs[0], each.costs[-1]) for each in own), strict=True)
        on.fill_between(streams, below, above, color=color, alpha=0.2, linewidth=0)
        on.plot(streams, costs, color=color, label=f"{name} checkout")
        for each, x, y in zip(own, streams, costs, strict=True):
            on.plot(x, y, "o", color=color, fillstyle="full" if each.sound else "none")
        if name == names[0]:
            on.plot(streams, [each.floor for each in own], "o-", color="tab:grey", label="floor")
    plain = FuncFormatter(lambda value, _: f"{value:,.0f}")
    on.set(xscale="log", yscale="log", xlabel="streams")
    on.set_title(f"{panel[0].runs[0].leads} lead(s)")
    on.set_xticks(sorted({each.runs[0].streams for each in panel}))
    on.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    for axis in (on.xaxis, on.yaxis):
        axis.set_major_formatter(plain)
        axis.set_minor_locator(NullLocator())
    on.tick_params(axis="x", rotation=60)
    on.grid(alpha=0.3, axis="y")
