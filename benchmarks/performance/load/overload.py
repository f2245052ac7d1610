"""More load than the daemon can carry, for a while: what it says it dropped, and its way back.

Half of what it can carry, then a multiple of it, then half again; most streams come for the middle
part alone. Knows the daemon by its metrics, messages and log.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np

from beatgan.errors import BeatganError
from beatgan.types import Bools
from benchmarks.performance.load import schedule
from benchmarks.performance.load.measure import DaemonRun, Window
from benchmarks.performance.load.results import (
    AT,
    FULL,
    SCORED,
    STREAM,
    Latency,
    latency,
    quantiles,
    share,
)
from benchmarks.performance.load.schedule import SECOND, Schedule

STEADY_S, OVERLOAD_S, AFTER_S = 20.0, 30.0, 60.0
RISE_S = 5.0  # in which the streams of the overload begin
PHASES = ("half", "overload", "after")
RECOVERED_P99_MS = 250.0  # p99 of a second in which the daemon counts as recovered
WHOLE = 0.95  # and the share of the beats before that are published in it
GAUGES = ("active", "shed", "behind", "drift")  # in the names of metrics that do not add up
PROBES = 10
HEAVY, AIM = 0.8, 0.92  # shares of a core from which a capacity can be derived, and to be tried
MOST_GROWTH = 3.0  # from one probe to the next
NEAR = 0.05  # of the streams that are too many


class Phase(msgspec.Struct, frozen=True):
    """One part of the run. ``counted``: what metrics grew by, those that did; ``ready``: /readyz
    at its end. Latencies of beats that were scored, in ms, by when their last frame was sent."""

    name: str
    frames: float  # sent a second
    beats: float  # published a second
    p50: float
    p99: float
    longest: float
    cpu_share: float
    foreign_share: float
    memory_mib: float
    counted: dict[str, float]
    ready: str


class OverloadResult(msgspec.Struct, frozen=True):
    """The whole run. ``recovered``: seconds after the fall; None if it did not in time.

    ``events``: lines of the log by what they say; ``busiest``: most lines within a second.
    """

    capacity: int
    multiple: float
    phases: list[Phase]
    recovered: float | None
    message_counts: dict[str, int]
    status_texts: dict[str, str]
    events: dict[str, int]
    busiest: int
    next_line: list[str]
    refused: int
    late_p99: float
    late_max: float
    subscriber_behind: float


@dataclass(frozen=True)
class OverloadPlan:
    """When it begins and ends, in seconds of the run, and which streams are there all the time."""

    opens: float
    begins: float
    ends: float
    closes: float
    always: Bools

    @property
    def moments(self) -> Sequence[float]:
        """When to read the daemon's figures."""
        return self.opens, self.begins, self.ends, self.closes


def overload_plan(
    capacity: int, multiple: float, admitted_s: float, frames: int, leads: int = 1
) -> tuple[OverloadPlan, Schedule]:
    """Half of ``capacity`` streams all the time, ``multiple`` of it in the middle."""
    streams = round(multiple * capacity)
    order = np.random.default_rng(0).permutation(streams)
    always = order < capacity // 2
    opens = admitted_s + 5.0
    begins, ends = opens + STEADY_S, opens + STEADY_S + OVERLOAD_S
    made = OverloadPlan(opens, begins, ends, ends + AFTER_S, always)
    slow = order / (capacity // 2) * admitted_s
    starts = np.where(always, slow, begins + order / streams * RISE_S)
    stops = np.where(always, made.closes + 1, ends)
    return made, Schedule(
        frame=schedule.frame_size(360.0, frames),
        fs=360.0,
        leads=schedule.lead_names(leads),
        connections=1,
        starts=(starts * frames).astype(int).tolist(),
        stops=(stops * frames).astype(int).tolist(),
    )


class Probe(NamedTuple):
    """A run in search of the capacity: share of its core that the daemon used, and whether it took
    all that was sent and had time left."""

    used: float
    kept_up: bool


def probe_of(run: DaemonRun) -> Probe:
    """What a run says of the capacity."""
    received, used = run.metrics["beatgan_samples_received_total"], share(run.window)
    return Probe(used, received == run.sent.frames * run.plan.frame and used < FULL)


def capacity(probe: Callable[[int], Probe], streams: int) -> int:
    """How many streams the daemon can carry, sought from ``streams`` on.

    What a run near a full core costs says it, since cost does not grow from naught in proportion;
    or it is the most that were carried, where few more were not. Raises BeatganError where even
    PROBES runs find neither.
    """
    carried, too_many = 0, 0  # the latter 0: none known yet
    for _ in range(PROBES):
        used, kept_up = probe(streams)
        if kept_up and used > HEAVY:
            return round(streams / used)
        carried, too_many = (streams, too_many) if kept_up else (carried, streams)
        if too_many and too_many - carried < NEAR * too_many:
            return carried
        if too_many:
            streams = (carried + too_many) // 2
        else:
            streams = round(streams * min(AIM / used, MOST_GROWTH))
    raise BeatganError(f"{carried} streams are carried, {too_many} not: who else uses the core?")


def overload_result(
    run: DaemonRun, plan: OverloadPlan, needed: int, capacity: int, multiple: float
) -> OverloadResult:
    """What became of the run."""
    waits = latency(run.plan, run.sent_at, run.beats, needed)
    lines = Counter(str(line["event"]) for line in run.logged)
    seconds = Counter(str(line.get("timestamp", ""))[:19] for line in run.logged)
    return OverloadResult(
        capacity=capacity,
        multiple=multiple,
        phases=[phase(run, waits, number) for number in range(len(PHASES))],
        recovered=recovered(run, plan, waits),
        message_counts=run.seen.message_counts,
        status_texts=run.seen.status_texts,
        events=dict(lines),
        busiest=max(seconds.values()),
        next_line=[str(line) for line in run.logged if line.get("level") not in ("info", "debug")],
        refused=run.sent.refused,
        late_p99=run.sent.late_p99,
        late_max=run.sent.late_max,
        subscriber_behind=run.seen.behind_ms,
    )


def phase(run: DaemonRun, waits: Latency, number: int) -> Phase:
    """One part of the run, between two readings."""
    before, after = run.readings[number : number + 2]
    window = Window(before.usage, after.usage)
    seconds = window.seconds
    p50, p99, longest = quantiles(waits.ms[window.holds(waits.sent) & scored(run)])
    return Phase(
        name=PHASES[number],
        frames=float(window.holds(run.sent_at).sum() / seconds),
        beats=float(window.holds(run.beats[:, AT]).sum() / seconds),
        p50=p50,
        p99=p99,
        longest=longest,
        cpu_share=share(window),
        foreign_share=window.foreign / seconds,
        memory_mib=after.usage.memory / 2**20,
        counted=growth(before.metrics, after.metrics),
        ready=after.ready,
    )


def growth(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """What metrics of the daemon's own grew by; gauges as they are at the end."""
    found = {}
    for name, value in after.items():
        if not name.startswith("beatgan_") or "process" in name or "latency" in name:
            continue
        gauge = any(word in name for word in GAUGES)
        if change := value if gauge else value - before.get(name, 0.0):
            found[name.removeprefix("beatgan_")] = change
    return found


def scored(run: DaemonRun) -> Bools:
    """Which beats were scored: others may have waited for samples that were thrown away."""
    return np.asarray(run.beats[:, SCORED] == 1)


def recovered(run: DaemonRun, plan: OverloadPlan, waits: Latency) -> float | None:
    """Seconds from the end of the overload until no later second is late or short.

    Beats are those of the streams that were there all the time.
    """
    known = scored(run) & plan.always[run.beats[:, STREAM]]
    since = (waits.sent[known] - run.begin) / SECOND
    second, ms = np.floor(since).astype(int), waits.ms[known]
    before = np.mean((since > plan.opens) & (since < plan.begins)) * len(since) / STEADY_S
    first = int(np.ceil(plan.ends))
    for each in range(int(plan.closes) - 1, first - 1, -1):
        here = second == each
        if here.sum() < WHOLE * before or np.quantile(ms[here], 0.99) > RECOVERED_P99_MS:
            first = each + 1
            break
    return None if first >= int(plan.closes) else first - plan.ends


ROWS: dict[str, Callable[[Phase], str]] = {
    "frames sent a second": lambda p: f"{p.frames:.0f}",
    "beats published a second": lambda p: f"{p.beats:.0f}",
    "latency, median, ms": lambda p: f"{p.p50:.1f}",
    "latency, p99, ms": lambda p: f"{p.p99:.1f}",
    "latency, longest, ms": lambda p: f"{p.longest:.1f}",
    "daemon, share of its core": lambda p: f"{p.cpu_share:.1%}",
    "others, share of that core": lambda p: f"{p.foreign_share:.1%}",
    "daemon, memory, MiB": lambda p: f"{p.memory_mib:.0f}",
    "/readyz at the end": lambda p: p.ready[:13],
}


def _number(value: float) -> str:
    return f"{value:.0f}" if value == round(value) else f"{value:.3g}"


def table(run: OverloadResult) -> str:
    """For people."""
    names = sorted({name for each in run.phases for name in each.counted})
    lines = [f"{run.multiple:g} times {run.capacity} streams"]
    lines.append(f"{'':44}" + "".join(f"{each.name:>14}" for each in run.phases))
    for name, cell in ROWS.items():
        lines.append(f"{name:44}" + "".join(f"{cell(each):>14}" for each in run.phases))
    for name in names:
        cells = "".join(f"{_number(each.counted.get(name, 0)):>14}" for each in run.phases)
        lines.append(f"{name:44}{cells}")
    end = "not in time" if run.recovered is None else f"{run.recovered:.0f} s after its end"
    return "\n".join(
        [
            *lines,
            f"recovered: {end}",
            f"messages: {run.message_counts}",
            *(f"  {state}: {text}" for state, text in run.status_texts.items()),
            f"log: {run.events}, at most {run.busiest} lines a second",
            *(f"  {line}" for line in run.next_line[:12]),
            f"sources: {run.refused} frames refused by a full queue, late p99 {run.late_p99:.1f} "
            f"ms, at most {run.late_max:.0f} ms; subscriber behind {run.subscriber_behind:.0f} ms",
        ]
    )
