"""Where the memory of a stream is: the engine alone in one process, without sockets.

    python -m benchmarks.performance.memory --streams 1000 --leads 2
Streams are copies of the bundled sample, each from its own place, in frames of a second. Printed,
in KiB a stream and lead: by how much the process grew; what Python's allocators hold of it, NumPy's
arrays included, by the line that allocated it; and how many objects of each type a stream has, as
far as the garbage collector knows them. The latter two are of a second engine, since to trace
allocations takes memory, too.
"""

import gc
import os
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from beatgan.alarms.limits import AlarmLimits
from beatgan.model.loading import Loaded
from beatgan.pipeline.engine import Engine, EngineSettings
from beatgan.protocol.frame_decoder import decode_frame
from beatgan.protocol.frames import encode_frame
from beatgan.records import SAMPLE, Recording, read_recording
from beatgan.types import Chunk
from beatgan_daemon.model_loading import load_model
from benchmarks.performance.load import schedule
from benchmarks.performance.load.generator import SPACING

KIB = 1024
ROOT = Path(__file__).parents[2]


def frames(recording: Recording, streams: int, leads: int, seconds: int) -> Iterator[Chunk]:
    """A frame of a second of each stream, then the next second's: decoded from bytes one by one."""
    units = schedule.as_sent(recording.samples[:, 0], leads)
    size, names = int(recording.fs), schedule.lead_names(leads)
    for second in range(seconds):
        first = second * size
        for stream in range(streams):
            rows = np.arange(first, first + size) + SPACING * stream
            samples = np.take(units, rows, axis=0, mode="wrap") * np.float32(schedule.SCALE)
            chunk = Chunk(
                stream=f"s{stream}",
                epoch=0,
                seq=second,
                first=first,
                t_ns=second * schedule.SECOND,
                fs=recording.fs,
                leads=names,
                samples=samples.astype(np.float32),
            )
            yield decode_frame(encode_frame(chunk))


def fed(loaded: Loaded, recording: Recording, streams: int, leads: int, seconds: int) -> Engine:
    """An engine that has served so many streams for so long."""
    settings = EngineSettings(batch_size=64, batch_age=0.01, silence=inf, max_streams=streams)
    engine = Engine(loaded.spec, loaded.coefficients, loaded.scorer, AlarmLimits(), settings)
    for number, chunk in enumerate(frames(recording, streams, leads, seconds)):
        now = number / streams
        engine.receive(chunk, now)
        engine.poll(now)
    gc.collect()
    return engine


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def objects() -> Counter[str]:
    """How many objects there are of each type, as far as the garbage collector knows them."""
    return Counter(type(each).__name__ for each in gc.get_objects())


def main(
    model: Annotated[Path, typer.Option()] = Path("models/student.pt"),
    streams: Annotated[int, typer.Option(min=1)] = 1000,
    leads: int = 1,
    seconds: Annotated[int, typer.Option(min=1, help="Of ECG of each stream.")] = 20,
    rows: Annotated[int, typer.Option(min=1, help="Lines and types that are listed.")] = 25,
) -> None:
    """Print the growth, then what makes it up, largest first."""
    loaded, recording = load_model(model, "cpu"), read_recording(SAMPLE)
    share = KIB * streams * leads
    fed(loaded, recording, 2, leads, seconds)  # what the first stream of all brings along
    before = resident()
    engine = fed(loaded, recording, streams, leads, seconds)
    typer.echo(f"{streams} streams, {leads} lead(s), {seconds} s of each; KiB a stream and lead")
    typer.echo(f"{(resident() - before) / share:8.2f}  growth of the process")
    del engine
    counts = objects()
    tracemalloc.start()
    engine = fed(loaded, recording, streams, leads, seconds)
    held = tracemalloc.take_snapshot().statistics("lineno")
    tracemalloc.stop()
    typer.echo(f"{sum(each.size for each in held) / share:8.2f}  of it allocated by Python")
    for each in held[:rows]:
        frame = each.traceback[0]
        path = os.path.relpath(frame.filename, ROOT)
        each_kib, each_count = each.size / share, each.count / streams
        typer.echo(f"{each_kib:8.2f}  {path}:{frame.lineno}, {each_count:.1f} a stream")
    typer.echo("objects a stream")
    for name, count in (objects() - counts).most_common(rows):
        typer.echo(f"{count / streams:8.2f}  {name}")
    del engine


if __name__ == "__main__":
    typer.run(main)
