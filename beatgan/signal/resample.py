"""A streaming polyphase resampler to the model's rate. Knows samples and counts, nothing of ECG.

Output sample k lies at the source time ``k * fs / rate`` whatever the chunks: counts stay exact for
months. The kernel is a symmetric Kaiser-windowed sinc, so an output waits for ``delay_s`` of source
that follows it and is not shifted by it. A lost sample (NaN) makes every output it touches NaN.
"""

from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from beatgan.jit import compiled
from beatgan.types import Doubles

HALF_WIDTH_S = 0.032  # of the kernel: what an output waits for
MAX_PHASES = 512  # a position is rounded to 1/512 source sample where the ratio has more phases
MAX_TAPS = 128  # of the kernel, at the highest rate a stream may have
KAISER_BETA = 5.0  # side lobes near -55 dB; the band of interest ends far below the cut-off


class Ratio(NamedTuple):
    """How to come from a source's rate to ``rate``: output k lies at source sample k * num / den.

    ``taps``, shape (phases + 1, width): row p serves a fractional position p / phases.
    """

    num: int
    den: int
    taps: Doubles

    @property
    def delay(self) -> int:
        """Source samples that an output waits for beyond its own time."""
        return 0 if self.num == self.den else self.taps.shape[1] // 2


@lru_cache(maxsize=64)
def design(fs: float, rate: int) -> Ratio:
    """The resampler from ``fs`` to ``rate`` Hz."""
    exact = Fraction(fs).limit_denominator(1000)
    ratio = exact / rate
    phases = min(ratio.denominator, MAX_PHASES)
    half = max(4, int(np.ceil(HALF_WIDTH_S * exact)))
    cutoff = 0.5 * min(1.0, rate / float(exact))  # cycles per source sample
    offset = np.arange(1 - half, half + 1)[None, :] - np.arange(phases + 1)[:, None] / phases
    window = np.i0(KAISER_BETA * np.sqrt(np.clip(1 - (offset / half) ** 2, 0, 1)))
    taps = np.sinc(2 * cutoff * offset) * window
    taps /= taps.sum(axis=1, keepdims=True)
    return Ratio(ratio.numerator, ratio.denominator, np.ascontiguousarray(taps))


@compiled
def ready(n_in: int, num: int, den: int, delay: int) -> int:
    """How many outputs exist once ``n_in`` source samples are known."""
    return max(0, -(-(n_in - delay) * den // num))


@compiled
def source(n_out: int, num: int, den: int) -> int:
    """The source sample nearest to output ``n_out`` in time."""
    return (2 * n_out * num + den) // (2 * den)


@compiled
def arrival(n_out: int, num: int, den: int, delay: int) -> int:
    """How many source samples must have arrived before output ``n_out`` exists."""
    return n_out * num // den + delay + 1


@compiled
def run(
    x: Doubles,
    y: Doubles,
    history: Doubles,
    taps: Doubles,
    n_in: int,
    n_out: int,
    num: int,
    den: int,
) -> int:
    """Write the outputs that ``x`` completes to ``y``, return how many.

    ``n_in``, ``n_out``: source samples and outputs so far; ``history``: the latest samples, as many
    as ``taps`` are wide.
    """
    if num == den:
        for i in range(x.size):
            y[i] = x[i]
        return x.size
    width = taps.shape[1]
    phases = taps.shape[0] - 1
    known = np.empty(width + x.size)
    for j in range(width):
        known[j] = history[j]
    for i in range(x.size):
        known[width + i] = x[i]
    count = 0
    while True:
        base = (n_out + count) * num // den  # the source sample before the output
        first = base + 1 + width // 2 - n_in  # of the output's samples, counted from `known`'s
        if first > x.size:
            break
        position = (n_out + count) * num - base * den
        row = (position * phases + den // 2) // den
        total = 0.0
        for j in range(width):
            total += taps[row, j] * known[first + j]
        y[count] = total
        count += 1
    for j in range(width):
        history[j] = known[x.size + j]
    return count
