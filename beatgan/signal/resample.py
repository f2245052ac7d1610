"""A streaming polyphase resampler to the model's rate. Knows samples and counts, nothing of ECG.

Output sample k lies at the source time ``k * fs / rate`` whatever the chunks, exactly, for as long
as a stream can be: no product of a count and a rate is formed, for it need not fit into 64 bits.
The kernel is a symmetric Kaiser-windowed sinc, so an output waits for ``delay_s`` of source that
follows it and is not shifted by it. A lost sample (NaN) makes every output it touches NaN.
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

    For rates of 50 to 2000 Hz and a model of 360 Hz ``num`` is at most 2,000,000 and ``den`` at
    most 360,000. Counts of source samples stay below 2**54 (`MAX_SAMPLE`), so that those of
    outputs stay below 2**57. ``taps``, shape (phases + 1, width): row p serves a fractional
    position p / phases.
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
def _scaled(count: int, num: int, den: int) -> int:
    """``count * num // den``, without that product: the result fits into 64 bits, it may not."""
    return count // den * num + count % den * num // den


@compiled
def ready(n_in: int, num: int, den: int, delay: int) -> int:
    """How many outputs exist once ``n_in`` source samples are known."""
    return max(0, -_scaled(delay - n_in, den, num))


@compiled
def source(n_out: int, num: int, den: int) -> int:
    """The source sample nearest to output ``n_out`` in time."""
    return n_out // den * num + (2 * (n_out % den) * num + den) // (2 * den)


@compiled
def arrival(n_out: int, num: int, den: int, delay: int) -> int:
    """How many source samples must have arrived before output ``n_out`` exists."""
    return _scaled(n_out, num, den) + delay + 1


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

    ``n_in``, ``n_out``: source samples and outputs so far, the latter as `ready` says; ``history``:
    the latest samples, as many as ``taps`` are wide.
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
    position = n_out % den * num
    # Where the samples of the first output begin, counted from those of `known`. An output lies
    # `position` / `den` after a source sample.
    first = n_out // den * num - n_in + position // den + 1 + width // 2
    position %= den
    while first <= x.size:
        row = (position * phases + den // 2) // den
        total = 0.0
        for j in range(width):
            total += taps[row, j] * known[first + j]
        y[count] = total
        count += 1
        position += num
        first += position // den
        position %= den
    for j in range(width):
        history[j] = known[x.size + j]
    return count
