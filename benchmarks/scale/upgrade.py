"""A new version, and then a new model, on all shards one after another, under load: is anybody
unwatched meanwhile?

Each shard is drained, ended, started again and given buckets again, with the coordinator at work;
then each gets another model by a reload. What was heard is held to what one engine says of the same
frames, offline: the other model says the same, and is another by its digest alone.
    python -m benchmarks.scale.upgrade
"""

import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, NamedTuple

import typer

from beatgan.model.artifact import build, load
from beatgan.model.shipped import SHIPPED
from beatgan_daemon.clients.process import COMMAND, environment
from beatgan_daemon.sharding.shard_map import read_map
from beatgan_train.training.model_file import write
from benchmarks.performance.load.measure import until
from benchmarks.performance.load.schedule import SECOND, Schedule
from benchmarks.scale import trial
from benchmarks.scale.continuity import Delays, delays, faults, lost_s, said, truth
from benchmarks.scale.kills import SETTLE_S, coordinator, settled, wait_until
from benchmarks.scale.machine import machine
from benchmarks.scale.reference import offline
from benchmarks.scale.shards import NAMES, QUIET, Shards, StartShards, mapped

UNWATCHED_S = 1.0  # what a beat's message may be late
PAUSE_S = 3.0


class Step(NamedTuple):
    """What was done, and from when until when, monotonic ns."""

    name: str
    begin: int
    end: int


def command(*words: str | Path) -> None:
    """A command of the daemon's; raises CalledProcessError where it fails."""
    subprocess.run([*COMMAND, *map(str, words)], env=environment(), check=True, capture_output=True)


def has(directory: Path, shard: str) -> int:
    """How many buckets the map gives a shard."""
    return len(read_map(directory).fences_of(shard))


def replaced(running: Shards, shard: str, names: Sequence[str]) -> Step:
    """A shard's process by another, as of a new version, without a stream on it."""
    directory = running.directory
    begin = time.monotonic_ns()
    command("shards", "drain", shard, "--dir", directory)
    others = [name for name in names if name != shard]
    wait_until(lambda: settled(directory, others) and not has(directory, shard))
    running.stop(shard)
    running.start(shard)
    running.ready()
    command("shards", "undrain", shard, "--dir", directory)
    wait_until(lambda: has(directory, shard) > 0 and settled(directory, names))
    return Step(f"new version, {shard}", begin, time.monotonic_ns())


def reloaded(running: Shards, shard: str) -> Step:
    """A shard takes the model that lies there now."""
    pid = next(each.pid for each in running.ready() if each.name == shard)
    begin = time.monotonic_ns()
    command("reload", f"{pid}")
    return Step(f"new model, {shard}", begin, time.monotonic_ns())


def other_model(path: Path, model: Path) -> None:
    """Write a model of another digest over the one at ``path``: it says the same, so that whatever
    differs afterwards is the change's doing."""
    with model.open("rb") as file:
        read = load(file, str(model))
    parts = (read.spec, read.networks, read.calibration, read.coefficients)
    write(build("student", *parts, {**read.provenance, "retrained": "no"}), path)


def run(
    start: StartShards, model: Path, shards: int, what: Schedule
) -> tuple[trial.Course, list[Step]]:
    """All steps, one after another; fewer where the sources ended before."""
    names, steps = NAMES[:shards], list[Step]()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="beatgan-scale-")))
        used = folder / "model.pt"
        used.write_bytes(model.read_bytes())
        settings = (f"model.path={used}", "model.device=cpu", *QUIET)
        running = stack.enter_context(start(folder, shards, settings))
        stack.enter_context(coordinator(running.directory, 1.0))

        def during(begin: int) -> None:
            until(begin + round(SETTLE_S * SECOND))
            for shard in names:
                steps.append(replaced(running, shard, names))
                time.sleep(PAUSE_S)
            other_model(used, model)
            for shard in names:
                steps.append(reloaded(running, shard))
                time.sleep(PAUSE_S)

        return trial.course(folder, running, what, during), steps


def late_s(waits: Delays, begin: int, end: int) -> float:
    """The longest time from a frame to a beat that it completes, of frames sent between two
    moments; s."""
    within = (waits.sent >= begin) & (waits.sent < end)
    return float(waits.ms[within].max(initial=0.0)) / 1000


COLUMNS = ("", "s", "lost s", "latest beat s")


def main(
    model: Annotated[Path, typer.Option()] = SHIPPED,
    shards: Annotated[int, typer.Option(min=2)] = 4,
    streams: Annotated[int, typer.Option(min=1)] = 200,
    frames: Annotated[int, typer.Option(help="A second, of each stream.")] = 2,
    each: Annotated[float, typer.Option(help="Seconds that a shard may take for all.")] = 45.0,
) -> None:
    """Print what each step cost. Ends with 1 if anybody was unwatched, anything was told twice or
    lost, or the run is void."""
    what = trial.plan(streams, SETTLE_S + shards * each, frames=frames)
    typer.echo(machine())
    typer.echo(f"{streams} streams, {frames} frames a second of each, {shards} shards")
    course, steps = run(mapped, model, shards, what)
    live = said(course.heard)
    expected = truth(offline(what, trial.real_ecg(), course.sent.epoch, model))
    waits = delays(live, what, course.sent_at, trial.needed(model))
    found = faults(live, expected, what.fs)
    typer.echo(f"{COLUMNS[0]:24}" + "".join(f"{column:>16}" for column in COLUMNS[1:]))
    for step in steps:
        lost = sum(lost_s(gaps, what.fs, step.begin, step.end) for gaps in live.gaps.values())
        late = late_s(waits, step.begin - SECOND, step.end + SECOND)
        cells = ((step.end - step.begin) / SECOND, lost, late)
        typer.echo(f"{step.name:24}" + "".join(f"{cell:>16.2f}" for cell in cells))
        if late > UNWATCHED_S:
            found.append(f"{step.name}: a beat came {late:.2f} s late")
    typer.echo(
        f"{live.lost} samples told as lost; {sum(map(len, live.beats.values()))} beats, "
        f"{len(live.alerts)} alerts, {len(live.again)} told again"
    )
    if live.lost:
        found.append("somebody was unwatched")
    if steps[-1].end > course.begin + what.intervals * what.step_ns:
        found.append("the sources ended before it was over: the machine is too slow for --each")
    trial.end(found, trial.spoilt(course.sent, live.shed))


if __name__ == "__main__":
    typer.run(main)
