"""benchmarks/performance/page: what is counted, when a run says nothing. No figure is judged."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.performance.load.generator import SenderReport
from benchmarks.performance.load.measure import Window
from benchmarks.performance.load.processes import Usage, family
from benchmarks.performance.load.schedule import SECOND

pytest.importorskip("playwright.sync_api", reason="no Playwright (pip)")

from benchmarks.performance.page.browser import Drawn, Loaded, OpenPage, chromium
from benchmarks.performance.page.measure import Look, PageRun, plan_of
from benchmarks.performance.page.results import Measured, figures

TWO_TRACES = """data:text/html,<canvas class="trace"></canvas><canvas class="trace"></canvas>
<canvas class="grid"></canvas><script>
const contexts = [...document.querySelectorAll("canvas")].map((one) => one.getContext("2d"));
let frames = 0;
const draw = () => {
  if (frames === 6) return;
  for (const context of contexts) context.stroke();
  contexts[0].stroke();
  if (frames % 2) contexts[1].stroke = () => {};
  frames++;
  requestAnimationFrame(draw);
};
requestAnimationFrame(draw);
</script>"""


def window(cpu: float, memory: int = 0, foreign: float = 0.0) -> Window:
    """Of two seconds."""
    return Window(Usage(0, 0.0, 0, {}, 0.0), Usage(2 * SECOND, cpu, memory, {}, foreign))


def run(**changed: Any) -> PageRun:
    """Two tiles, drawn 60 and 58 times in two seconds."""
    look = Look(
        Drawn([60, 58], [k * 1000 / 30 for k in range(60)]),
        {"ScriptDuration": 0.06, "TaskDuration": 0.5},
        window(1.0),
        window(0.08, 50_000_000),
    )
    sent = SenderReport(100, 0, 0.5, 3.0, 0.02, 1)
    made = PageRun(
        plan_of(2, 5, 2.0),
        *(sent, Loaded(150_000, 400.0), look, []),
        {"beatgan_tap_dropped_total": 0.0},
    )
    parts = {key: changed.pop(key) for key in list(changed) if hasattr(look, key)}
    return replace(made, look=replace(look, **parts), **changed)


def test_figures_are_of_the_window_and_of_the_trace_least_often_drawn() -> None:
    found = figures(run())
    assert (found.frames, found.frames_least) == (30.0, 29.0)
    assert found.interval_p99 == pytest.approx(1000 / 30)
    assert (found.script_ms, found.browser_share) == (1.0, 0.5)
    assert (found.server_share, found.server_mb) == (0.04, 50.0)
    assert (found.page_kb, found.first_paint_s) == (150.0, 0.4)
    assert Measured(2, [found]).sound


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"drawn": Drawn([60, 49], [1.0, 2.0])}, "24.5 times a second"),
        ({"drawn": Drawn([60], [1.0, 2.0])}, "1 of 2 traces"),
        ({"drawn": Drawn([], [])}, "0 of 2 traces"),
        ({"server": window(0.12, 50_000_000)}, "share of a core: 0.06"),
        ({"server": window(0.08, 61_000_000)}, "memory"),
        ({"loaded": Loaded(200_500, 400.0)}, "page, kB"),
        ({"loaded": Loaded(150_000, 1200.0)}, "first paint"),
        ({"loaded": Loaded(150_000, None)}, "first paint"),
        ({"faults": ["NO CONNECTION since 12:00"]}, "NO CONNECTION"),
        ({"metrics": {"beatgan_tap_dropped_total": 3.0}}, "3 frames were dropped"),
    ],
)
def test_what_is_not_as_asked_is_a_failure(changed: dict[str, Any], says: str) -> None:
    found = Measured(2, [figures(run(**changed))])
    assert not found.sound
    assert any(says in fault for fault in found.failed)


@pytest.mark.parametrize(
    "changed",
    [
        {"browser": window(1.0, foreign=0.1)},
        {"sent": SenderReport(100, 0, 25.0, 30.0, 0.02, 1)},
    ],
)
def test_where_others_were_at_work_a_run_says_nothing(changed: dict[str, Any]) -> None:
    disturbed, good = figures(run(**changed)), figures(run())
    assert disturbed.void
    assert not good.void
    slow = msgspec.structs.replace(disturbed, frames_least=5.0)
    assert Measured(2, [slow, good, good]).sound
    assert Measured(2, [slow, good]).void


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium: apt-get install it")
def test_a_trace_counts_once_in_each_frame_in_which_it_was_drawn(tmp_path: Path) -> None:
    with chromium(os.sched_getaffinity(0), tmp_path) as (pid, browser):
        page = OpenPage(browser, 400, 300, 16)
        page.open(TWO_TRACES.replace("\n", " "))
        page.page.wait_for_function("frames === 6")
        drawn = page.drawn()
        assert sorted(drawn.traces) == [2, 6]
        assert len(drawn.moments) == 6
        assert page.drawn() == Drawn([], [])
        assert page.busy()["TaskDuration"] > 0
        assert len(family(pid)) > 2
