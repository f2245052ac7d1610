"""One lead's signal path: resample, gate, filter, detect, store, compare beats with the template.

Knows no other lead, and not whose beats count. Its whole state is one NumPy record.
"""

from dataclasses import astuple
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from beatgan.beats import beat_quality
from beatgan.beats.template import excess_distance, update_template
from beatgan.beats.window import best_lag, copy, distance
from beatgan.coefficients import AlarmCoefficients
from beatgan.jit import compiled
from beatgan.signal import (
    filters,
    latest_beat,
    pacing_spikes,
    qrs_detector,
    resample,
    rhythm_status,
    signal_quality,
)
from beatgan.signal.latest_samples import BLOCK, append
from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles, Ints, Records

TURN = 128  # samples after which a detached lead may be replaced, about
SETTLE = 180  # samples (0.5 s) after lost signal until the filters have settled
NEAR = 54  # samples (150 ms) within which R peaks of two leads are one beat's
MAX_FOUND = 24  # R peaks that one block can confirm and that can wait for their windows, at most

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
        ("turn", "i8"),  # source samples after which a detached lead may be replaced
        ("late", "i8"),  # samples by which the filter delays a QRS
        ("sos", "f8", (2, 6)),
        ("steady", "f8", (2, 2)),
        ("band_sos", "f8", (2, 6)),
        ("band_steady", "f8", (2, 2)),
        ("noise", beat_quality.COEFFICIENTS),
        ("vf", "f8", (5,)),  # in the order of `VfCoefficients`
    ]
)  # what all streams of one model and rate have in common, for compiled code


class Plan(Protocol):
    """A record of dtype PLAN."""

    before: int
    length: int
    align: int
    scored_start: int
    scored_stop: int
    template_beats: int
    template_bound: float
    second_lead: float
    unit_range: int
    num: int
    den: int
    delay: int
    turn: int
    late: int
    sos: Doubles
    steady: Doubles
    band_sos: Doubles
    band_steady: Doubles
    noise: beat_quality.Coefficients
    vf: Doubles


@lru_cache(maxsize=64)
def plan(spec: PreprocessSpec, coefficients: AlarmCoefficients, fs: float) -> NDArray[np.void]:
    """The constants of streams at ``fs`` Hz, one record of type PLAN."""
    ratio = resample.design(fs, spec.rate)
    sos, steady, late = filters.design(spec.rate, spec.highpass_hz, spec.lowpass_hz)
    band_sos, band_steady, _ = filters.design(qrs_detector.RATE, *qrs_detector.BAND_HZ)
    constants = np.zeros(1, PLAN)
    for name in ("before", "length", "align", "template_beats", "template_bound", "second_lead"):
        constants[name] = getattr(spec, name)
    constants["scored_start"], constants["scored_stop"] = spec.scored.start, spec.scored.stop
    constants["unit_range"] = spec.scale == "beat"
    constants["num"], constants["den"], constants["delay"] = ratio.num, ratio.den, ratio.delay
    constants["turn"] = max(1, int(TURN * fs / spec.rate) - 1)
    constants["late"], constants["sos"], constants["steady"] = late, sos, steady
    constants["band_sos"], constants["band_steady"] = band_sos, band_steady
    constants["noise"] = astuple(coefficients.noise)
    constants["vf"] = astuple(coefficients.vf)
    return constants


@lru_cache(maxsize=16)
def layout(spec: PreprocessSpec) -> np.dtype[np.void]:
    """The type of a lead's state.

    ``history`` reaches back to the start of any beat that is reported, with the samples before it
    that quality needs: the report waits for its window, or, if that is later, for its detection.
    By then the beat's place may have moved, to where the active lead has it.
    """
    latest = max(spec.after + spec.align, qrs_detector.MAX_DELAY) + NEAR
    back = SETTLE + spec.before + spec.align + latest + BLOCK
    return np.dtype(
        [
            ("column", "i8"),  # where its samples stand in the stream's
            ("resampler", "f8", (resample.MAX_TAPS,)),
            ("gate", signal_quality.STATE),
            ("filter", "f8", (2, 2)),
            ("spikes", pacing_spikes.STATE),
            ("band", "f8", (2, 2)),
            ("detector", qrs_detector.STATE),
            ("history", "f8", (back,)),  # the latest filtered samples ...
            ("history_size", "i8"),  # ... and how many these are
            ("template", "f8", (spec.length,)),  # the running normal beat, in millivolt
            ("beat_count", "i8"),  # that it has taken in
            ("recent_distances", "f8", (spec.template_beats,)),  # latest distances, the newest last
            ("noise", beat_quality.STATE),
            ("rhythm", rhythm_status.STATE),
            ("reported", "i8"),  # conditions whose beginning was reported, as bits
            ("conditions", "i8"),  # those that hold, as bits of `signal_quality`, with noise ...
            ("usable_since", "i8"),  # ... and since when just these
            ("hum_range", "f8"),  # of the hum that it carries alone, peak to peak in millivolt
            ("offset", "f8"),  # how much later its R peaks lie than those of the active lead
            ("previous", "i8"),  # the R peak before those that wait
            ("waiting", "i8"),  # how many R peaks wait for their windows
            ("found", qrs_detector.DETECTION, (MAX_FOUND,)),  # these, the oldest first
        ]
    )


class Lead(Protocol):
    """A record of the dtype that `layout` gives."""

    column: int
    resampler: Doubles
    gate: signal_quality.State
    filter: Doubles
    spikes: pacing_spikes.State
    band: Doubles
    detector: qrs_detector.State
    history: Doubles
    history_size: int
    template: Doubles
    beat_count: int
    recent_distances: Doubles
    noise: beat_quality.State
    rhythm: rhythm_status.State
    reported: int
    conditions: int
    usable_since: int
    hum_range: float
    offset: float
    previous: int
    waiting: int
    found: Records[qrs_detector.Detection]


@compiled
def begin(lead: Lead, column: int) -> None:
    """A lead of which nothing is known, whose samples stand at ``column``."""
    lead.column = column
    signal_quality.begin(lead.gate)
    qrs_detector.begin(lead.detector)
    beat_quality.begin(lead.noise)
    rhythm_status.begin(lead.rhythm)
    lead.recent_distances[:] = np.nan
    lead.filter[:] = np.nan
    lead.band[:] = np.nan
    lead.previous = -1
    forget_signal(lead)


@compiled
def forget_signal(lead: Lead) -> None:
    """All signal so far counts as lost."""
    lead.resampler[:] = np.nan
    lead.history[:] = np.nan
    lead.history_size = lead.history.size
    pacing_spikes.clear(lead.spikes)
    rhythm_status.forget_signal(lead.rhythm)


@compiled
def push(
    lead: Lead,
    plan: Plan,
    taps: Doubles,
    x: Doubles,
    n_in: int,
    n_out: int,
    changes: Records[signal_quality.Change],
    no_change_run: Ints,
    statuses: Records[rhythm_status.Status],
) -> tuple[int, int]:
    """Take in ``x``; how many outputs there are then, and how many changes of the signal come.

    ``n_in``, ``n_out``: see `resample.run`. Writes ``changes`` and
    ``no_change_run`` (see `signal_quality.run`), and ``statuses`` (see `rhythm_status.run`).
    """
    room = np.empty(BLOCK)
    count = resample.run(x, room, lead.resampler, taps, n_in, n_out, plan.num, plan.den)
    signal = room[:count]
    changed = signal_quality.run(signal, n_out, lead.gate, changes, no_change_run)
    without_spikes = np.empty(count)
    pacing_spikes.run(signal, without_spikes, n_out, lead.spikes)
    beats = lead.rhythm.beats
    beats.unfiltered_size = append(beats.unfiltered, beats.unfiltered_size, without_spikes)
    band = np.empty(count)
    filters.run_both(
        signal,
        signal,
        band,
        plan.sos,
        plan.steady,
        lead.filter,
        plan.band_sos,
        plan.band_steady,
        lead.band,
    )
    lead.history_size = append(lead.history, lead.history_size, signal)
    history = lead.history[: lead.history_size]
    found = lead.found[lead.waiting :]
    confirmed = qrs_detector.run(band, signal, n_out, lead.detector, found)
    end = n_out + count
    confirmed = _drop_not_captured(lead, plan, found, confirmed, end)
    found = found[:confirmed]
    rhythm_status.run(
        lead.rhythm, lead.spikes, plan.vf, history, n_out, end, found, plan.late, statuses
    )
    lead.waiting += confirmed
    return end, changed


@compiled
def _drop_not_captured(
    lead: Lead, plan: Plan, found: Records[qrs_detector.Detection], count: int, end: int
) -> int:
    """Drop the R peaks that are pacing spikes with no beat after them; return how many are left.

    ``end``: index after the latest sample pushed.
    """
    kept, contiguous = 0, True
    for k in range(count):
        each = found[k]
        contiguous = contiguous and each.contiguous != 0
        r_peak = each.r_peak - plan.late
        spike = pacing_spikes.spike_near(lead.spikes, r_peak)
        if spike >= 0 and not latest_beat.is_captured(
            lead.rhythm.beats, spike, each.confirmed, end
        ):
            continue
        found[kept].r_peak = each.r_peak
        found[kept].confirmed = each.confirmed
        found[kept].contiguous = contiguous
        contiguous = True
        kept += 1
    return kept


@compiled
def whole(lead: Lead, plan: Plan, r_peak: int, end: int) -> bool:
    """Whether no sample of the window of the beat at ``r_peak`` is lost.

    ``end``: index after the latest sample pushed.
    """
    start, stop = _reach(plan, r_peak)
    return stop <= end and not _lost(span(lead, start, stop, end))


@compiled
def compare(
    lead: Lead, plan: Plan, r_peak: int, end: int, lag: int, window: Doubles, template: Doubles
) -> tuple[float, int, int]:
    """Compare the beat at ``r_peak``, whose window must be whole, with the template; update that.

    The window is moved by ``lag``, or, where that is beyond the spec's reach, so as to match best.
    Writes the ``window`` and its ``template`` before the update, in millivolt: a lead's first beat
    is its own, and its distance NaN. Returns distance, lag and quality (an index into QUALITIES).
    """
    start, stop = _reach(plan, r_peak)
    signal = span(lead, start - SETTLE, stop, end)
    first = lead.beat_count == 0
    if abs(lag) > plan.align:
        lag = 0 if first else best_lag(signal[SETTLE:], lead.template, plan.before, plan.align)
    copy(signal[SETTLE + plan.align + lag :], window)
    copy(lead.template, template)
    if first:
        copy(window, template)
    quality = _quality_of(lead.noise, plan, signal, window, template)
    excess = np.nan
    if first:
        copy(window, lead.template)
    else:
        excess = excess_distance(lead.recent_distances, distance(window, template, plan.before))
        weight = 1 / min(lead.beat_count + 1, plan.template_beats)
        update_template(lead.template, window, weight, plan.template_bound, plan.before)
    lead.beat_count += 1
    return excess, lag, quality


@compiled
def span(lead: Lead, start: int, stop: int, end: int) -> Doubles:
    """The filtered samples ``start`` to ``stop``."""
    offset = lead.history_size - end
    span: Doubles = lead.history[start + offset : stop + offset]
    return span


@compiled
def _reach(plan: Plan, r_peak: int) -> tuple[int, int]:
    """First and last + 1 sample that the beat at ``r_peak`` may take."""
    start = r_peak - plan.before - plan.align
    return start, start + plan.length + 2 * plan.align


@compiled
def _lost(signal: Doubles) -> bool:
    """Whether any sample is NaN."""
    lost = 0
    for value in signal:
        lost += np.isnan(value)
    return lost > 0


@compiled
def _quality_of(
    s: beat_quality.State, plan: Plan, signal: Doubles, window: Doubles, template: Doubles
) -> int:
    """The beat's quality: poor at best, and no noise level updated, while filters settle."""
    if _lost(signal):
        before: int = s.quality
        return max(before, beat_quality.POOR)
    return beat_quality.push(s, plan.noise, signal, window, template, plan.before)
