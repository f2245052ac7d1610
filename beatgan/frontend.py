"""One stream's signal path: choose leads, detect beats, put each in its patient's context.

Training and the daemon both get their beats from here and nowhere else. The beats are the same to
the bit for any cutting of the signal, and no beat depends on samples after its own window.
"""

from collections import deque
from collections.abc import Sequence

import numpy as np

from beatgan.detect import Detector
from beatgan.errors import StreamError
from beatgan.lead import BLOCK, Compared, Lead
from beatgan.leads import is_other, lead_name
from beatgan.reference import Intervals
from beatgan.spec import PreprocessSpec
from beatgan.types import (
    MAX_FS,
    MIN_FS,
    Beat,
    Condition,
    Doubles,
    Floats,
    Quality,
    SignalChange,
)
from beatgan.window import patient_scale, to_unit_range

Event = Beat | SignalChange

FORGOTTEN_S = 4.0  # of lost signal: after this, more of it changes nothing but the counts
EMPTY: Floats = np.empty(0, np.float32)
NOWHERE: Doubles = np.empty(0)
UNCOMPARED = Compared(NOWHERE, NOWHERE, None, 0, Quality.UNUSABLE)


def choose_leads(leads: Sequence[str], preferred: Sequence[str], count: int) -> list[int]:
    """Indices of the ``count`` best leads, best first: the preferred, whatever their case and
    whatever is written round their names (see ``beatgan.leads``), then the others in their order,
    without those that call themselves something else than ECG.
    """
    names = [lead_name(lead).upper() for lead in leads]
    wanted = [names.index(name.upper()) for name in preferred if name.upper() in names]
    ecg = [index for index, lead in enumerate(leads) if not is_other(lead)] or [0]
    return list(dict.fromkeys([*wanted, *ecg]))[:count]


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
        self._columns = choose_leads(leads, spec.leads, 1 + (spec.second_lead > 0))
        self._width = len(leads)
        self.lead = leads[self._columns[0]]
        self._leads = [Lead(spec, fs, first) for _ in self._columns]
        self._main = self._leads[0]
        self._detector = Detector()
        self._intervals = Intervals(spec)
        self._pending: deque[tuple[int, bool]] = deque()  # apex, whether it follows
        self._beats = 0
        self._noisy = False

    def push(self, samples: Floats) -> list[Event]:
        """Events that ``samples``, shape (n, leads) in millivolt, NaN where lost, make known."""
        if samples.ndim != 2 or samples.shape[1] != self._width:
            raise StreamError(
                "leads", f"expected samples of shape (n, {self._width}), got {samples.shape}"
            )
        columns = samples[:, self._columns].T.astype(np.float64)  # one contiguous row a lead
        columns[np.isinf(columns)] = np.nan
        step = max(1, int(BLOCK * self._fs / self._spec.rate) - 1)
        events: list[Event] = []
        for start in range(0, columns.shape[1], step):
            events += self._push_block(columns[:, start : start + step])
        return events

    def skip(self, count: int) -> list[Event]:
        """Events after a hole of ``count`` samples: as if they were pushed as NaN, but bounded."""
        told = min(count, int(FORGOTTEN_S * self._fs))
        events = self.push(np.full((told, self._width), np.nan, np.float32))
        if count > told:
            self._seen += count - told
            for lead in self._leads:
                lead.restart(self._seen)
        return events

    def close(self) -> list[Event]:
        """End of the stream: beats whose windows are not complete come out as unusable."""
        self._pending.extend(self._detector.push(np.array([np.nan]), self._main.end))
        events: list[Event] = [self._beat(*beat, self._seen) for beat in self._pending]
        self._pending.clear()
        return events

    def _push_block(self, columns: Doubles) -> list[Event]:
        start = self._main.end
        self._seen += columns.shape[1]
        filtered, changes = self._main.push(columns[0])
        for lead, column in zip(self._leads[1:], columns[1:], strict=True):
            lead.push(column)
        self._pending.extend(self._detector.push(filtered, start))
        events: list[tuple[int, Event]] = [
            (known, SignalChange(condition, begins, self._source(at), self._arrival(known)))
            for condition, begins, at, known in changes
        ]
        while self._pending and self._needs(self._pending[0][0]) < self._main.end:
            apex, follows = self._pending.popleft()
            known = self._needs(apex)
            beat = self._beat(apex, follows, self._arrival(known))
            events += [(known, change) for change in self._noise_change(beat)]
            events.append((known, beat))
        return [event for _, event in sorted(events, key=lambda pair: pair[0])]

    def _needs(self, apex: int) -> int:
        """Index of the last sample that the beat at ``apex`` needs."""
        return apex + self._spec.align + self._spec.after - 1

    def _source(self, index: int) -> int:
        return max(self._first, self._main.resampler.source(index))

    def _arrival(self, index: int) -> int:
        return self._main.resampler.arrival(index)

    def _beat(self, apex: int, follows: bool, known_at: int) -> Beat:
        """The beat at ``apex``, and what is known of the patient moved on by it."""
        interval, prematurity = self._intervals.push(apex, follows)
        compared = self._compare(apex) if self._main.whole(apex) else UNCOMPARED
        window, reference = self._normalised(compared)
        self._beats += 1
        return Beat(
            n=self._beats - 1,
            sample=self._source(apex - self._main.delay),
            known_at=known_at,
            lead=self.lead,
            rr_ms=None if interval is None else 1000 * interval / self._spec.rate,
            quality=compared.quality,
            window=window,
            reference=reference,
            distance=compared.distance,
            prematurity=prematurity,
        )

    def _noise_change(self, beat: Beat) -> list[SignalChange]:
        """Noise on the main lead begins or ends with the beat that tells so."""
        if self._main.noisy is self._noisy:
            return []
        self._noisy = self._main.noisy
        return [SignalChange(Condition.NOISE, self._noisy, beat.sample, beat.known_at)]

    def _compare(self, apex: int) -> Compared:
        """The main lead's beat; its distance is that of both leads where there are two."""
        main = self._main.compare(apex)
        for lead in self._leads[1:]:
            if lead.whole(apex):
                other = lead.compare(apex, main.lag)
                if other.quality is Quality.UNUSABLE:
                    return main
                if main.distance is not None and other.distance is not None:
                    apart = other.distance - main.distance
                    both = main.distance + self._spec.second_lead * apart
                    return main._replace(distance=both)
        return main

    def _normalised(self, compared: Compared) -> tuple[Floats, Floats]:
        """Window and reference in the spec's units; empty where the beat is unusable."""
        if compared.quality is Quality.UNUSABLE:
            return EMPTY, EMPTY
        window, shape = compared.window, compared.reference
        if self._spec.scale == "beat":
            return to_unit_range(window), to_unit_range(shape)
        scale = patient_scale(shape, self._spec)
        return (window / scale).astype(np.float32), (shape / scale).astype(np.float32)
