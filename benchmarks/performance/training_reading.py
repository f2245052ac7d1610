"""How much CPU and memory a training takes to read, by one process or by several.

python -m benchmarks.performance.training_reading DATA
torchrun --standalone --nproc-per-node 2 -m -- benchmarks.performance.training_reading DATA
"""

import resource
import time
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.progress import Progress

from beatgan_train.data.training_set import load_beats
from beatgan_train.training.coefficients import coefficients_of
from beatgan_train.training.distributed import process_group, processes, rank, shared


def main(data: Annotated[Path, typer.Argument(help="With the MIT-BIH database.")]) -> None:
    """Print seconds of CPU, peak memory and a digest of the beats of each process."""
    torch.set_num_threads(1)
    with process_group(), Progress(disable=True) as bars:
        shared(abs, [0] * processes())  # what the first exchange takes is no reading
        began = time.process_time()
        loaded = load_beats(
            data, "full", "interpatient", coefficients_of("full"), bars, for_each=shared
        )
        seconds = time.process_time() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        digest = sha256(loaded.beats.window.tobytes()).hexdigest()[:12]
        typer.echo(
            f"process {rank()} of {processes()}: {len(loaded.beats)} beats in "
            f"{seconds:.1f} s of CPU, {peak:.0f} MiB at most, {digest}"
        )


if __name__ == "__main__":
    typer.run(main)
