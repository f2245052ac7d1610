"""What runs of the page come to, beside what is asked of it."""

from collections.abc import Callable, Iterator
from statistics import median

import msgspec
import numpy as np

from benchmarks.performance.load.results import FOREIGN, LATE_MAX_MS, LATE_P99_MS, counting, share
from benchmarks.performance.page.measure import PageRun

LEAST_FRAMES = 25.0  # a second
MOST_SERVER_SHARE, MOST_SERVER_MB = 0.05, 60.0
MOST_PAGE_KB, MOST_FIRST_PAINT_S = 200.0, 1.0


class PageFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Shares are of a core, ``threads`` of the browser; frames are those in which traces
    were drawn, a second: of any trace, and of the one least often drawn.

    ``failed``: promises not kept. ``void``: why the run says nothing.
    """

    tiles: int
    seconds: float
    frames: float
    frames_least: float
    interval_p99: float  # ms from one drawn frame to the next
    interval_max: float
    script_ms: float  # a frame
    page_thread_share: float
    browser_share: float
    threads: dict[str, float]
    foreign_share: float
    server_share: float
    server_mb: float
    page_kb: float
    first_paint_s: float
    late_p99: float
    late_max: float
    failed: list[str]
    void: list[str]


class Measured(msgspec.Struct, frozen=True):
    """So many tiles, in all rounds."""

    tiles: int
    runs: list[PageFigures]

    def median(self, value: Callable[[PageFigures], float]) -> float:
        """Over the rounds that count."""
        return median(map(value, counting(self.runs)))

    @property
    def failed(self) -> list[str]:
        """Promises broken in any round, and by the median of those that count."""
        return [*(fault for run in self.runs for fault in run.failed), *shortfalls(self)]

    @property
    def void(self) -> bool:
        """Whether no more rounds say something than say nothing."""
        return 2 * sum(bool(run.void) for run in self.runs) >= len(self.runs)

    @property
    def sound(self) -> bool:
        """Neither failed nor void."""
        return not self.failed and not self.void


def shortfalls(measured: Measured) -> Iterator[str]:
    """Where the medians are not as asked."""
    frames = measured.median(lambda run: run.frames_least)
    if frames < LEAST_FRAMES:
        yield f"a trace was drawn {frames:.1f} times a second; asked: {LEAST_FRAMES:g}"
    most: tuple[tuple[str, Callable[[PageFigures], float], float], ...] = (
        ("the server's share of a core", lambda run: run.server_share, MOST_SERVER_SHARE),
        ("the server's memory, MB", lambda run: run.server_mb, MOST_SERVER_MB),
        ("the page, kB", lambda run: run.page_kb, MOST_PAGE_KB),
        ("first paint, s", lambda run: run.first_paint_s, MOST_FIRST_PAINT_S),
    )
    for name, value, limit in most:
        found = measured.median(value)
        if not found <= limit:
            yield f"{name}: {found:.3g}; asked: at most {limit:g}"


def figures(run: PageRun) -> PageFigures:
    """What a run came to."""
    look, moments = run.look, np.array(run.look.drawn.moments)
    seconds = look.browser.seconds
    intervals = np.diff(moments) if len(moments) > 1 else np.array([1000 * seconds])
    frames = max(1, len(moments))
    return PageFigures(
        tiles=run.plan.streams,
        seconds=seconds,
        frames=len(moments) / seconds,
        frames_least=min(look.drawn.traces, default=0) / seconds,
        interval_p99=float(np.quantile(intervals, 0.99)),
        interval_max=float(intervals.max()),
        script_ms=1000 * look.busy["ScriptDuration"] / frames,
        page_thread_share=look.busy["TaskDuration"] / seconds,
        browser_share=share(look.browser),
        threads={name: cpu / seconds for name, cpu in look.browser.threads.items()},
        foreign_share=look.browser.foreign / seconds,
        server_share=share(look.server),
        server_mb=look.server.closed.memory / 1e6,
        page_kb=run.loaded.bytes / 1e3,
        first_paint_s=(run.loaded.first_paint_ms or np.nan) / 1e3,
        late_p99=run.sent.late_p99,
        late_max=run.sent.late_max,
        failed=broken_promises(run),
        void=disturbed(run),
    )


def broken_promises(run: PageRun) -> list[str]:
    """What did not work, whatever its speed."""
    found = [f"the page says: {fault}" for fault in run.faults]
    if len(run.look.drawn.traces) != run.plan.streams:
        found.append(f"{len(run.look.drawn.traces)} of {run.plan.streams} traces were drawn")
    if dropped := run.metrics["beatgan_tap_dropped_total"]:
        found.append(f"{dropped:g} frames were dropped at the tap")
    return found


def disturbed(run: PageRun) -> list[str]:
    """Who else was at work, or whether sources were late."""
    found = []
    taken = run.look.browser.foreign / run.look.browser.seconds
    if taken > FOREIGN:
        found.append(f"other processes took {taken:.0%} of the browser's core")
    if run.sent.late_p99 > LATE_P99_MS or run.sent.late_max > LATE_MAX_MS:
        late = f"p99 {run.sent.late_p99:.1f} ms, at most {run.sent.late_max:.0f} ms"
        found.append(f"the sources were late: {late}")
    return found
