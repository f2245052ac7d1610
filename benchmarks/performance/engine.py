"""What a second of one stream costs the daemon's one thread, part by part, in one process.

Copies of the bundled sample, interleaved as live streams would be; no sockets. The parts are run
one on top of the other: decoding alone, with the front end, with scoring and messages, with ten
seconds of ECG kept for alerts. The daemon takes what has come since its last turn in one: some ten
frames at 5,000 streams of one frame a second.
    python -m benchmarks.performance.engine --model models/student.pt --streams 200
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter, thread_time
from typing import Annotated

import numpy as np
import typer

from beatgan.alarms.limits import AlarmLimits
from beatgan.frontend import Frontend
from beatgan.model.loading import Loaded
from beatgan.pipeline.engine import Engine, EngineSettings
from beatgan.playback.chunks import cut
from beatgan.protocol.frame_decoder import decode_frame
from beatgan.protocol.frames import encode_frame
from beatgan.protocol.messages import encode_message
from beatgan.records import SAMPLE, Recording, read_recording
from beatgan_daemon.model_loading import load_model

Frame = list[bytes]


def frames_of(recording: Recording, streams: int, seconds: int, frame_s: float) -> list[Frame]:
    """Frames in the order of their time; each stream begins elsewhere in the recording."""
    fs = recording.fs
    chunks: list[Iterator[Frame]] = []
    for number in range(streams):
        shifted = np.roll(recording.samples, -number * 977, axis=0)[: int(seconds * fs)]
        copy = Recording(f"s{number}", fs, recording.leads, shifted)
        pieces = cut(copy, f"s{number}", (int(frame_s * fs),), epoch=0, start_ns=0)
        chunks.append(encode_frame(piece) for piece in pieces)
    return [frame for instant in zip(*chunks, strict=True) for frame in instant]


def decode(frames: Sequence[Frame]) -> None:
    """Bytes to chunks."""
    for frame in frames:
        decode_frame(frame)


def find(frames: Sequence[Frame], loaded: Loaded) -> None:
    """Bytes to beats."""
    frontends: dict[str, Frontend] = {}
    for frame in frames:
        chunk = decode_frame(frame)
        if chunk.stream not in frontends:
            frontends[chunk.stream] = Frontend(
                loaded.spec, loaded.coefficients, chunk.fs, chunk.leads, chunk.first
            )
        frontends[chunk.stream].push(chunk.samples)


def serve(frames: Sequence[Frame], loaded: Loaded, limits: AlarmLimits, at_once: int) -> None:
    """Bytes to messages' bytes, as between the daemon's sockets, ``at_once`` frames a turn."""
    engine = Engine(
        loaded.spec,
        loaded.coefficients,
        loaded.scorer,
        limits,
        EngineSettings(batch_size=64, batch_age=0.01, silence=1e9, max_streams=len(frames)),
    )
    for first in range(0, len(frames), at_once):
        now = perf_counter()
        for frame in frames[first : first + at_once]:
            engine.receive(decode_frame(frame), now)
        for message in engine.poll(now).messages:
            encode_message(message)


def main(
    model: Annotated[Path, typer.Option()] = Path("models/student.pt"),
    streams: int = 200,
    seconds: int = 20,
    frame_s: float = 1.0,
    at_once: Annotated[int, typer.Option(min=1, help="Frames a turn.")] = 10,
) -> None:
    """Print microseconds of CPU a stream-second after each part, and what that part added."""
    loaded = load_model(model, "cpu")
    frames = frames_of(read_recording(SAMPLE), streams, seconds, frame_s)
    parts: dict[str, Callable[[], None]] = {
        "decode": lambda: decode(frames),
        "+ front end": lambda: find(frames, loaded),
        "+ scoring, alerts, messages": lambda: serve(frames, loaded, AlarmLimits(), at_once),
        "+ strips of 10 s": lambda: serve(frames, loaded, AlarmLimits(strip_s=10.0), at_once),
    }
    title = f"{streams} streams, {seconds} s, frames of {frame_s:g} s, {at_once} a turn"
    typer.echo(f"{title}; us a stream-second")
    before = 0.0
    for name, part in parts.items():
        part()  # warm
        began = thread_time()
        part()
        cost = 1e6 * (thread_time() - began) / (streams * seconds)
        typer.echo(f"{name:30}{cost:9.1f}{cost - before:+9.1f}")
        before = cost


if __name__ == "__main__":
    typer.run(main)
