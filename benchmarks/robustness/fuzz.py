"""Mutated frames through decoding and the engine, every one of them: what is refused, and memory.

python -m benchmarks.robustness.fuzz --frames 1000000
"""

import resource
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from beatgan.alarms.limits import AlarmLimits
from beatgan.errors import StreamError
from beatgan.protocol.frames import decode_frame
from beatgan.records import SAMPLE, read_recording
from beatgan_daemon.model_loading import load_model
from beatgan_daemon.pipeline.engine import Engine, EngineSettings
from benchmarks.robustness.fuzzer import Fuzzer

FRAMES_PER_S = 10_000  # so many come in a second of the engine's time
PARTS = 10  # memory is printed so often


def main(
    frames: Annotated[int, typer.Option(help="mutated frames")] = 1_000_000,
    model: Annotated[Path, typer.Option(help="model file")] = Path("models/student.pt"),
) -> None:
    """Push them all and print what was refused."""
    loaded = load_model(model, "cpu")
    engine = Engine(
        loaded.spec,
        loaded.coefficients,
        loaded.scorer,
        AlarmLimits(),
        EngineSettings(batch_size=256, batch_age=0.01, silence=5.0, max_streams=1000, reorder=0.2),
    )
    fuzzer = Fuzzer(read_recording(SAMPLE).samples[:, :1].astype(np.float32), seed=1)
    refused: Counter[str] = Counter()
    longest = 0.0
    for k in range(frames):
        parts, began = fuzzer.mutated(), time.perf_counter()
        try:
            engine.receive(decode_frame(parts), k / FRAMES_PER_S)
        except StreamError as error:
            refused[error.reason] += 1
        engine.poll(k / FRAMES_PER_S)
        longest = max(longest, time.perf_counter() - began)
        if (k + 1) % (frames // PARTS) == 0:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(f"{k + 1:>9,} frames, {len(engine.streams())} streams, peak {peak} MB")
    print(f"used {frames - refused.total():,}, refused {refused.total():,}: {dict(refused)}")
    print(f"the longest that one took: {1000 * longest:.0f} ms")


if __name__ == "__main__":
    typer.run(main)
