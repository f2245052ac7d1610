"""Synthetic streams through the daemon's engine in every way that live ones come, to compile it.

A function is compiled when it is first called, and for each type of its arguments. So no list says
what is to be compiled: whatever these streams pass is. What is said of them goes nowhere.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from beatgan import compiled_cache
from beatgan.alarms.limits import AlarmLimits
from beatgan.compilations import Compilations, compilations
from beatgan.errors import ArtifactError
from beatgan.jit import cache_folders
from beatgan.model.loading import Loaded
from beatgan.model.synthetic_ecg import synthetic_ecg
from beatgan.pipeline.checkpointing import Checkpointer, restore_streams
from beatgan.pipeline.engine import Engine, EngineSettings
from beatgan.playback.chunks import cut
from beatgan.protocol.frame_decoder import decode_frame
from beatgan.protocol.frames import encode_frame
from beatgan.records import Recording
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.model_loading import load_model

SECONDS = 40  # of each stream, in frames of a second
LEADS = ("MLII", "V5", "V1")  # one, two, and two with one unused
RATES = (250.0, 360.0, 1000.0)
DETACHED = slice(8, 14)  # seconds in which the first lead carries nothing
LOST = range(18, 26)  # whose frames do not come
RESTART = 30  # after so many the daemon is another one
Frames = list[list[bytes]]


def compile_all(model: Path, began: Callable[[], None]) -> Compilations:
    """Compile, and keep, all that a daemon with this model compiles on a CPU; what that was.

    ``began`` is told that there is something to compile. Raises ArtifactError, see `load_model`,
    and StartError, before anything is compiled, where it could not be kept.
    """
    unwritable = compiled_cache.unwritable(cache_folders())
    refusal = StartError(f"compiled code could not be kept: {unwritable}")

    def begin(_: str) -> None:
        if unwritable:
            raise refusal
        if not compiled.functions:
            began()

    with compilations(begin) as compiled:
        try:
            rehearse(load_model(model, "cpu"))
        except ArtifactError:
            if unwritable and compiled.functions:  # it was refused to the model's self-test
                raise refusal from None
            raise
    if troubles := compiled_cache.troubles():
        raise StartError(f"compiled code is not kept: {'; '.join(troubles)}")
    return compiled


def rehearse(loaded: Loaded) -> None:
    """Run streams of one, two and three leads at several rates, each alone and all together."""
    streams = [
        _frames(f"s{number}", fs, LEADS[:count])
        for number, (fs, count) in enumerate((fs, n) for fs in RATES for n in (1, 2, 3))
    ]
    for each in streams:
        _run(loaded, [each], batch_size=1)
    _run(loaded, streams, batch_size=256)


def _frames(name: str, fs: float, leads: Sequence[str]) -> Frames:
    """A frame for each second of a stream."""
    ecg = synthetic_ecg(SECONDS, fs)
    samples = np.stack([ecg * np.float32(0.8**k) for k in range(len(leads))], axis=1)
    samples[round(DETACHED.start * fs) : round(DETACHED.stop * fs), 0] = np.nan
    chunks = cut(Recording(name, fs, tuple(leads), samples), name, [round(fs)], epoch=1, start_ns=0)
    return [
        encode_frame(chunk, *(("<i2", 0.005) if chunk.seq % 2 else ("<f4", 1.0)))
        for chunk in chunks
    ]


def _run(loaded: Loaded, streams: Sequence[Frames], batch_size: int) -> None:
    engine = _engine(loaded, batch_size)
    for second, frames in enumerate(zip(*streams, strict=True)):
        now = float(second)
        if second not in LOST:
            for frame in frames:
                engine.receive(decode_frame(frame), now)
        engine.poll(now)
        if second == RESTART:
            engine = _restarted(engine, loaded, batch_size, now)
    for name in engine.streams():
        engine.end(name, SECONDS)
    engine.drain(SECONDS)


def _engine(loaded: Loaded, batch_size: int) -> Engine:
    settings = EngineSettings(
        batch_size=batch_size, batch_age=1.0, silence=5.0, max_streams=len(LEADS) * len(RATES)
    )
    return Engine(loaded.spec, loaded.coefficients, loaded.scorer, AlarmLimits(), settings)


def _restarted(engine: Engine, loaded: Loaded, batch_size: int, now: float) -> Engine:
    """The engine of another daemon, with what this one would have left on the disk."""
    engine.drain(now)
    restored = _engine(loaded, batch_size)
    restore_streams(restored, (), Checkpointer(engine, SECONDS, now).all(), now)
    return restored
