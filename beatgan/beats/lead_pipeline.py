"""One lead's signal path: resample, gate, filter, detect, remember, compare a beat with the usual.

Knows no other lead, and not whose beats count. Its whole state is one NumPy record.
"""

from dataclasses import astuple
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from beatgan.beats import beat_quality, template
from beatgan.beats.window import best_lag, copy, distance
from beatgan.coefficients import AlarmCoefficients
from beatgan.jit import compiled
from beatgan.signal import filters, qrs_detector, resample, signal_quality, vf_features
from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles, Ints, Record

BLOCK = 128  # model-rate samples worked on at once, at most; bounds memory, changes nothing else
SETTLE = 180  # samples (0.5 s) after lost signal until the filters can be trusted
MOST_FOUND = 16  # apexes that one block can confirm and that can wait for their windows, at most

PLAN = np.dtype(
    [
        ("before", "i8"),
        ("length", "i8"),
        ("align", "i8"),
        ("scored_start", "i8"),
        ("scored_stop", "i8"),
        ("template_beats", "i8"),
        ("template_bound", "f8"),
        ("second_lead", "f8"),
        ("unit_range", "i8"),  # 1 where the spec's scale is "beat"
        ("num", "i8"),  # of the resampler
        ("den", "i8"),
        ("delay", "i8"),
        ("step", "i8"),  # source samples that make at most BLOCK outputs
        ("late", "i8"),  # samples by which the filter lets a QRS come out late
        ("sos", "f8", (2, 6)),
        ("steady", "f8", (2, 2)),
        ("band_sos", "f8", (2, 6)),
        ("band_steady", "f8", (2, 2)),
        ("noise", beat_quality.COEFFICIENTS),
        ("vf", "f8", (5,)),  # in the order of `VfCoefficients`
    ]
)  # what all streams of one model and rate have in common, for compiled code


@lru_cache(maxsize=64)
def plan(spec: PreprocessSpec, coefficients: AlarmCoefficients, fs: float) -> NDArray[np.void]:
    """The constants of streams at ``fs`` Hz, one record of type PLAN."""
    ratio = resample.design(fs, spec.rate)
    sos, steady, late = filters.design(spec.rate, spec.highpass_hz, spec.lowpass_hz)
    band_sos, band_steady, _ = filters.design(qrs_detector.RATE, *qrs_detector.BAND_HZ)
    made = np.zeros(1, PLAN)
    for name in ("before", "length", "align", "template_beats", "template_bound", "second_lead"):
        made[name] = getattr(spec, name)
    made["scored_start"], made["scored_stop"] = spec.scored.start, spec.scored.stop
    made["unit_range"] = spec.scale == "beat"
    made["num"], made["den"], made["delay"] = ratio.num, ratio.den, ratio.delay
    made["step"] = max(1, int(BLOCK * fs / spec.rate) - 1)
    made["late"], made["sos"], made["steady"] = late, sos, steady
    made["band_sos"], made["band_steady"] = band_sos, band_steady
    made["noise"] = astuple(coefficients.noise)
    made["vf"] = astuple(coefficients.vf)
    return made


@lru_cache(maxsize=16)
def layout(spec: PreprocessSpec) -> np.dtype[np.void]:
    """The type of a lead's state."""
    return np.dtype(
        [
            ("column", "i8"),  # where its samples stand in the stream's
            ("resampler", "f8", (resample.MAX_TAPS,)),
            ("gate", signal_quality.STATE),
            ("filter", "f8", (2, 2)),
            ("band", "f8", (2, 2)),
            ("detector", qrs_detector.STATE),
            ("history", "f8", (SETTLE + spec.length + 2 * spec.align + BLOCK,)),
            ("shape", "f8", (spec.length,)),  # the running reference beat, in millivolt
            ("beats", "i8"),  # that it has taken in
            ("usual", "f8", (spec.template_beats,)),  # latest distances, the newest last
            ("noise", beat_quality.STATE),
            ("strip", vf_features.STATE),
            ("told", "i8"),  # conditions whose beginning was told, as bits
            ("ill", "i8"),  # conditions that hold, as bits (see quality.py), noise among them ...
            ("well_since", "i8"),  # ... and since when just these
            ("offset", "f8"),  # how much later its apexes lie than those of the lead they count by
            ("previous", "i8"),  # the apex before those that wait
            ("waiting", "i8"),  # how many apexes wait for their windows
            ("found", qrs_detector.DETECTION, (MOST_FOUND,)),  # these, the oldest first
        ]
    )


@compiled
def begin(lead: Record, column: int) -> None:
    """A lead of which nothing is known, whose samples stand at ``column``."""
    lead.column = column
    signal_quality.begin(lead.gate)
    qrs_detector.begin(lead.detector)
    beat_quality.begin(lead.noise)
    vf_features.begin(lead.strip)
    lead.usual[:] = np.nan
    lead.filter[:] = np.nan
    lead.band[:] = np.nan
    lead.previous = -1
    forget_signal(lead)


@compiled
def forget_signal(lead: Record) -> None:
    """All signal so far counts as lost."""
    lead.resampler[:] = np.nan
    lead.history[:] = np.nan
    vf_features.forget_signal(lead.strip)


@compiled
def _remember(history: Doubles, signal: Doubles) -> None:
    """Append ``signal`` and forget as much at the other end."""
    kept = history.size - signal.size
    for i in range(kept):
        history[i] = history[i + signal.size]
    for i in range(signal.size):
        history[kept + i] = signal[i]


@compiled
def push(
    lead: Record,
    plan: Record,
    taps: Doubles,
    x: Doubles,
    seen: int,
    made: int,
    changes: Record,
    idle: Ints,
    looks: Record,
) -> tuple[int, int]:
    """Take in ``x``; how many outputs there are then, and how many changes of the signal come.

    ``seen``, ``made``: see `resample.run`. Writes ``changes`` and ``idle`` (see `quality.run`), and
    ``looks``, one for each tick (see `strip.run`).
    """
    room = np.empty(BLOCK)
    count = resample.run(x, room, lead.resampler, taps, seen, made, plan.num, plan.den)
    signal = room[:count]
    changed = signal_quality.run(signal, made, lead.gate, changes, idle)
    vf_features.keep(lead.strip, signal)
    filters.run(signal, signal, plan.sos, plan.steady, lead.filter)
    _remember(lead.history, signal)
    band = np.empty(count)
    filters.run(signal, band, plan.band_sos, plan.band_steady, lead.band)
    found = lead.found[lead.waiting :]
    confirmed = qrs_detector.run(band, signal, made, lead.detector, found)
    end, found = made + count, found[:confirmed]
    vf_features.run(lead.strip, plan.vf, lead.history, made, end, found, plan.late, looks)
    lead.waiting += confirmed
    return made + count, changed


@compiled
def whole(lead: Record, plan: Record, apex: int, end: int) -> bool:
    """Whether no sample of the window of the beat at ``apex`` is lost.

    ``end``: index after the latest sample pushed.
    """
    start, stop = _reach(plan, apex)
    return stop <= end and not _lost(_span(lead, start, stop, end))


@compiled
def compare(
    lead: Record, plan: Record, apex: int, end: int, lag: int, window: Doubles, shape: Doubles
) -> tuple[float, int, int]:
    """Compare the beat at ``apex``, whose window must be whole, with the usual one; learn it.

    The window is moved by ``lag``, or, where that is beyond the spec's reach, so as to match best.
    Writes the ``window`` and the ``shape`` it is compared with, in millivolt: a lead's first beat
    is its own, and its distance NaN. Returns distance, lag and grade (an index into noise.GRADES).
    """
    start, stop = _reach(plan, apex)
    signal = _span(lead, start - SETTLE, stop, end)
    first = lead.beats == 0
    if abs(lag) > plan.align:
        lag = 0 if first else best_lag(signal[SETTLE:], lead.shape, plan.before, plan.align)
    copy(signal[SETTLE + plan.align + lag :], window)
    copy(lead.shape, shape)
    if first:
        copy(window, shape)
    grade = _grade(lead.noise, plan, signal, window, shape)
    apart = np.nan
    if first:
        copy(window, lead.shape)
    else:
        apart = template.beyond_usual(lead.usual, distance(window, shape, plan.before))
        weight = 1 / min(lead.beats + 1, plan.template_beats)
        template.move(lead.shape, window, weight, plan.template_bound, plan.before)
    lead.beats += 1
    return apart, lag, grade


@compiled
def _span(lead: Record, start: int, stop: int, end: int) -> Doubles:
    """The filtered samples ``start`` to ``stop``."""
    offset = lead.history.size - end
    span: Doubles = lead.history[start + offset : stop + offset]
    return span


@compiled
def _reach(plan: Record, apex: int) -> tuple[int, int]:
    """First and last + 1 sample that the beat at ``apex`` may take."""
    start = apex - plan.before - plan.align
    return start, start + plan.length + 2 * plan.align


@compiled
def _lost(signal: Doubles) -> bool:
    """Whether any sample is NaN."""
    lost = 0
    for value in signal:
        lost += np.isnan(value)
    return lost > 0


@compiled
def _grade(s: Record, plan: Record, signal: Doubles, window: Doubles, shape: Doubles) -> int:
    """The beat's grade: poor at best, and nothing learnt of noise, while filters settle."""
    if _lost(signal):
        before: int = s.grade
        return max(before, beat_quality.POOR)
    return beat_quality.push(s, plan.noise, signal, window, shape, plan.before)
