"""One stream's signal path: choose a lead, resample, gate, filter, detect, window, normalise.

Training and the daemon both get their beats from here and nowhere else. The beats are the same to
the bit for any cutting of the signal, and no beat depends on samples after its own window.
"""

from collections import deque
from collections.abc import Sequence

import numpy as np

from beatgan.detect import Detector
from beatgan.errors import StreamError
from beatgan.filters import BandPass
from beatgan.quality import Gate
from beatgan.reference import Intervals, Reference
from beatgan.resample import Resampler
from beatgan.spec import PreprocessSpec
from beatgan.types import MAX_FS, MIN_FS, Beat, Doubles, Floats, Quality, SignalChange
from beatgan.window import best_lag, distance, patient_scale, to_unit_range

Event = Beat | SignalChange

BLOCK = 512  # model-rate samples worked on at once; bounds memory, changes nothing else
SETTLE = 180  # samples (0.5 s) after lost signal until the filters can be trusted
FORGOTTEN_S = 4.0  # of lost signal: after this, more of it changes nothing but the counts
EMPTY: Floats = np.empty(0, np.float32)


class History:
    """The latest filtered samples, addressed by their index since the epoch began."""

    def __init__(self, keep: int, start: int) -> None:
        self._buffer = np.full(keep + BLOCK, np.nan)
        self.end = start  # index of the next sample

    def push(self, x: Doubles) -> None:
        """Append at most BLOCK samples."""
        self._buffer[: -x.size] = self._buffer[x.size :]
        self._buffer[-x.size :] = x
        self.end += x.size

    def restart(self, start: int) -> None:
        """Go on at index ``start`` with everything before it lost."""
        self._buffer.fill(np.nan)
        self.end = start

    def span(self, start: int, stop: int) -> Doubles:
        """Samples ``start`` to ``stop``; NaN for what lies before the epoch."""
        offset = self._buffer.size - self.end
        return self._buffer[start + offset : stop + offset]


def choose_lead(leads: Sequence[str], preferred: Sequence[str]) -> int:
    """The index of the first preferred lead there is (whatever its case), else 0."""
    names = [lead.upper() for lead in leads]
    return next((names.index(name.upper()) for name in preferred if name.upper() in names), 0)


class Frontend:
    """Beats and signal changes of one stream from its samples. ``first``: see Chunk."""

    def __init__(
        self, spec: PreprocessSpec, fs: float, leads: Sequence[str], first: int = 0
    ) -> None:
        if not MIN_FS <= fs <= MAX_FS:
            raise StreamError("rate", f"fs must be {MIN_FS:g} to {MAX_FS:g} Hz, got {fs:g}")
        if not leads:
            raise StreamError("leads", "a stream needs at least one lead, got none")
        self._spec, self._fs = spec, fs
        self._first = self._seen = first
        self._column = choose_lead(leads, spec.leads)
        self._width = len(leads)
        self.lead = leads[self._column]
        self._resampler = Resampler(fs, spec.rate, first)
        self._gate = Gate()
        self._filter = BandPass(spec.rate, spec.highpass_hz, spec.lowpass_hz)
        self._detector = Detector()
        self._history = History(SETTLE + spec.length + 2 * spec.align, self._resampler.made)
        self._reference = Reference(spec)
        self._intervals = Intervals(spec)
        self._pending: deque[tuple[int, bool]] = deque()  # apex, whether it follows
        self._beats = 0

    def push(self, samples: Floats) -> list[Event]:
        """Events that ``samples``, shape (n, leads) in millivolt, NaN where lost, make known."""
        if samples.ndim != 2 or samples.shape[1] != self._width:
            raise StreamError(
                "leads", f"expected samples of shape (n, {self._width}), got {samples.shape}"
            )
        lead = samples[:, self._column].astype(np.float64)
        lead[np.isinf(lead)] = np.nan
        step = max(1, int(BLOCK * self._fs / self._spec.rate) - 1)
        events: list[Event] = []
        for start in range(0, lead.size, step):
            events += self._push_block(lead[start : start + step])
        return events

    def skip(self, count: int) -> list[Event]:
        """Events after a hole of ``count`` samples: as if they were pushed as NaN, but bounded."""
        told = min(count, int(FORGOTTEN_S * self._fs))
        events = self.push(np.full((told, self._width), np.nan, np.float32))
        if count > told:
            self._seen += count - told
            self._resampler.restart(self._seen)
            self._history.restart(self._resampler.made)
        return events

    def close(self) -> list[Event]:
        """End of the stream: beats whose windows are not complete come out as unusable."""
        self._pending.extend(self._detector.push(np.array([np.nan]), self._history.end))
        events: list[Event] = [self._beat(*beat, self._seen) for beat in self._pending]
        self._pending.clear()
        return events

    def _push_block(self, lead: Doubles) -> list[Event]:
        start = self._resampler.made
        self._seen += lead.size
        resampled = self._resampler.push(lead)
        if resampled.size == 0:
            return []
        gated, changes = self._gate.push(resampled, start)
        filtered = self._filter.push(gated)
        self._history.push(filtered)
        self._pending.extend(self._detector.push(filtered, start))
        events: list[tuple[int, Event]] = [
            (known, SignalChange(condition, begins, self._source(at), self._arrival(known)))
            for condition, begins, at, known in changes
        ]
        while self._pending and self._needs(self._pending[0][0]) < self._history.end:
            apex, follows = self._pending.popleft()
            known = self._needs(apex)
            events.append((known, self._beat(apex, follows, self._arrival(known))))
        return [event for _, event in sorted(events, key=lambda pair: pair[0])]

    def _needs(self, apex: int) -> int:
        """Index of the last sample that the beat at ``apex`` needs."""
        return apex + self._spec.align + self._spec.after - 1

    def _source(self, index: int) -> int:
        return max(self._first, self._resampler.source(index))

    def _arrival(self, index: int) -> int:
        return self._resampler.arrival(index)

    def _beat(self, apex: int, follows: bool, known_at: int) -> Beat:
        """The beat at ``apex``, and the reference moved on by it."""
        spec = self._spec
        start, stop = apex - spec.before - spec.align, self._needs(apex) + 1
        signal = self._history.span(start - SETTLE, min(stop, self._history.end))
        window = signal[SETTLE:]
        complete = stop <= self._history.end and not np.isnan(window).any()
        interval, prematurity = self._intervals.push(apex, follows)
        if not complete:
            quality, arrays = Quality.UNUSABLE, (EMPTY, EMPTY, 0.0)
        else:
            quality = Quality.POOR if np.isnan(signal).any() else Quality.GOOD
            arrays = self._compare(window)
        self._beats += 1
        return Beat(
            n=self._beats - 1,
            sample=self._source(apex - self._filter.delay),
            known_at=known_at,
            lead=self.lead,
            rr_ms=None if interval is None else 1000 * interval / spec.rate,
            quality=quality,
            window=arrays[0],
            reference=arrays[1],
            distance=arrays[2],
            prematurity=prematurity,
        )

    def _compare(self, signal: Doubles) -> tuple[Floats, Floats, float]:
        """Window, reference and their distance; ``signal`` reaches ``align`` beyond the window."""
        spec, shape = self._spec, self._reference.shape
        lag = 0 if shape is None else best_lag(signal, shape, spec.before, spec.align)
        window = signal[spec.align + lag :][: spec.length].copy()
        shape = window if shape is None else shape
        apart = distance(window, shape, spec.before)
        self._reference.push(window)
        if spec.scale == "beat":
            return to_unit_range(window), to_unit_range(shape), apart
        scale = patient_scale(shape, spec)
        return (window / scale).astype(np.float32), (shape / scale).astype(np.float32), apart
