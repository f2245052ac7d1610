"""What each stage of the front end costs, in us a lead and second, as part of the whole.

The front end's compiled functions are compiled once more (a minute), each stage with a clock round
it, and run over copies of the bundled sample, or of a record, interleaved as live streams would be.
What the clocks take is subtracted, and no interruption by another process counts. The sum is that
of the front end as it is, without clocks; what of it is no compiled code is `Python`. The median of
the rounds.
    python -m benchmarks.performance.stages                      one lead and two, 1 s and 0.1 s
    python -m benchmarks.performance.stages --against CHECKOUT   another checkout's code beside it
    python -m benchmarks.performance.stages --record data/nstdb/118e00     another recording
"""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import process_time
from typing import Annotated
from unittest.mock import patch

import numpy as np
import typer

from beatgan import frontend
from beatgan.model.loading import Loaded
from beatgan.records import SAMPLE, Recording, read_recording
from beatgan.types import Floats
from beatgan_daemon.model_loading import load_model
from benchmarks.performance.clocked import Clocks

HERE = Path(__file__).parents[2]
WHOLE = "compiled path"
STAGES = {  # a stage, and its functions as module.name, of those that a checkout has
    "resampling": ("resample.run",),
    "signal quality": ("signal_quality.run",),
    "pacing spikes": ("pacing_spikes.run",),
    "filters": ("filters.run", "filters.run_both"),
    "signal kept": ("latest_beat.push", "lead_pipeline._remember", "latest_samples.append"),
    "QRS detector": ("qrs_detector.run",),
    "rhythm status": ("rhythm_status.run",),
    "beats: window, comparison": ("emit.emit_beat",),
}
Table = dict[str, float]


def recordings(path: Path, leads: int, streams: int, seconds: int) -> tuple[list[Floats], float]:
    """The samples of so many streams, each of which begins elsewhere in the recording."""
    record: Recording = read_recording(path)
    columns = [k % len(record.leads) for k in range(leads)]
    size, whole = int(seconds * record.fs), record.samples[:, columns]
    starts = [k * len(whole) // streams for k in range(streams)]
    return [np.resize(np.roll(whole, -at, axis=0), (size, leads)) for at in starts], record.fs


def front_ends(loaded: Loaded, fs: float, leads: int, streams: int) -> list[frontend.Frontend]:
    """One for each stream."""
    names = ("II", "V5")[:leads]
    return [frontend.Frontend(loaded.spec, loaded.coefficients, fs, names) for _ in range(streams)]


def push(ends: Sequence[frontend.Frontend], samples: Sequence[Floats], frame: int) -> float:
    """Push all of ``samples``, a frame of each stream in turn; CPU seconds that it took."""
    began = process_time()
    for start in range(0, len(samples[0]), frame):
        for end, each in zip(ends, samples, strict=True):
            end.push(each[start : start + frame])
    return process_time() - began


def measure(
    loaded: Loaded,
    clocks: Clocks,
    path: Path,
    leads: int,
    frame_s: float,
    streams: int,
    rounds: int,
) -> Table:
    """The table of one number of leads and one length of frames."""
    warm_s, seconds = 10, 20
    samples, fs = recordings(path, leads, streams, warm_s + seconds)
    warm, frame = int(warm_s * fs), int(frame_s * fs)
    unit = 1e6 / (leads * streams * seconds)
    runs: list[Table] = []
    for _ in range(rounds):
        ends = front_ends(loaded, fs, leads, streams)
        push(ends, [each[:warm] for each in samples], frame)
        whole = push(ends, [each[warm:] for each in samples], frame)
        with patch.object(frontend, "stream", clocks.module("beatgan.beats.stream")):
            ends = front_ends(loaded, fs, leads, streams)
            push(ends, [each[:warm] for each in samples], frame)
            clocks.reset()
            push(ends, [each[warm:] for each in samples], frame)
        run = {name: unit * taken for name, taken in clocks.read().items()}
        stages = sum(run[name] for name in STAGES if name in run)
        run["all else compiled"] = run[WHOLE] - stages
        run["Python"] = unit * whole - run[WHOLE]
        run["sum"] = unit * whole
        runs.append(run)
    return {name: median(run[name] for run in runs) for name in runs[0]}


def tables(path: Path, streams: int, rounds: int) -> dict[str, Table]:
    """A table for each number of leads and length of frames."""
    loaded = load_model(Path(frontend.__file__).parents[1] / "models" / "student.pt", "cpu")
    clocks = Clocks({WHOLE: ("stream.push",), **STAGES})
    return {
        f"{leads} lead{'s' * (leads > 1)}, {frame_s:g} s": measure(
            loaded, clocks, path, leads, frame_s, streams, rounds
        )
        for leads in (1, 2)
        for frame_s in (1.0, 0.1)
    }


def of_checkout(checkout: Path, path: Path, streams: int, rounds: int) -> dict[str, Table]:
    """The same of the code and model of another checkout with modules of these names."""
    from benchmarks.performance.load.processes import environment, python_of

    # Its own packages, imported first; then this benchmark, of which it may have another, or none.
    program = (
        "import sys, beatgan, beatgan_daemon\n"
        f"sys.path.insert(0, {str(HERE)!r})\n"
        "from benchmarks.performance.stages import app; app()"
    )
    command = [python_of(checkout), "-c", program]
    record = path if str(path) == SAMPLE else path.resolve()
    command += ["--json", "--record", str(record)]
    command += ["--streams", str(streams), "--rounds", str(rounds)]
    found = subprocess.run(
        command, env={**os.environ, **environment(checkout)}, check=True, stdout=subprocess.PIPE
    )
    made: dict[str, Table] = json.loads(found.stdout)
    return made


def text(made: dict[str, Table], other: dict[str, Table] | None) -> str:
    """One row a stage; the other checkout's figure before this one's."""
    rows = [*STAGES, "all else compiled", WHOLE, "Python", "sum"]
    lines = [f"{'us a lead and second':28}" + "".join(f"{name:>18}" for name in made)]
    for row in rows:
        cells = ""
        for name, table in made.items():
            now = f"{table[row]:.1f}" if row in table else "-"
            then = other[name].get(row) if other else None
            before = "" if other is None else "- -> " if then is None else f"{then:.1f} -> "
            cells += f"{before + now:>18}"
        lines.append(f"{row:28}{cells}")
    return "\n".join(lines)


def main(
    against: Annotated[Path | None, typer.Option(help="Another checkout.")] = None,
    record: Annotated[Path, typer.Option(help="A WFDB record, instead of the sample.")] = Path(
        SAMPLE
    ),
    streams: Annotated[int, typer.Option(min=1, help="Interleaved.")] = 200,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    as_json: Annotated[bool, typer.Option("--json", hidden=True)] = False,
) -> None:
    """Print the table."""
    other = None if against is None else of_checkout(against.resolve(), record, streams, rounds)
    made = tables(record, streams, rounds)
    typer.echo(json.dumps(made) if as_json else text(made, other))


def app() -> None:
    """Run with the arguments of the command line."""
    typer.run(main)


if __name__ == "__main__":
    app()
