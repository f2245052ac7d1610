"""Events of one stream: beats in their patient's context, signal changes, rhythm status.

Knows the stream's state and its leads' as they are at that moment. When that is, stream.py decides.
"""

from functools import lru_cache
from typing import Protocol

import numpy as np

from beatgan.beats import beat_quality, lead_pipeline, lead_switching, rr
from beatgan.beats.lead_pipeline import Lead, Plan
from beatgan.beats.window import by_patient, patient_scale, to_unit_range
from beatgan.jit import compiled
from beatgan.signal import latest_beat, resample, rhythm_status, signal_quality, vf_features
from beatgan.spec import PreprocessSpec
from beatgan.types import MAX_LEADS, RHYTHM_SIZE, Doubles, Floats, Ints, Records

FREE = 1 << 20  # no lag: the window is moved so as to match best

BEAT, CHANGE, STATUS = 0, 1, 2
EVENT = np.dtype(
    [
        ("kind", "i8"),  # BEAT, CHANGE or STATUS
        ("lead", "i8"),  # its column
        ("sample", "i8"),
        ("known_at", "i8"),
        ("suspended", "i8"),  # of a change; see SignalChange
        ("n", "i8"),  # of a beat, as those that follow
        ("interval", "f8"),  # RR, or NaN
        ("quality", "i8"),  # an index into beat_quality.QUALITIES
        ("distance", "f8"),
        ("own_distance", "f8"),  # of its lead alone
        ("second_distance", "f8"),  # of the other lead in use, NaN where it has no share
        ("prematurity", "f8"),
        ("leads_agree", "i8"),  # see lead_switching.agreement
        ("condition", "i8"),  # of a change: a bit of signal_quality
        ("begins", "i8"),
        ("samples_since_beat", "i8"),  # of a status; see RhythmStatus
        ("signal_ok", "i8"),
        ("vf_log_odds", "f8"),
    ]
)  # only those of its kind are written


class Event(Protocol):
    """A record of dtype EVENT."""

    kind: int
    lead: int
    sample: int
    known_at: int
    suspended: int
    n: int
    interval: float
    quality: int
    distance: float
    own_distance: float
    second_distance: float
    prematurity: float
    leads_agree: int
    condition: int
    begins: int
    samples_since_beat: int
    signal_ok: int
    vf_log_odds: float


MAX_BEATS = 24  # in one call of at most a BLOCK
MAX_EVENTS = 160

REPORT_AFTER = 720  # samples (2 s) without a beat: the rhythm status is reported ...
REPORT_LOG_ODDS = 0.0  # ... as it is above these log odds of VF
FORGET = 0.25  # weight of the newest in the running log odds


@lru_cache(maxsize=16)
def layout(spec: PreprocessSpec) -> np.dtype[np.void]:
    """The type of a stream's state besides its leads'."""
    return np.dtype(
        [
            ("first", "i8"),  # source sample that it begins with
            ("n_in", "i8"),  # source samples so far
            ("n_out", "i8"),  # model-rate samples so far
            ("active_lead", "i8"),  # the lead whose beats count
            (
                "standby_conditions",
                "i8",
                (MAX_LEADS,),
            ),  # conditions of the leads not in use, by column
            ("beat_count", "i8"),  # reported so far
            ("last_r_peak", "i8"),  # that of the latest one, -1 for none ...
            ("last_lead", "i8"),  # ... and the lead that had it
            ("suspended", "i8"),  # 1 while no lead is usable
            ("last_beat", "i8"),  # R peak of the latest beat on any lead, -1 for none
            ("no_signal_since", "i8"),  # the latest status at which no lead had a signal
            ("vf_log_odds", "f8"),  # running, of the lead that looks least like VF
            ("reports_status", "i8"),  # 1 while it is
            ("events", "i8"),  # written in this call ...
            ("rows", "i8"),  # ... and the beats among them
            ("intervals", "f8", (spec.rr_beats,)),  # see `rr.push`
        ]
    )


def row_size(leads: int, length: int) -> int:
    """How many numbers the arrays of a beat have, of a stream with ``leads`` in use."""
    return RHYTHM_SIZE + 2 * leads * length


class Stream(Protocol):
    """A record of the dtype that `layout` gives."""

    first: int
    n_in: int
    n_out: int
    active_lead: int
    standby_conditions: Ints
    beat_count: int
    last_r_peak: int
    last_lead: int
    suspended: int
    last_beat: int
    no_signal_since: int
    vf_log_odds: float
    reports_status: int
    events: int
    rows: int
    intervals: Doubles


@compiled
def source(s: Stream, plan: Plan, index: int) -> int:
    """The source's sample at the model's sample ``index``."""
    first: int = s.first
    return max(first, resample.source(index, plan.num, plan.den))


@compiled
def _interval(s: Stream, each: Lead, r_peak: int) -> float:
    """RR interval of the beat at ``r_peak``, the oldest that waits on its lead.

    NaN where signal was lost since the beat before, or where that was another lead's and this lead
    had none there.
    """
    known = s.last_r_peak >= 0 and each.found[0].contiguous
    if s.active_lead != s.last_lead:
        same = (
            abs(lead_switching.position(each, each.previous) - s.last_r_peak) <= lead_pipeline.NEAR
        )
        known = known and each.previous >= 0 and same
    interval = r_peak - s.last_r_peak
    s.last_r_peak = r_peak
    s.last_lead = s.active_lead
    return float(interval) if known else np.nan


@compiled
def _compare(
    s: Stream,
    leads: Records[Lead],
    plan: Plan,
    r_peak: int,
    no_change_run: Ints,
    event: Event,
    pairs: Doubles,
) -> None:
    """Write distances and grade of the beat, and window and template of each lead to ``pairs``.

    The active lead comes first; the grade is its. The other one shares in the distance.
    """
    event.distance, event.own_distance, event.second_distance = np.nan, np.nan, np.nan
    event.quality = beat_quality.UNUSABLE
    end = s.n_out
    if not lead_pipeline.whole(leads[s.active_lead], plan, r_peak, end):
        return
    own, lag, event.quality = lead_pipeline.compare(
        leads[s.active_lead], plan, r_peak, end, FREE, pairs[0, 0], pairs[0, 1]
    )
    event.distance, event.own_distance = own, own
    if leads.size == 1:
        return
    second = _second_distance(s, leads, plan, r_peak, lag, no_change_run, pairs[1])
    if not np.isnan(own) and not np.isnan(second):
        share = plan.second_lead if s.active_lead == 0 else 1 - plan.second_lead
        event.distance = own + share * (second - own)
        event.second_distance = second


@compiled
def _second_distance(
    s: Stream,
    leads: Records[Lead],
    plan: Plan,
    r_peak: int,
    lag: int,
    no_change_run: Ints,
    pair: Doubles,
) -> float:
    """The beat's distance on the lead that is in use but not active (two are, at most).

    NaN where that carries no signal to rely on. One that has carried nothing since the R peak
    (``no_change_run``) is left out, though it is not known yet whether it is flat.
    """
    which = 1 - s.active_lead
    silent = no_change_run[which] >= plan.length - plan.before
    if silent or not lead_pipeline.whole(leads[which], plan, r_peak, s.n_out):
        return np.nan
    distance, _, quality = lead_pipeline.compare(
        leads[which], plan, r_peak, s.n_out, lag, pair[0], pair[1]
    )
    return np.nan if quality == beat_quality.UNUSABLE else distance


@compiled
def _normalise(plan: Plan, pair: Doubles, out: Floats) -> None:
    """Window and template in the spec's units, one after the other."""
    window, template = out[: plan.length], out[plan.length : 2 * plan.length]
    if plan.unit_range:
        to_unit_range(pair[0], window)
        to_unit_range(pair[1], template)
        return
    scale = patient_scale(pair[1], plan.scored_start, plan.scored_stop)
    by_patient(pair[0], scale, window)
    by_patient(pair[1], scale, template)


@compiled
def emit_beat(
    s: Stream,
    leads: Records[Lead],
    plan: Plan,
    r_peak: int,
    known_at: int,
    no_change_run: Ints,
    events: Records[Event],
    rows: Floats,
) -> None:
    """Write the oldest beat that waits on the active lead, which lies at ``r_peak``.

    ``no_change_run``: for how long each lead has carried nothing. Its arrays become one of the
    ``rows``: the rhythm, then window and template, of the active lead and of the other in use.
    """
    pairs = np.empty((leads.size, 2, plan.length))
    event, row = events[s.events], rows[s.rows]
    event.kind = BEAT
    event.lead = leads[s.active_lead].column
    event.sample = source(s, plan, r_peak - plan.late)
    event.known_at = known_at
    event.n = s.beat_count
    event.interval = _interval(s, leads[s.active_lead], r_peak)
    event.prematurity = rr.push(s.intervals, event.interval, row[:RHYTHM_SIZE])
    _compare(s, leads, plan, r_peak, no_change_run, event, pairs)
    if event.quality != beat_quality.UNUSABLE:
        _normalise(plan, pairs[0], row[RHYTHM_SIZE:])
        if not np.isnan(event.second_distance):
            _normalise(plan, pairs[1], row[RHYTHM_SIZE + 2 * plan.length :])
    s.beat_count += 1
    s.events += 1
    s.rows += 1


@compiled
def emit_change(
    s: Stream,
    leads: Records[Lead],
    which: int,
    condition: int,
    begins: int,
    sample: int,
    known_at: int,
    events: Records[Event],
) -> None:
    """Write a change of a lead's signal.

    Not that of an inactive lead before its first beat: it may not be attached.
    """
    before = s.suspended
    s.suspended = lead_switching.suspended(leads)
    each = leads[which]
    known = (
        which == s.active_lead or each.previous >= 0 if begins else each.reported & condition != 0
    )
    if not known and s.suspended == before:
        return
    each.reported = each.reported | condition if begins else each.reported & ~condition
    event = events[s.events]
    event.kind = CHANGE
    event.lead = leads[which].column
    event.sample = sample
    event.known_at = known_at
    event.condition = condition
    event.begins = begins
    event.suspended = s.suspended
    s.events += 1


@compiled
def _lowest_log_odds(statuses: Records[rhythm_status.Status]) -> float:
    """The lowest of the leads that have signal; LOWEST where none has."""
    least = np.inf
    for status in statuses:
        least = min(least, status.vf_log_odds)  # a comparison with NaN leaves it
    return vf_features.LOWEST if np.isinf(least) else least


@compiled
def _beat_could_be_hidden(lead: Lead, status: rhythm_status.Status) -> bool:
    """Whether a beat could be hidden on the lead: in hum, where there is nothing else."""
    if lead.conditions & signal_quality.IN_HUM:
        return bool(lead.hum_range >= latest_beat.HIDDEN_SHARE * status.beat_height)
    return bool(status.beat_could_be_hidden)


@compiled
def is_due(s: Stream, sample: int) -> bool:
    """Whether a status can change anything: while beats come, most cannot."""
    waited = sample - max(s.last_beat, s.no_signal_since) > REPORT_AFTER - vf_features.VF_INTERVAL
    due: bool = waited or s.reports_status != 0 or (sample + 1) % vf_features.VF_INTERVAL == 0
    return due


@compiled
def emit_status(
    s: Stream,
    leads: Records[Lead],
    plan: Plan,
    statuses: Records[rhythm_status.Status],
    sample: int,
    known_at: int,
    events: Records[Event],
) -> None:
    """Write the rhythm status at sample ``sample``, while it is to be reported."""
    has_signal, signal_ok = False, False
    for which in range(leads.size):
        s.last_beat = max(s.last_beat, statuses[which].last_beat)
        if not leads[which].conditions & (signal_quality.IN_GAP | signal_quality.IN_SATURATED):
            has_signal = True
            signal_ok = signal_ok or not _beat_could_be_hidden(leads[which], statuses[which])
    if not has_signal:
        s.no_signal_since = sample
    if (sample + 1) % vf_features.VF_INTERVAL == 0:
        s.vf_log_odds += FORGET * (_lowest_log_odds(statuses) - s.vf_log_odds)
    since = max(s.last_beat, s.no_signal_since)
    reports = sample - since > REPORT_AFTER or s.vf_log_odds > REPORT_LOG_ODDS
    if reports or s.reports_status:
        event = events[s.events]
        event.kind = STATUS
        event.lead = leads[s.active_lead].column
        event.sample = source(s, plan, sample)
        event.known_at = known_at
        event.samples_since_beat = event.sample - source(s, plan, since)
        event.vf_log_odds = s.vf_log_odds
        event.signal_ok = signal_ok
        s.events += 1
    s.reports_status = reports
