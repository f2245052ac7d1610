"""One run of the page: a daemon under live streams, the page's server, and a browser that looks.

The browser has a core of its own; daemon, sources and server share the others.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.performance.load import processes, schedule
from benchmarks.performance.load.generator import SenderReport
from benchmarks.performance.load.measure import (
    Window,
    prepare,
    sending,
    until,
    wait_until_taken_in,
)
from benchmarks.performance.load.processes import next_line, started
from benchmarks.performance.load.schedule import SECOND, Samples, Schedule
from benchmarks.performance.page.browser import Drawn, Loaded, OpenPage, chromium

FS = 360.0
OPEN_S = 4.0  # after the first frame: the daemon knows all streams, and so does the server
SETTLE_S = 15.0  # from then on; a sweep is filled, and first beats have come
TAIL_S = 3.0


@dataclass(frozen=True)
class Screen:
    """CSS pixels."""

    width: int
    height: int


@dataclass(frozen=True)
class Look:
    """What page, browser and server did for a while. ``busy``: seconds of the page's thread in it,
    by kind of work."""

    drawn: Drawn
    busy: dict[str, float]
    browser: Window
    server: Window


@dataclass(frozen=True)
class PageRun:
    """All that is known of a run. ``faults``: what the page said is wrong."""

    plan: Schedule
    sent: SenderReport
    loaded: Loaded
    look: Look
    faults: list[str]
    metrics: dict[str, float]  # the daemon's, when all was over


def plan_of(streams: int, frames: int, seconds: float) -> Schedule:
    """So many streams of one lead, from the beginning to the end."""
    intervals = round((OPEN_S + SETTLE_S + seconds + TAIL_S) * frames)
    return Schedule(
        frame=schedule.frame_size(FS, frames),
        fs=FS,
        leads=schedule.lead_names(1),
        connections=1,
        starts=[0] * streams,
        stops=[intervals] * streams,
    )


def run_page(
    tiles: int,
    frames: int,
    seconds: float,
    screen: Screen,
    recordings: Sequence[Samples],
    model: Path,
) -> PageRun:
    """A wall of so many tiles, each a stream of ``frames`` a second; one stream's page for one."""
    place, plan = processes.cores(), plan_of(tiles, frames, seconds)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(prepare(plan, list(recordings))))
        daemon = stack.enter_context(
            processes.daemon(model, min(place.others), folder, tiles, tap=True)
        )
        server = stack.enter_context(started(_server(daemon), place.others, folder / "server.log"))
        address = next_line(server).strip()
        if tiles == 1:
            address = address.replace("/?", "/s/s0?")
        pid, browser = stack.enter_context(chromium({place.measured}, folder))
        page = OpenPage(browser, screen.width, screen.height, tiles)
        with sending(folder, [daemon.ingest], place.others) as (begin, sent):
            until(begin + round(OPEN_S * SECOND))
            page.open(address)
            until(begin + round((OPEN_S + SETTLE_S) * SECOND))
            loaded = page.loaded()
            look = _look(page, pid, server.pid, seconds)
            faults = [*page.errors, *filter(None, [page.fault()])]
        metrics = wait_until_taken_in(daemon, sent[0].frames * plan.frame)
    return PageRun(plan, sent[0], loaded, look, faults, metrics)


def _look(page: OpenPage, browser: int, server: int, seconds: float) -> Look:
    """Look on for so long; ``browser`` and ``server`` are the processes' numbers."""
    page.drawn()
    before = page.busy(), processes.usage(*processes.family(browser)), processes.usage(server)
    time.sleep(seconds)
    drawn = page.drawn()
    after = page.busy(), processes.usage(*processes.family(browser)), processes.usage(server)
    busy = {name: end - before[0].get(name, 0.0) for name, end in after[0].items()}
    return Look(drawn, busy, Window(before[1], after[1]), Window(before[2], after[2]))


def _server(daemon: processes.Daemon) -> list[str]:
    assert daemon.tap is not None
    endpoints = ["--connect", daemon.publish, "--tap", daemon.tap, "--control", daemon.control]
    return ["-m", "beatgan_daemon", "web", *endpoints, "--listen", "127.0.0.1:0"]
