"""Samples counted on their way to a daemon, where their source does not count them."""

import numpy as np

from beatgan.protocol.frames import MAX_SAMPLES
from beatgan.types import Chunk, Floats


class CountedStream:
    """A stream whose samples are counted here, because its source does not count them."""

    def __init__(self, name: str, fs: float, leads: tuple[str, ...], epoch: int) -> None:
        """Sample 0 is the next; ``epoch``: UNIX time in ns, say, another one for each start."""
        self.first = 0
        self._name, self._fs, self._leads, self._epoch = name, fs, leads, epoch
        self._seq = 0

    def skip(self, samples: int) -> None:
        """So many never came."""
        self.first += samples

    def chunks(self, millivolt: Floats, t_ns: int) -> list[Chunk]:
        """The next samples, (n, leads), the first of them of the time ``t_ns``; as many chunks
        as frames are needed."""
        made = []
        for start in range(0, len(millivolt), MAX_SAMPLES):
            samples = np.ascontiguousarray(millivolt[start : start + MAX_SAMPLES], np.float32)
            time = t_ns + round(start * 1e9 / self._fs)
            made.append(
                Chunk(
                    self._name,
                    self._epoch,
                    self._seq,
                    self.first,
                    time,
                    self._fs,
                    self._leads,
                    samples,
                )
            )
            self.first += len(samples)
            self._seq += 1
        return made
