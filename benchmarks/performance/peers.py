"""CPU time from samples to scores: ours, offline and live, beside what others would install.

    python -m benchmarks.performance.peers                      the bundled sample, tiled to an hour
    python -m benchmarks.performance.peers --record DATA/mitdb/100   its first lead
    python -m benchmarks.performance.peers --detection          ours, live, and sleepecg's detection
All in one process on one thread, in turn, the least of several rounds; warmed up before. Ours does
all that the daemon does but its sockets: alerts and the messages' bytes too. The others get the
whole hour at once, NeuroKit2 five minutes at a time: its time grows with the square of the length.
It gives no score: it cleans, finds, delineates and grades.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from math import ceil, inf
from pathlib import Path
from time import process_time
from typing import Annotated

import numpy as np
import torch
import typer
from msgspec import UNSET
from rich.console import Console
from rich.table import Table

from beatgan.alarms.limits import AlarmLimits
from beatgan.model.loading import Loaded
from beatgan.model.torch_modules.networks import Generator
from beatgan.pipeline.engine import Engine, EngineSettings
from beatgan.playback.chunks import cut
from beatgan.playback.offline import score_recordings
from beatgan.protocol.frame_decoder import decode_frame
from beatgan.protocol.frames import encode_frame
from beatgan.protocol.messages import BeatMessage, Message, encode_json, encode_message
from beatgan.records import SAMPLE, Recording, only, read_recording
from beatgan.types import Doubles, Floats, Ints
from beatgan_daemon.model_loading import load_model
from benchmarks.clinical.beats import Detector, signal, sleepecg, xqrs

Frame = list[bytes]
Way = Callable[[Recording], Callable[[], int]]  # prepares; the returned work counts its beats

BEFORE, AFTER = 140, 180  # samples at 360 Hz, as BeatGAN cuts a beat
BATCH, BATCH_AGE_S = 64, 0.01  # the daemon's own
MANY = 64  # streams
ONE_STREAM, MANY_STREAMS = "ours, live, one stream alone", f"ours, live, {MANY} streams"
DETECTION = "sleepecg, detection alone (no score)"
WARM_S = 60
PART_S = 300  # of what NeuroKit2 gets at a time


def batch(loaded: Loaded, recording: Recording) -> Callable[[], int]:
    """`beatgan-daemon score` without the file."""

    def work() -> int:
        messages = score_recordings(
            [recording], loaded.spec, loaded.coefficients, loaded.scorer, AlarmLimits()
        )
        return count(map(beat_of, messages))

    def beat_of(message: Message) -> bool:
        encode_json(message)
        return is_first(message)

    return work


def live(loaded: Loaded, streams: int, recording: Recording) -> Callable[[], int]:
    """The daemon between its sockets, frames of a second; the hour is shared by the streams.

    One stream alone is scored frame by frame, as the batch's age demands in real time; of many,
    beats are scored in full batches.
    """
    frames = interleaved(recording, streams)
    age = BATCH_AGE_S if streams == 1 else inf

    def work() -> int:
        engine = Engine(
            loaded.spec,
            loaded.coefficients,
            loaded.scorer,
            AlarmLimits(),
            EngineSettings(batch_size=BATCH, batch_age=age, silence=inf, max_streams=streams),
        )
        beats = 0
        for second, frame in enumerate(frames):
            engine.receive(decode_frame(frame), second)
            beats += sent(engine.poll(second + BATCH_AGE_S).messages)
        return beats + sent(engine.drain(len(frames)).messages)

    return work


def sent(messages: Sequence[Message]) -> int:
    """The messages as bytes; how many are beats."""
    for message in messages:
        encode_message(message)
    return count(map(is_first, messages))


def is_first(message: Message) -> bool:
    """Whether it is the first message of a beat."""
    return isinstance(message, BeatMessage) and message.revised is UNSET


def interleaved(recording: Recording, streams: int) -> list[Frame]:
    """The recording as frames of a second, a part of it for each of the streams, in turn."""
    length = len(recording.samples) // streams
    chunks: list[Iterator[Frame]] = []
    for number in range(streams):
        part = recording.samples[number * length : (number + 1) * length]
        pieces = cut(
            replace(recording, samples=part),
            f"s{number}",
            (int(recording.fs),),
            epoch=0,
            start_ns=0,
        )
        chunks.append(encode_frame(piece) for piece in pieces)
    return [frame for instant in zip(*chunks, strict=True) for frame in instant]


def published(detect: Detector, size: int, recording: Recording) -> Callable[[], int]:
    """A detector over the whole signal, then BeatGAN's generator as published, ``size`` beats."""
    generator = Generator().eval()

    def work() -> int:
        windows = cut_out(signal(recording), detect(recording))
        with torch.inference_mode():
            for first in range(0, len(windows), size):
                part = torch.from_numpy(windows[first : first + size])
                (part - generator(part)).square().mean(dim=1).tolist()
        return len(windows)

    return work


def detected(detect: Detector, recording: Recording) -> Callable[[], int]:
    """A detector alone over the whole signal."""
    return lambda: len(detect(recording))


def cut_out(ecg: Doubles, r_peaks: Ints) -> Floats:
    """The beats' windows, (n, 320), each brought to the range -1 to 1, as BeatGAN does."""
    whole = r_peaks[(r_peaks >= BEFORE) & (r_peaks + AFTER <= len(ecg))]
    windows: Doubles = ecg[whole[:, None] + np.arange(-BEFORE, AFTER)]
    low, high = windows.min(axis=1, keepdims=True), windows.max(axis=1, keepdims=True)
    unit: Doubles = 2 * (windows - low) / np.maximum(high - low, 1e-9) - 1
    return unit.astype(np.float32)


def neurokit2(recording: Recording) -> Callable[[], int]:
    """NeuroKit2's `ecg_process`."""
    from neurokit2 import ecg_process

    rate = int(recording.fs)

    def work() -> int:
        ecg = signal(recording)
        parts = np.split(ecg, range(PART_S * rate, len(ecg), PART_S * rate))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandas has moved on
            found = [ecg_process(part, sampling_rate=rate)[1] for part in parts]
        return sum(len(each["ECG_R_Peaks"]) for each in found)

    return work


def count(which: Iterator[bool]) -> int:
    """How many are true."""
    return sum(which)


def tiled(recording: Recording, seconds: int) -> Recording:
    """The recording's first lead again and again, for ``seconds``."""
    one = only(recording, recording.leads[0])
    length = int(seconds * one.fs)
    times = ceil(length / len(one.samples))
    return replace(one, samples=np.tile(one.samples, (times, 1))[:length])


def measure(
    ways: Mapping[str, Way], recording: Recording, rounds: int
) -> dict[str, tuple[int, float]]:
    """Each way's beats and the least CPU seconds of its rounds."""
    works: dict[str, Callable[[], int]] = {}
    for name, way in ways.items():
        way(tiled(recording, WARM_S))()
        works[name] = way(recording)
    least = dict.fromkeys(ways, (0, inf))
    for _ in range(rounds):
        for name, work in works.items():
            began = process_time()
            beats = work()
            least[name] = beats, min(least[name][1], process_time() - began)
    return least


def against_detection(loaded: Loaded) -> dict[str, Way]:
    """Ours, live, and the detector with which its CPU time is compared."""
    return {
        ONE_STREAM: partial(live, loaded, 1),
        MANY_STREAMS: partial(live, loaded, MANY),
        DETECTION: partial(detected, sleepecg),
    }


def ways_of(loaded: Loaded) -> dict[str, Way]:
    """Ours first."""
    ways: dict[str, Way] = {"ours, offline": partial(batch, loaded), **against_detection(loaded)}
    for name, detect in (("sleepecg", sleepecg), ("xqrs", xqrs)):
        for size in (1, BATCH):
            label = f"{name} + published generator, batch {size}"
            ways[label] = partial(published, detect, size)
    if find_spec("neurokit2"):
        ways["NeuroKit2 ecg_process (no score)"] = neurokit2
    else:
        typer.echo("NeuroKit2 is not installed; pip install 'beatgan[bench]'", err=True)
    return ways


def show(least: Mapping[str, tuple[int, float]], recording: Recording) -> None:
    """Print the table."""
    hours = len(recording.samples) / recording.fs / 3600
    table = Table(title=f"{hours:g} h of {recording.name}, {recording.fs:g} Hz, one lead; CPU time")
    table.add_column("from samples to scores", no_wrap=True)
    bases = {"ours, live, alone": ONE_STREAM, "sleepecg's detection": DETECTION}
    for head in ("beats", "CPU s", "ECG h in a CPU s", *(f"/ {name}" for name in bases)):
        table.add_column(head, justify="right", no_wrap=True)
    for name, (beats, spent) in least.items():
        ratios = [f"{spent / least[base][1]:.2f}" for base in bases.values()]
        table.add_row(name, f"{beats:,}", f"{spent:.3f}", f"{hours / spent:.2f}", *ratios)
    Console(width=140).print(table)


def main(
    record: str = SAMPLE,
    model: Annotated[Path, typer.Option()] = Path("models/student.pt"),
    seconds: Annotated[int, typer.Option(min=WARM_S * MANY // 16)] = 3600,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    detection: Annotated[
        bool, typer.Option("--detection", help="Ours, live, beside sleepecg's detection, no more.")
    ] = False,
) -> None:
    """Print the table."""
    loaded = load_model(model, "cpu")  # sets torch to one thread
    recording = tiled(read_recording(record), seconds)
    ways = against_detection(loaded) if detection else ways_of(loaded)
    show(measure(ways, recording, rounds), recording)


if __name__ == "__main__":
    typer.run(main)
