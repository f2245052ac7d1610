"""Frames through decoding and the engine, every one of them: what is refused, and memory.

Mutated ones, or with ``--valid`` those of `extremes`, whatever they take; an index out of bounds
ends the process.
    python -m benchmarks.robustness.fuzz --frames 1000000
    python -m benchmarks.robustness.fuzz --frames 1000000 --valid
"""

import os

os.environ["NUMBA_BOUNDSCHECK"] = "1"  # before numba is imported

import resource
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from beatgan.alarms.limits import AlarmLimits
from beatgan.errors import StreamError
from beatgan.pipeline.engine import Engine, EngineSettings
from beatgan.protocol.frame_decoder import decode_frame
from beatgan.protocol.messages import encode_message
from beatgan.records import SAMPLE, read_recording
from beatgan_daemon.model_loading import load_model
from benchmarks.robustness.extremes import Extremes
from benchmarks.robustness.fuzzer import Fuzzer

FRAMES_PER_S = 10_000  # so many come in a second of the engine's time, ...
VALID_PER_S = 2_000  # ... and of valid ones
PARTS = 10  # memory is printed so often


def main(
    frames: Annotated[int, typer.Option(help="how many")] = 1_000_000,
    valid: Annotated[bool, typer.Option("--valid", help="at the extremes, not mutated")] = False,
    seed: Annotated[int, typer.Option(help="other frames for another seed")] = 1,
    model: Annotated[Path, typer.Option(help="model file")] = Path("models/student.pt"),
) -> None:
    """Push them all and print what was refused."""
    rate = VALID_PER_S if valid else FRAMES_PER_S
    loaded = load_model(model, "cpu")
    engine = Engine(
        loaded.spec,
        loaded.coefficients,
        loaded.scorer,
        AlarmLimits(),
        EngineSettings(batch_size=256, batch_age=0.01, silence=5.0, max_streams=1000, reorder=0.2),
    )
    fuzzer = Fuzzer(read_recording(SAMPLE).samples[:, :1].astype(np.float32), seed)
    draw = Extremes(seed).next if valid else fuzzer.mutated
    refused: Counter[str] = Counter()
    longest = 0.0
    for k in range(frames):
        parts, began = draw(), time.perf_counter()
        try:
            engine.receive(decode_frame(parts), k / rate)
        except StreamError as error:
            refused[error.reason] += 1
        for message in engine.poll(k / rate).messages:
            encode_message(message)
        longest = max(longest, time.perf_counter() - began)
        if (k + 1) % (frames // PARTS) == 0:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(
                f"{k + 1:>9,} frames, {len(engine.streams())} streams, peak {peak} MB", flush=True
            )
    print(f"used {frames - refused.total():,}, refused {refused.total():,}: {dict(refused)}")
    print(f"the longest that one took: {1000 * longest:.0f} ms")


if __name__ == "__main__":
    typer.run(main)
