"""How long `import beatgan` and its first score take, each in a fresh process.

    python -m benchmarks.performance.library

Compiled code is cached (`beatgan-daemon compile`). `import`: `import beatgan` alone. `first score`:
from there until five minutes of one lead, the sample, are scored, with all imports and the model's
self-test; `second`: the same again. Seconds, medians of `--runs`; MiB that are resident at the end.
"""

import subprocess
import sys
from statistics import median
from typing import Annotated, NamedTuple

import msgspec
import typer

PROGRAM = """
import json, resource, time
began = time.perf_counter()
import beatgan
imported = time.perf_counter()
ecg, fs = beatgan.sample()
beatgan.score(ecg, fs, device="cpu")
first = time.perf_counter()
beatgan.score(ecg, fs, device="cpu")
second = time.perf_counter()
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([imported - began, first - imported, second - first, memory]))
"""


class Run(NamedTuple):
    """Seconds, and MiB."""

    imported: float
    first: float
    second: float
    memory: float


def run() -> Run:
    """One fresh process."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True)
    return Run(*msgspec.json.decode(done.stdout, type=list[float]))


def main(runs: Annotated[int, typer.Option(min=1)] = 7) -> None:
    """Print the medians, and the worst."""
    run()  # whatever was not compiled yet
    found = [run() for _ in range(runs)]
    for name, unit in (("imported", "s"), ("first", "s"), ("second", "s"), ("memory", "MiB")):
        values = [getattr(each, name) for each in found]
        print(f"{name:<10}{median(values):8.3f} {unit:<4} at most {max(values):.3f}")


if __name__ == "__main__":
    typer.run(main)
