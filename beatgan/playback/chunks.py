"""A recording as the chunks a live source would have sent. Knows no socket and no clock."""

from collections.abc import Iterator, Sequence
from itertools import cycle

import numpy as np

from beatgan.errors import RecordError, StreamError
from beatgan.protocol.frames import MAX_SAMPLES, check_leads
from beatgan.protocol.names import stream_of_record
from beatgan.records import Recording
from beatgan.types import MAX_FS, MIN_FS, Chunk, Floats


def stream_name(recording: Recording, taken: set[str]) -> str:
    """The recording's name as a stream's: odd characters become ``_``; made distinct by ``:2``.

    The name is added to ``taken``.
    """
    base = stream_of_record(recording.name)
    name, count = base, 1
    while name in taken:
        count += 1
        name = f"{base}:{count}"
    taken.add(name)
    return name


def check(recording: Recording) -> None:
    """Raise RecordError if no stream may carry the recording."""
    check_signal(recording.name, recording.fs, recording.leads)
    if not len(recording.samples):
        raise RecordError(f"{recording.name}: has no samples")


def check_signal(name: str, fs: float, leads: tuple[str, ...]) -> None:
    """Raise RecordError, beginning with ``name``, if no stream may have this rate and leads."""
    if not MIN_FS <= fs <= MAX_FS:
        raise RecordError(f"{name}: sampled at {fs:g} Hz; a stream has {MIN_FS:g} to {MAX_FS:g} Hz")
    try:
        check_leads(leads)
    except StreamError as error:
        raise RecordError(f"{name}: {error}") from None


def cut(
    recording: Recording,
    stream: str,
    sizes: Sequence[int],
    *,
    epoch: int,
    start_ns: int,
    loop: bool = False,
) -> Iterator[Chunk]:
    """Chunks of ``sizes`` samples, cyclically, the last one shorter if need be.

    With ``loop`` the recording begins again and again while sample count and time go on. Raises
    RecordError if no stream may carry the recording.
    """
    check(recording)
    first = 0
    for seq, size in enumerate(cycle(sizes)):
        samples = _samples(recording.samples, first, min(size, MAX_SAMPLES), loop)
        if not len(samples):
            return
        t_ns = start_ns + round(first * 1e9 / recording.fs)
        yield Chunk(stream, epoch, seq, first, t_ns, recording.fs, recording.leads, samples)
        first += len(samples)


def _samples(samples: Floats, first: int, size: int, loop: bool) -> Floats:
    if not loop:
        return samples[first : first + size]
    return np.take(samples, range(first, first + size), axis=0, mode="wrap")
