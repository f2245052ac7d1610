"""Streams that one core carries: the real daemon, fed and watched by processes of their own.

For each load: what was lost, how late messages came, what a stream-second cost in CPU time beside
the least that any consumer must do (the floor), memory, and whether sources and subscriber were
fast enough for a run to count; the median of `--rounds`, in which ours, the daemon of another
checkout and the floor run in turn. Needs two cores.
    python -m benchmarks.performance.load --streams 12000 --leads 1 --leads 2 --against ../release
    python -m benchmarks.performance.load --streams 1000 --frames 10
    python -m benchmarks.performance.load --sweep --against ../release --plot load.svg
    python -m benchmarks.performance.load --overload 2
    python -m benchmarks.performance.load --streams 1000 --rounds 7 --tap 64 --tap 1000
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import typer

from beatgan.frontend import Frontend
from beatgan.model.artifact import load
from beatgan.records import SAMPLE, read_recording
from beatgan.types import Beat
from beatgan_train.data.beat_set import locate
from beatgan_train.data.mitdb import DS1
from benchmarks.performance.load import overload as overload_run
from benchmarks.performance.load import report, schedule
from benchmarks.performance.load.measure import DaemonRun, run_daemon, run_floor
from benchmarks.performance.load.results import (
    Figures,
    FloorFigures,
    Measured,
    beats_a_frame,
    figures,
    floor_figures,
)
from benchmarks.performance.load.schedule import SCALE, Samples, Schedule

FS = 360.0
SWEEP = (100, 300, 1000, 3000, 5000, 8000, 12_000)
ADMITTED = 1000  # streams a second at the beginning: a hospital is not switched on at once
OURS, OTHER = "this", "other"  # checkout
FLOOR_S = 20.0  # for which the floor is measured, at the most
PROBE_STREAMS, PROBE_S = 1000, 10.0  # where the search for what the daemon can carry begins
TAIL_S = 1.0  # in which all goes on as before, so that the last beats are of a steady time


@dataclass(frozen=True)
class Load:
    """What one run is to be."""

    model: Path
    frames: int
    leads: int
    connections: int
    warm_up: float
    seconds: float
    recordings: list[Samples]
    batched: bool = False  # whether the subscriber takes many beats in one message
    tap: int | None = None  # streams whose ECG somebody looks at; None: the daemon has no tap
    checkout: Path | None = None  # whose daemon is measured, if not this one's

    def run_daemon(self, streams: int) -> DaemonRun:
        """Measure the daemon."""
        opens = self.opens(streams)
        closes = opens + self.seconds
        plan = self.plan(streams, closes)
        return run_daemon(
            *(plan, self.recordings, self.model, (opens, closes), self.checkout),
            batched=self.batched,
            tap=self.tap,
        )

    def run_floor(self, streams: int, beats: float) -> FloorFigures:
        """Measure the floor; so many ``beats`` are found in each frame."""
        opens = self.opens(streams)
        closes = opens + min(self.seconds, FLOOR_S)
        plan = self.plan(streams, closes)
        run = run_floor(plan, self.recordings, self.model, beats, (opens, closes))
        return floor_figures(run)

    def overload(self, multiple: float, capacity: int | None) -> overload_run.OverloadResult:
        """Overload the daemon; what it can carry is measured unless given."""
        if capacity is None:
            probe = replace(self, seconds=min(PROBE_S, self.seconds))
            capacity = overload_run.capacity(
                lambda count: overload_run.probe_of(probe.run_daemon(count)), PROBE_STREAMS
            )
        steady_s = max(1.0, capacity / 2 / ADMITTED)
        overload, plan = overload_run.overload_plan(
            capacity, multiple, steady_s, self.frames, self.leads
        )
        daemon_run = run_daemon(plan, self.recordings, self.model, overload.moments)
        return overload_run.overload_result(daemon_run, overload, self.needed(), capacity, multiple)

    def opens(self, streams: int) -> float:
        """Seconds of the run after which all is steady."""
        return max(1.0, streams / ADMITTED) + self.warm_up

    def plan(self, streams: int, closes: float) -> Schedule:
        """So many streams until ``closes`` seconds, and TAIL_S more."""
        return Schedule(
            frame=schedule.frame_size(FS, self.frames),
            fs=FS,
            leads=schedule.lead_names(self.leads),
            connections=self.connections,
            starts=schedule.admitted(streams, round(streams / ADMITTED * self.frames)),
            stops=[round((closes + TAIL_S) * self.frames)] * streams,
        )

    def frontend(self, leads: Sequence[str]) -> Frontend:
        """The model's front end, for a stream of these leads."""
        with self.model.open("rb") as file:
            artifact = load(file, str(self.model))
        return Frontend(artifact.spec, artifact.coefficients, FS, leads)

    def needed(self) -> int:
        """How many samples must have arrived for a beat to be published, less the beat's own index.

        The front end's own word; the least where beats differ, so that no latency is understated.
        """
        frontend = self.frontend(schedule.lead_names(self.leads))
        events = frontend.push(self.recordings[0][: int(60 * FS)].astype(np.float32) * SCALE)
        return min(e.known_at - e.sample for e in events if isinstance(e, Beat) and e.sample)


def recordings(data: Path | None, leads: int) -> list[Samples]:
    """What is sent: the first lead of the bundled sample or, from its folder, of DS1's records."""
    paths: list[str | Path] = [SAMPLE] if data is None else [locate(data, name) for name in DS1]
    return [
        schedule.as_sent(recording.samples[:, 0], leads) for recording in map(read_recording, paths)
    ]


def measure(
    load: Load, taps: Sequence[int], against: Path | None, streams: int, rounds: int
) -> list[Measured]:
    """Ours, ours with each of ``taps``, and the other checkout's daemon, if there is one, in turn,
    the floor behind them.

    The other's beats are taken one by one, as from any release.
    """
    loads = {OURS: load, **{f"{OURS}, tap {tap}": replace(load, tap=tap) for tap in taps}}
    if against:
        loads[OTHER] = replace(load, model=against / load.model, checkout=against, batched=False)
    runs: dict[str, list[Figures]] = {who: [] for who in loads}
    floors: list[FloorFigures] = []
    beats = 0.0  # a frame, of ours
    for number in range(rounds):
        for who in list(loads)[:: -1 if number % 2 else 1]:
            run = loads[who].run_daemon(streams)
            runs[who].append(figures(run, load.needed()))
            if who == OURS:
                beats = beats_a_frame(run)
        floors.append(load.run_floor(streams, beats))
    return [Measured(who, runs[who], floors) for who in loads]


def write_json(path: Path | None, figures: object) -> None:
    """Write figures as JSON, if anybody wants them."""
    if path:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(figures)))


def main(
    model: Annotated[Path, typer.Option()] = Path("models/student.pt"),
    data: Annotated[Path | None, typer.Option(help="Send DS1's records of mitdb instead.")] = None,
    streams: Annotated[list[int], typer.Option(help="Again for another load.")] = [1000],  # noqa: B006
    leads: Annotated[list[int], typer.Option(help="Again for another load.")] = [1],  # noqa: B006
    frames: Annotated[int, typer.Option(help="A second, of each stream.")] = 1,
    connections: Annotated[int, typer.Option(help="Over which the streams are spread.")] = 1,
    warm_up: Annotated[float, typer.Option(help="Seconds after the last stream began.")] = 10.0,
    seconds: Annotated[float, typer.Option(help="That are measured.")] = 60.0,
    rounds: Annotated[int, typer.Option(min=1, help="Of which the median counts.")] = 1,
    against: Annotated[
        Path | None, typer.Option(help="Another checkout, measured in turn.", file_okay=False)
    ] = None,
    batched: Annotated[bool, typer.Option(help="Subscribe to many beats in one message.")] = False,
    tap: Annotated[
        list[int] | None,
        typer.Option(help="Also ours with somebody who looks at so many streams' ECG. Again."),
    ] = None,
    sweep: Annotated[bool, typer.Option(help="100 to 12,000 streams.")] = False,
    overload: Annotated[float | None, typer.Option(help="Times what it can carry.")] = None,
    capacity: Annotated[int | None, typer.Option(help="Streams it can carry, if known.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the figures here, too.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write the chart here.")] = None,
) -> None:
    """Print a row for each load and daemon. Ends with 1 where a run of ours failed or is void."""
    loads = [
        Load(model, frames, lead, connections, warm_up, seconds, recordings(data, lead), batched)
        for lead in leads
    ]
    if overload:
        overloaded = loads[0].overload(overload, capacity)
        typer.echo(overload_run.table(overloaded))
        write_json(json, overloaded)
        return
    other = against and against.resolve()
    measured: list[Measured] = []
    for each in loads:
        for count in SWEEP if sweep else streams:
            measured += measure(each, tap or (), other, count, rounds)
            typer.echo(f"measured: {count} streams, {each.leads} lead(s)", err=True)
            write_json(json, measured)
    typer.echo(report.table(measured))
    if plot:
        report.draw(measured, plot)
    if not all(each.sound for each in measured if each.who != OTHER):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
