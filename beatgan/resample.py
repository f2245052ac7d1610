"""A streaming polyphase resampler to the model's rate. Knows samples and counts, nothing of ECG.

Output sample k lies at the source time ``k * fs / rate`` whatever the chunks: counts stay exact for
months. The kernel is a symmetric Kaiser-windowed sinc, so an output waits for ``delay_s`` of source
that follows it and is not shifted by it. A lost sample (NaN) makes every output it touches NaN.
"""

from fractions import Fraction
from functools import lru_cache

import numpy as np

from beatgan.compiled import compiled
from beatgan.types import Doubles

HALF_WIDTH_S = 0.032  # of the kernel: what an output waits for
MAX_PHASES = 512  # a position is rounded to 1/512 source sample where the ratio has more phases
KAISER_BETA = 5.0  # side lobes near -55 dB; the band of interest ends far below the cut-off


@lru_cache(maxsize=64)
def _kernel(fs: Fraction, rate: int) -> Doubles:
    """Kernel taps, shape (phases + 1, 2 * half): row p serves a fractional position p / phases."""
    phases = min((fs / rate).denominator, MAX_PHASES)
    half = max(4, int(np.ceil(HALF_WIDTH_S * fs)))
    cutoff = 0.5 * min(1.0, rate / float(fs))  # cycles per source sample
    offset = np.arange(1 - half, half + 1)[None, :] - np.arange(phases + 1)[:, None] / phases
    window = np.i0(KAISER_BETA * np.sqrt(np.clip(1 - (offset / half) ** 2, 0, 1)))
    taps = np.sinc(2 * cutoff * offset) * window
    return np.ascontiguousarray(taps / taps.sum(axis=1, keepdims=True))


@compiled
def _run(
    x: Doubles,
    y: Doubles,
    history: Doubles,
    taps: Doubles,
    seen: int,
    made: int,
    num: int,
    den: int,
) -> int:
    """Feed ``x``, write outputs to ``y``, return how many. ``seen``, ``made``: counts so far."""
    width = history.size
    half = width // 2
    phases = taps.shape[0] - 1
    count = 0
    for i in range(x.size):
        for j in range(width - 1):
            history[j] = history[j + 1]
        history[width - 1] = x[i]
        # history now ends at source sample seen + i: outputs between its two middle taps are ready
        base = seen + i - half
        while (made + count) * num // den == base:
            position = (made + count) * num - base * den
            row = (position * phases + den // 2) // den
            total = 0.0
            for j in range(width):
                total += taps[row, j] * history[j]
            y[count] = total
            count += 1
    return count


class Resampler:
    """From ``fs`` Hz to ``rate`` Hz; the first sample pushed is number ``first`` of the source."""

    def __init__(self, fs: float, rate: int, first: int = 0) -> None:
        exact = Fraction(fs).limit_denominator(1000)
        ratio = exact / rate
        self._num, self._den = ratio.numerator, ratio.denominator
        self._taps = _kernel(exact, rate)
        self._history = np.full(self._taps.shape[1], np.nan)
        self._identity = ratio == 1
        self.restart(first)

    @property
    def delay(self) -> int:
        """Source samples that an output waits for beyond its own time."""
        return 0 if self._identity else self._taps.shape[1] // 2

    def restart(self, first: int) -> None:
        """Go on at source sample ``first`` as though everything before it were lost."""
        self._history.fill(np.nan)
        self._seen = first
        self.made = self._ready(first)

    def _ready(self, seen: int) -> int:
        """How many outputs exist once ``seen`` source samples are known."""
        return max(0, -(-(seen - self.delay) * self._den // self._num))

    def push(self, x: Doubles) -> Doubles:
        """The outputs that ``x``, shape (n,), completes."""
        if self._identity:
            y = x
        else:
            y = np.empty(x.size * self._den // self._num + 2)
            count = _run(
                x, y, self._history, self._taps, self._seen, self.made, self._num, self._den
            )
            y = y[:count]
        self._seen += x.size
        self.made += y.size
        return y

    def source(self, made: int) -> int:
        """The source sample nearest to output ``made`` in time."""
        return (2 * made * self._num + self._den) // (2 * self._den)

    def arrival(self, made: int) -> int:
        """How many source samples must have arrived before output ``made`` exists."""
        return made * self._num // self._den + self.delay + 1
