"""A column that numbers the samples, or the packets, and tells which are lost. Knows no file."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beatgan.errors import RecordError
from beatgan.types import Doubles

ROUND = frozenset(2**k for k in (4, 7, 8, 10, 12, 15, 16, 24, 31, 32))  # where counters begin again


def counts_rows(numbers: Doubles) -> bool:
    """Whether the numbers are those of the rows: most are one more than the one before."""
    return len(numbers) > 1 and bool((np.diff(numbers) == 1).mean() > 0.5)


def place(path: Path, name: str, numbers: Doubles, lines: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each row's place among the samples, those that the counter skips counted.

    Raises RecordError, which names the line, where it begins again at no round number, or stands
    still: nobody knows what is lost there.
    """
    steps = np.diff(numbers)
    size = 2.0 ** np.ceil(np.log2(max(2.0, float(np.nanmax(numbers)) + 1)))
    around = steps + size
    wraps = (steps < 0) & (size in ROUND) & (around < size / 4)
    ahead = np.where(wraps, around, np.where(np.isnan(steps), 1.0, steps))
    wrong = np.flatnonzero((ahead < 1) | (ahead != np.rint(ahead)))
    if len(wrong):
        raise RecordError(
            f"{path}: line {lines[wrong[0] + 1]}: the counter in column '{name}' does not go on; "
            "cut the file there into two recordings, or take the column away"
        )
    return np.concatenate([[0], np.cumsum(ahead)]).astype(np.int64)
