"""Whether a lead carries nothing but the mains' hum, as one whose electrode is off does.

Means over 0.1 s hold whole periods of 50 and 60 Hz and of all their harmonics: hum leaves no trace
in them, while a QRS makes their course curved. Knows no filter and no beat. Lengths at 360 Hz.
"""

from typing import Protocol

import numpy as np

from beatgan.jit import compiled

BLOCK = 36  # samples (0.1 s): 5 periods of 50 Hz, 6 of 60 Hz
MIN_RMS_MV = 0.01  # less is no hum, but a quiet line
# What the curvature of the means is in hum alone, as its frequency is not quite that of the mains:
MAX_CURVATURE = 0.12  # of the hum's root mean square, ...
MIN_CURVATURE_MV = 0.003  # ... and by noise beside it
AFTER = 30  # blocks (3 s), less those below, until hum is all there is: pauses are shorter
MAX_COUNT = 60
QRS = 8  # blocks that one takes back with more curvature, as beats make two or three

STATE = np.dtype(
    [
        ("sum", "f8"),  # of this block's samples
        ("squares", "f8"),
        ("size", "i8"),  # how many these are
        ("mean", "f8"),  # of the block before
        ("mean_before", "f8"),  # and the one before that
        ("rms", "f8"),  # of the latest block, round its mean
        ("count", "i8"),  # of blocks of hum, less QRS for each other one
        ("only_hum", "i8"),  # 1 while there is nothing else
    ]
)


class State(Protocol):
    """A record of dtype STATE."""

    sum: float
    squares: float
    size: int
    mean: float
    mean_before: float
    rms: float
    count: int
    only_hum: int


@compiled
def begin(s: State, only_hum: bool) -> None:
    """A signal of which is known, at most, that it was ``only_hum``."""
    s.sum = 0.0
    s.squares = 0.0
    s.size = 0
    s.mean = np.nan
    s.mean_before = np.nan
    s.count = MAX_COUNT if only_hum else 0
    s.only_hum = only_hum


@compiled
def push(s: State, value: float) -> bool:
    """Take the next sample, in millivolt; whether that ends a block which changed ``only_hum``."""
    s.sum += value
    s.squares += value * value
    s.size += 1
    return _end_block(s) if s.size == BLOCK else False


@compiled
def _end_block(s: State) -> bool:
    """Say what the block is; whether that changed ``only_hum``."""
    mean = s.sum / BLOCK
    s.rms = np.sqrt(max(0.0, s.squares / BLOCK - mean * mean))
    curvature = abs(mean - 2 * s.mean + s.mean_before)
    s.mean_before = s.mean
    s.mean = mean
    s.sum = 0.0
    s.squares = 0.0
    s.size = 0
    if np.isnan(curvature):  # of the first two nothing is known
        return False
    hum = s.rms >= MIN_RMS_MV and curvature <= MAX_CURVATURE * s.rms + MIN_CURVATURE_MV
    s.count = min(s.count + 1, MAX_COUNT) if hum else max(s.count - QRS, 0)
    before: int = s.only_hum
    s.only_hum = s.count >= (1 if before else AFTER)
    return s.only_hum != before
