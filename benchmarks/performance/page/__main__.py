"""How fast the page draws live streams in a real browser on one core, and what its server takes.

A real daemon, fed in real time, `beatgan-daemon web`, and Chromium without a GPU: for each number
of tiles (one: that stream's own page) frames a second in which traces were drawn, what the browser
and the server cost, the size of the page and its first paint; the median of `--rounds`, beside what
is asked. Needs two cores, Chromium and Playwright.
    python -m benchmarks.performance.page --rounds 3
    python -m benchmarks.performance.page --tiles 64 --seconds 60
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.performance.load.__main__ import recordings, write_json
from benchmarks.performance.load.report import aligned
from benchmarks.performance.page.measure import Screen, run_page
from benchmarks.performance.page.results import Measured, figures

COLUMNS: dict[str, Callable[[Measured], str]] = {
    "tiles": lambda m: f"{m.tiles}",
    "frames/s": lambda m: f"{m.median(lambda run: run.frames):.1f}",
    "least": lambda m: f"{m.median(lambda run: run.frames_least):.1f}",
    "p99 ms": lambda m: f"{m.median(lambda run: run.interval_p99):.0f}",
    "longest": lambda m: f"{max(run.interval_max for run in m.runs):.0f}",
    "script ms": lambda m: f"{m.median(lambda run: run.script_ms):.2f}",
    "page thread": lambda m: f"{m.median(lambda run: run.page_thread_share):.0%}",
    "browser": lambda m: f"{m.median(lambda run: run.browser_share):.0%}",
    "others": lambda m: f"{max(run.foreign_share for run in m.runs):.0%}",
    "server": lambda m: f"{m.median(lambda run: run.server_share):.1%}",
    "server MB": lambda m: f"{m.median(lambda run: run.server_mb):.1f}",
    "page kB": lambda m: f"{m.median(lambda run: run.page_kb):.0f}",
    "first paint s": lambda m: f"{m.median(lambda run: run.first_paint_s):.2f}",
    "": lambda m: "failed" if m.failed else "" if m.sound else "void",
}
MOST_THREADS = 6  # named of the browser's


def table(measured: Sequence[Measured]) -> str:
    """A row for each number of tiles; below, what is wrong, and where the browser's time goes."""
    rows = [list(COLUMNS), *([cell(each) for cell in COLUMNS.values()] for each in measured)]
    below = [line for each in measured for line in remarks(each)]
    return "\n".join([*aligned(rows), "", *below])


def remarks(each: Measured) -> Iterator[str]:
    """Of one number of tiles."""
    names = sorted(each.runs[-1].threads.items(), key=lambda item: -item[1])[:MOST_THREADS]
    shares = ", ".join(f"{name} {used:.0%}" for name, used in names)
    yield f"{each.tiles} tiles: the browser's threads, last round: {shares}"
    yield from (f"{each.tiles} tiles: FAILED: {fault}" for fault in each.failed)
    for number, run in enumerate(each.runs, start=1):
        yield from (f"{each.tiles} tiles, round {number}: VOID: {why}" for why in run.void)


def main(
    model: Annotated[Path, typer.Option()] = Path("models/student.pt"),
    tiles: Annotated[list[int], typer.Option(help="Again for another wall.")] = [64, 16, 1],  # noqa: B006
    frames: Annotated[int, typer.Option(help="A second, of each stream.")] = 5,
    seconds: Annotated[float, typer.Option(help="That are measured.")] = 20.0,
    rounds: Annotated[int, typer.Option(min=1, help="Of which the median counts.")] = 1,
    width: Annotated[int, typer.Option(help="Of the window, CSS pixels.")] = 2560,
    height: Annotated[int, typer.Option(help="Of it, too; every tile must have room.")] = 1440,
    json: Annotated[Path | None, typer.Option(help="Write the figures here, too.")] = None,
) -> None:
    """Print a row for each number of tiles. Ends with 1 where one is not as asked, or void."""
    sent, screen = recordings(None, 1), Screen(width, height)
    measured = []
    for count in tiles:
        runs = [
            figures(run_page(count, frames, seconds, screen, sent, model)) for _ in range(rounds)
        ]
        measured.append(Measured(count, runs))
        typer.echo(f"measured: {count} tiles", err=True)
        write_json(json, measured)
    typer.echo(table(measured))
    if not all(each.sound for each in measured):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
