"""This checkout beside another one, such as the last release's: did anything get slower?

    python -m benchmarks.performance.compare --against ../release
    python -m benchmarks.performance.compare --against ../release --streams 300 --leads 2
Both do the same in alternating runs, each with its own code, model file and, if it has one, its
`.venv`. Only public interfaces are used, so that any two releases can be compared. Printed are the
medians, and this checkout's over the other's:
  start            seconds from the process's start to `ready`, a warm cache of compiled code; and
                   the CPU seconds among them, which other processes disturb less
  memory, idle     MiB that the daemon then holds at most
  memory, score    MiB that `beatgan-daemon score` holds at most
  engine           CPU us a stream-second of `score`, less what a minute alone takes
  live             CPU us a stream-second of the daemon under `--streams` (0: not measured)
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from subprocess import DEVNULL, Popen
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import typer

from beatgan.records import SAMPLE, read_recording
from benchmarks.performance.load import processes, schedule
from benchmarks.performance.load.__main__ import Load, recordings
from benchmarks.performance.load.results import cost

HERE = Path(__file__).parents[2]
MODEL = Path("models/student.pt")
SHORT_S, LONG_S = 60, 4 * 3600
WARM_UP_S, LIVE_S = 3.0, 15.0
MIB = 1024  # KiB
POLL_S = 0.02  # how often the memory of `score` is read


def write_record(folder: Path, seconds: int, leads: int) -> Path:
    """The bundled sample, over and over, as a WFDB record of so many leads."""
    import wfdb

    sample = read_recording(SAMPLE)
    units = schedule.as_sent(sample.samples[:, 0], leads)
    rows = np.resize(np.arange(len(units)), int(seconds * sample.fs))
    name = f"s{seconds}"
    names = list(schedule.lead_names(leads))
    wfdb.wrsamp(
        name,
        fs=sample.fs,
        units=["mV"] * leads,
        sig_name=names,
        d_signal=units[rows].astype(np.int64),
        fmt=["16"] * leads,
        adc_gain=[1 / schedule.SCALE] * leads,
        baseline=[0] * leads,
        write_dir=str(folder),
    )
    return folder / name


def peak_mib(pid: int) -> float:
    """The most memory that a process has held. (`ru_maxrss` would count its parent's, too.)"""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return max((int(x.split()[1]) / MIB for x in lines if x.startswith("VmHWM")), default=0.0)


def score(checkout: Path, record: Path) -> tuple[float, float]:
    """CPU seconds and peak memory (MiB) of ``beatgan-daemon score``."""
    command = [processes.python_of(checkout), "-m", "beatgan_daemon.cli", "score"]
    command += ["--model", str(checkout / MODEL), str(record), "--out", os.devnull]
    environment = {**os.environ, **processes.environment(checkout), "OMP_NUM_THREADS": "1"}
    with Popen(command, env=environment, stderr=DEVNULL) as process:
        peak = ended = 0.0
        while not ended:
            peak = max(peak, peak_mib(process.pid))
            time.sleep(POLL_S)
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, peak


def start(checkout: Path) -> tuple[float, float, float]:
    """Seconds until a daemon is ready, the CPU seconds among them, its peak memory (MiB) then."""
    core = processes.cores().measured
    with TemporaryDirectory(prefix="compare-") as folder:
        began = time.monotonic()
        model = checkout / MODEL
        with processes.daemon(model, core, Path(folder), 1, checkout) as daemon:
            seconds = time.monotonic() - began
            found = seconds, processes.usage(daemon.process.pid).cpu, peak_mib(daemon.process.pid)
            daemon.stop()
    return found


def live(checkout: Path, streams: int, leads: int) -> float:
    """CPU us a stream-second of the daemon under load."""
    sent = recordings(None, leads)
    load = Load(checkout / MODEL, 1, leads, 1, WARM_UP_S, LIVE_S, sent, checkout=checkout)
    return cost(load.run_daemon(streams))


def measure(checkout: Path, short: Path, long: Path, streams: int, leads: int) -> dict[str, float]:
    """All figures of one checkout, once."""
    seconds, start_cpu, idle = start(checkout)
    less, _ = score(checkout, short)
    cpu, peak = score(checkout, long)
    found = {
        "start, s": seconds,
        "start, CPU s": start_cpu,
        "memory, idle, MiB": idle,
        "memory, score, MiB": peak,
        "engine, us a stream-second": 1e6 * (cpu - less) / (LONG_S - SHORT_S),
    }
    if streams:
        found["live, us a stream-second"] = live(checkout, streams, leads)
    return found


def table(ours: Sequence[dict[str, float]], theirs: Sequence[dict[str, float]]) -> str:
    """Medians, their ratio, and the ratio's range over the pairs of runs."""
    lines = [f"{'':28}{'other':>10}{'this':>10}{'ratio':>8}   pairs"]
    for name in ours[0]:
        ratios = sorted(a[name] / b[name] for a, b in zip(ours, theirs, strict=True))
        here, there = median(run[name] for run in ours), median(run[name] for run in theirs)
        lines.append(
            f"{name:28}{there:10.2f}{here:10.2f}{here / there:8.3f}"
            f"   {ratios[0]:.3f} to {ratios[-1]:.3f}"
        )
    return "\n".join(lines)


def main(
    against: Annotated[Path, typer.Option(help="The other checkout.", file_okay=False)],
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each, in turn.")] = 5,
    streams: Annotated[int, typer.Option(min=0, help="Of the live load; 0: none.")] = 0,
    leads: int = 1,
) -> None:
    """Print the table."""
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    with TemporaryDirectory(prefix="compare-") as name:
        short, long = (write_record(Path(name), s, leads) for s in (SHORT_S, LONG_S))
        both = ((HERE, ours), (against.resolve(), theirs))
        for checkout, _ in both:
            score(checkout, short)  # compiles what is not compiled yet
        for k in range(rounds):
            for checkout, runs in both if k % 2 else reversed(both):
                runs.append(measure(checkout, short, long, streams, leads))
    typer.echo(f"{leads} lead(s), {rounds} runs of each")
    typer.echo(table(ours, theirs))


if __name__ == "__main__":
    typer.run(main)
