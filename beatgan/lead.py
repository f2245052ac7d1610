"""One lead's signal path: resample, gate, filter, remember, compare a beat with the usual one.

Knows no other lead and detects no beat: it is told where one is.
"""

from typing import NamedTuple

import numpy as np

from beatgan.filters import BandPass
from beatgan.noise import NoiseMeter
from beatgan.quality import Gate
from beatgan.reference import Reference, Usual
from beatgan.resample import Resampler
from beatgan.spec import PreprocessSpec
from beatgan.types import Condition, Doubles, Quality
from beatgan.window import best_lag, distance

BLOCK = 512  # model-rate samples worked on at once; bounds memory, changes nothing else
SETTLE = 180  # samples (0.5 s) after lost signal until the filters can be trusted


class Compared(NamedTuple):
    """A beat's window and the reference it is compared with, in millivolt, and how they differ.

    ``distance`` is None for a lead's first beat, which has nothing to be compared with and is its
    own ``reference``. ``lag`` is how far the window was moved to match.
    """

    window: Doubles
    reference: Doubles
    distance: float | None
    lag: int
    quality: Quality


class History:
    """The latest filtered samples, addressed by their index since the epoch began."""

    def __init__(self, keep: int, start: int) -> None:
        self._buffer = np.full(keep + BLOCK, np.nan)
        self.end = start  # index of the next sample

    def push(self, x: Doubles) -> None:
        """Append at most BLOCK samples."""
        kept = self._buffer.size - x.size
        self._buffer[:kept] = self._buffer[x.size :]
        self._buffer[kept:] = x
        self.end += x.size

    def restart(self, start: int) -> None:
        """Go on at index ``start`` with everything before it lost."""
        self._buffer.fill(np.nan)
        self.end = start

    def span(self, start: int, stop: int) -> Doubles:
        """Samples ``start`` to ``stop``; NaN for what lies before the epoch."""
        offset = self._buffer.size - self.end
        return self._buffer[start + offset : stop + offset]


class Lead:
    """The state of one lead of one stream. ``first``: see Chunk."""

    def __init__(self, spec: PreprocessSpec, fs: float, first: int) -> None:
        self._spec = spec
        self.resampler = Resampler(fs, spec.rate, first)
        self._gate = Gate()
        self._filter = BandPass(spec.rate, spec.highpass_hz, spec.lowpass_hz)
        self.delay = self._filter.delay  # samples by which a QRS comes out late
        self._history = History(SETTLE + spec.length + 2 * spec.align, self.resampler.made)
        self._reference = Reference(spec)
        self._usual = Usual(spec)
        self._noise = NoiseMeter(spec)

    @property
    def end(self) -> int:
        """Index of the next filtered sample."""
        return self._history.end

    @property
    def noisy(self) -> bool:
        """Whether there is so much noise that beats cannot be judged."""
        return self._noise.quality is Quality.UNUSABLE

    def push(self, samples: Doubles) -> tuple[Doubles, list[tuple[Condition, bool, int, int]]]:
        """The filtered samples that ``samples`` make known, and what changed in their quality."""
        start = self.resampler.made
        resampled = self.resampler.push(samples)
        gated, changes = self._gate.push(resampled, start)
        filtered = self._filter.push(gated)
        self._history.push(filtered)
        return filtered, changes

    def restart(self, seen: int) -> None:
        """Go on at source sample ``seen``, what is missing until there being lost."""
        self.resampler.restart(seen)
        self._history.restart(self.resampler.made)

    def whole(self, apex: int) -> bool:
        """Whether no sample of the window of the beat at ``apex`` is lost."""
        start, stop = self._reach(apex)
        signal = self._history.span(start, min(stop, self.end))
        return stop <= self.end and not np.isnan(signal).any()

    def compare(self, apex: int, lag: int | None = None) -> Compared:
        """The beat at ``apex``, whose window must be whole; the reference is moved on by it.

        The window is moved by ``lag``, by default so as to match the reference best.
        """
        spec, shape = self._spec, self._reference.shape
        start, stop = self._reach(apex)
        signal = self._history.span(start - SETTLE, stop)
        if lag is None:
            around = signal[SETTLE:]
            lag = 0 if shape is None else best_lag(around, shape, spec.before, spec.align)
        window = signal[SETTLE + spec.align + lag :][: spec.length].copy()
        self._reference.push(window)
        quality = self._grade(signal, window, window if shape is None else shape)
        if shape is None:
            return Compared(window, window, None, lag, quality)
        apart = self._usual.push(distance(window, shape, spec.before))
        return Compared(window, shape, apart, lag, quality)

    def _reach(self, apex: int) -> tuple[int, int]:
        """First and last + 1 sample that the beat at ``apex`` may take."""
        spec = self._spec
        return apex - spec.before - spec.align, apex + spec.after + spec.align

    def _grade(self, signal: Doubles, window: Doubles, shape: Doubles) -> Quality:
        """The beat's quality: poor at best, and nothing learnt of noise, while filters settle."""
        if not np.isnan(signal).any():
            return self._noise.push(signal, window, shape)
        return max(self._noise.quality, Quality.POOR, key=list(Quality).index)
