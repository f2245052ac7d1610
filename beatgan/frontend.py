"""One stream's samples in; beats with their context, signal changes and rhythm status out.

Training and the daemon both get their beats from here and nowhere else. The beats are the same to
the bit for any cutting of the signal, and no beat depends on samples after its own window. The work
is done by ``stream.py``; this file chooses leads and makes values of what comes back.
"""

from collections.abc import Hashable, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from beatgan.beats import emit, lead_pipeline, stream
from beatgan.beats.beat_quality import QUALITIES, UNUSABLE
from beatgan.beats.lead_switching import AGREE, UNKNOWN
from beatgan.coefficients import AlarmCoefficients
from beatgan.errors import ArtifactError, StreamError
from beatgan.jit import state_digest
from beatgan.lead_names import is_other, lead_name
from beatgan.signal import resample, signal_quality
from beatgan.signal.latest_samples import BLOCK
from beatgan.spec import PreprocessSpec
from beatgan.types import (
    EMPTY,
    MAX_FS,
    MAX_LEADS,
    MAX_SAMPLE,
    MIN_FS,
    RHYTHM_SIZE,
    Beat,
    Condition,
    Floats,
    RhythmStatus,
    SignalChange,
)

Event = Beat | SignalChange | RhythmStatus

FORGOTTEN_S = 4.0  # of lost signal: after this, more of it changes nothing but the counts
CONDITIONS = {1 << place: condition for place, condition in enumerate(signal_quality.CONDITIONS)}
NO_PAIR = EMPTY, EMPTY  # window and template


def choose_leads(leads: Sequence[str], preferred: Sequence[str], count: int) -> list[int]:
    """Indices of the ``count`` best leads, best first.

    The preferred ones, whatever their case and whatever is written round their names (see
    ``beatgan.lead_names``), then the others in their order, without those that call themselves
    something else than ECG.
    """
    names = [lead_name(lead).upper() for lead in leads]
    wanted = [names.index(name.upper()) for name in preferred if name.upper() in names]
    ecg = [index for index, lead in enumerate(leads) if not is_other(lead)] or [0]
    return list(dict.fromkeys([*wanted, *ecg]))[:count]


@lru_cache(maxsize=64)
def _named(*kind: Hashable) -> str:
    """A short name for what a saved state's bytes mean, and for the code that reads them."""
    return sha256(repr((*kind, state_digest())).encode()).hexdigest()[:16]


class FrontendState(Struct, frozen=True):
    """All that a front end remembers, as bytes; ``layout`` names whose memory it is."""

    layout: str
    stream: bytes
    leads: bytes
    unused_leads: tuple[int, ...]


class Frontend:
    """One stream's beats, signal changes and rhythm status. ``first``: see Chunk."""

    def __init__(
        self,
        spec: PreprocessSpec,
        coefficients: AlarmCoefficients,
        fs: float,
        leads: Sequence[str],
        first: int = 0,
    ) -> None:
        if not MIN_FS <= fs <= MAX_FS:
            raise StreamError("rate", f"fs must be {MIN_FS:g} to {MAX_FS:g} Hz, got {fs:g}")
        if not 1 <= len(leads) <= MAX_LEADS:
            raise StreamError("leads", f"a stream has 1-{MAX_LEADS} leads, got {len(leads)}")
        if not 0 <= first < MAX_SAMPLE:
            raise StreamError("range", f"first must be within 0..{MAX_SAMPLE - 1}, got {first}")
        columns = choose_leads(leads, spec.leads, len(leads))
        used = min(len(columns), 1 + (spec.second_lead > 0))
        self._row_size = emit.row_size(used, spec.length)
        self._coefficients = coefficients
        self._spec, self._rate, self._length, self._fs = spec, spec.rate, spec.length, fs
        self._width = len(leads)
        self._names = tuple(leads)
        self._unused_leads = np.array(columns[used:], np.int64)
        self._ratio = resample.design(fs, spec.rate)
        self._plan = lead_pipeline.plan(spec, coefficients, fs)
        self._step = max(1, int(BLOCK * fs / spec.rate) - 1)
        self._state = np.zeros(1, emit.layout(spec))
        self._leads = np.zeros(len(columns[:used]), lead_pipeline.layout(spec))
        columns_used = np.array(columns[:used])
        stream.begin(self._state, self._leads, columns_used, first, self._ready(first))

    @property
    def lead(self) -> str:
        """The active lead: beats come from it."""
        return self._names[int(self._leads["column"][int(self._state["active_lead"][0])])]

    @property
    def suspended(self) -> bool:
        """Whether no lead is usable, so that no beat can be scored."""
        return bool(self._state["suspended"][0])

    @property
    def reports_status(self) -> bool:
        """Whether the rhythm status is reported, as it is while no beat comes or VF is likely."""
        return bool(self._state["reports_status"][0])

    def conditions(self) -> set[tuple[Condition, str]]:
        """The conditions of each lead that were reported and are not over."""
        reported = dict(
            zip(self._leads["column"].tolist(), self._leads["reported"].tolist(), strict=True)
        )
        reported |= {
            column: int(self._state["standby_conditions"][0, column])
            for column in self._unused_leads.tolist()
        }
        return {
            (condition, self._names[column])
            for column, bits in reported.items()
            for bit, condition in CONDITIONS.items()
            if bits & bit
        }

    def push(self, samples: Floats) -> list[Event]:
        """Events that ``samples``, shape (n, leads) in millivolt, NaN where lost, make known."""
        if samples.ndim != 2 or samples.shape[1] != self._width:
            raise StreamError(
                "leads", f"expected samples of shape (n, {self._width}), got {samples.shape}"
            )
        if not samples.flags.carray:  # of other memory layouts others' code would be compiled
            samples = np.array(samples, order="C")
        if len(samples) <= self._step:
            return self._push(samples)
        starts = range(0, len(samples), self._step)
        return [e for at in starts for e in self._push(samples[at : at + self._step])]

    def skip(self, count: int) -> list[Event]:
        """Events after a hole of ``count`` samples: as if they were pushed as NaN, but bounded."""
        pushed = min(count, int(FORGOTTEN_S * self._fs))
        events = self.push(np.full((pushed, self._width), np.nan, np.float32))
        if count > pushed:
            seen = int(self._state["n_in"][0]) + count - pushed
            stream.resume(self._state, self._leads, seen, self._ready(seen))
        return events

    def close(self) -> list[Event]:
        """End of the stream: beats whose windows are not complete come out as unusable."""
        events, rows = self._room()
        count = stream.close(self._state, self._leads, self._plan, events, rows)
        return self._values(events[:count], rows)

    def save(self) -> FrontendState:
        """All that it remembers, for another front end of the same stream to go on with."""
        return FrontendState(
            self._layout(),
            self._state.tobytes(),
            self._leads.tobytes(),
            tuple(self._unused_leads.tolist()),
        )

    def restore(self, state: FrontendState) -> None:
        """Go on, to the bit, where the front end was that saved ``state``.

        Raises ArtifactError where that one was of another model, rate or set of leads, or of
        another version of this code; nothing is changed then.
        """
        if state.layout != self._layout():
            raise ArtifactError(
                "the front end's state is of another version, model, rate or set of leads"
            )
        self._state = np.frombuffer(state.stream, self._state.dtype).copy()
        self._leads = np.frombuffer(state.leads, self._leads.dtype).copy()
        self._unused_leads = np.array(state.unused_leads, np.int64)

    def _layout(self) -> str:
        layouts = (self._state.dtype, self._leads.dtype)
        return _named(self._spec, self._coefficients, self._fs, self._names, *layouts)

    def _push(self, samples: Floats) -> list[Event]:
        events, rows = self._room()
        count = stream.push(
            self._state,
            self._leads,
            self._plan,
            self._ratio.taps,
            samples,
            self._unused_leads,
            events,
            rows,
        )
        return self._values(events[:count], rows) if count else []

    def _room(self) -> tuple[NDArray[np.void], Floats]:
        """Room for the events of one call, and for the arrays of their beats."""
        rows = np.empty((emit.MAX_BEATS, self._row_size), np.float32)
        return np.empty(emit.MAX_EVENTS, emit.EVENT), rows

    def _ready(self, seen: int) -> int:
        return resample.ready(seen, self._ratio.num, self._ratio.den, self._ratio.delay)

    def _values(self, events: NDArray[np.void], rows: Floats) -> list[Event]:
        """The events as values of the core."""
        values: list[Event] = []
        following = iter(rows)
        for kind, column, sample, known_at, suspended, *rest in events.tolist():
            beat, change, status = rest[:8], rest[8:10], rest[10:]  # see emit.EVENT
            lead = self._names[column]
            if kind == emit.CHANGE:
                condition, begins = CONDITIONS[change[0]], bool(change[1])
                values.append(
                    SignalChange(condition, begins, lead, sample, known_at, bool(suspended))
                )
            elif kind == emit.STATUS:
                since_beat, signal_ok, vf_log_odds = status
                values.append(
                    RhythmStatus(sample, known_at, since_beat, bool(signal_ok), vf_log_odds)
                )
            else:
                values.append(self._beat(lead, sample, known_at, beat, next(following)))
        return values

    def _beat(self, lead: str, sample: int, known_at: int, values: list[Any], row: Floats) -> Beat:
        n, interval, quality, distance, own_distance, second_distance, prematurity, agree = values
        usable, two = quality != UNUSABLE, second_distance == second_distance
        row = row.copy()  # one copy is cheaper than one of each part
        window, template = self._pair(row, 0) if usable else NO_PAIR
        second_window, second_template = self._pair(row, 1) if usable and two else NO_PAIR
        return Beat(
            n=n,
            sample=sample,
            known_at=known_at,
            lead=lead,
            rr_ms=1000 * interval / self._rate if interval == interval else None,
            quality=QUALITIES[quality],
            window=window,
            template=template,
            distance=distance if distance == distance else None,
            prematurity=prematurity,
            rhythm=row[:RHYTHM_SIZE],
            second_window=second_window,
            second_template=second_template,
            lead_distances=(
                own_distance if own_distance == own_distance else None,
                second_distance if two else None,
            ),
            leads_agree=None if agree == UNKNOWN else agree == AGREE,
        )

    def _pair(self, row: Floats, which: int) -> tuple[Floats, Floats]:
        """Window and template, in a beat's row, of its own lead (0) or of the second one (1)."""
        start = emit.row_size(which, self._length)
        middle = start + self._length
        return row[start:middle], row[middle : middle + self._length]
