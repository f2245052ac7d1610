"""The latest seconds of a stream's ECG, for the strip that an alert carries. Knows no alert.

Law: what `cut` gives of a moment does not depend on how the signal was cut into chunks. So nothing
is let go that events may still ask for: those that became known since the latest batch.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from beatgan.types import Chunk, Floats

BLOCK_S = 2.0  # of signal are kept and let go together


@dataclass(slots=True)
class _Block:
    """Samples from ``start`` to ``end`` of the source; there may be room for more."""

    start: int
    end: int
    rows: Floats  # (room, leads)


class RecentEcg:
    """All leads, in millivolt, from ``seconds`` before whatever waits to become a message.

    Memory: 4 bytes for each lead and sample of ``seconds`` and of BLOCK_S, up to twice that where
    chunks do not fill blocks; and what is received while one batch is gathered.
    """

    def __init__(self, seconds: float, fs: float, leads: int, first: int, start: int) -> None:
        """The segment began with sample ``first``; the first chunk to come begins at ``start``."""
        self.seconds = seconds
        self._length, self._block = round(seconds * fs), round(BLOCK_S * fs)  # in samples
        self._leads, self._first, self._end = leads, first, start
        self._blocks: deque[_Block] = deque()
        self._batch = -1

    def push(self, chunk: Chunk, batch: int) -> None:
        """Take in a chunk. ``batch``: how many batches of events were drained before it."""
        if batch != self._batch:
            self._batch = batch
            while self._blocks and self._blocks[0].end <= self._end - self._length:
                self._blocks.popleft()
        end, new = chunk.first + len(chunk.samples), max(chunk.first, self._end)
        if end <= new:
            return
        block = self._blocks[-1] if self._blocks else None
        if block is None or end - block.start > len(block.rows):
            size = max(end - new, self._block), self._leads
            block = _Block(new, new, np.empty(size, np.float32))
            self._blocks.append(block)
        block.rows[block.end - block.start : new - block.start] = np.nan
        block.rows[new - block.start : end - block.start] = chunk.samples[new - chunk.first :]
        block.end = self._end = end

    def cut(self, end: int) -> tuple[int, Floats]:
        """(first, samples): the strip before sample ``end``, shape (n, leads), NaN where lost.

        Shorter only where the segment began later. What is not there any more, as after a restart
        of the daemon, counts as lost.
        """
        first = min(end, max(self._first, end - self._length))
        strip = np.full((end - first, self._leads), np.nan, np.float32)
        for block in self._blocks:
            start, stop = max(first, block.start), min(end, block.end)
            if start < stop:
                rows = block.rows[start - block.start : stop - block.start]
                strip[start - first : stop - first] = rows
        return first, strip
