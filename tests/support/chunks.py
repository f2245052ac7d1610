"""Chunks of a stream whose clock keeps time with its samples."""

from beatgan.types import Chunk, Floats

FS = 360.0
START_NS = 1_700_000_000_000_000_000  # UNIX time of sample 0


def make_chunk(
    samples: Floats,
    first: int,
    stream: str = "bed",
    *,
    epoch: int = 1,
    fs: float = FS,
    leads: tuple[str, ...] | None = None,
    t_ns: int | None = None,
) -> Chunk:
    """``samples`` from number ``first`` on; leads are called ``lead 0`` and so on unless named."""
    if leads is None:
        leads = tuple(f"lead {i}" for i in range(samples.shape[1]))
    time = START_NS + round(first * 1e9 / fs) if t_ns is None else t_ns
    return Chunk(stream, epoch, 0, first, time, fs, leads, samples)
