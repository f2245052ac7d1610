"""One stream's fold over samples: beats, signal changes, rhythm status, in order of time.

Signal goes through each lead a block at a time. What is found there is then taken in the order in
which it became known, so that neither blocks nor chunks leave a trace.
"""

import numpy as np

from beatgan.beats import beat_quality, emit, lead_pipeline, lead_switching
from beatgan.beats.emit import Event, Stream
from beatgan.beats.lead_pipeline import Lead, Plan
from beatgan.jit import compiled
from beatgan.signal import qrs_detector, resample, rhythm_status, signal_quality, vf_features
from beatgan.signal.latest_samples import BLOCK
from beatgan.signal.signal_quality import Change
from beatgan.types import Doubles, Floats, Ints, Records

NOTHING = -1  # beside emit.BEAT, emit.CHANGE and emit.STATUS
NOISY = signal_quality.IN_NOISE | signal_quality.IN_HUM  # both are reported as noise
ELSEWHERE = -1  # the latest beat was another lead's than those that there are


@compiled
def begin(
    states: Records[Stream], leads: Records[Lead], columns: Ints, first: int, n_out: int
) -> None:
    """A stream of which nothing is known, before its source sample ``first``.

    ``columns``: where the samples of its leads stand.
    """
    s = states[0]
    s.first = first
    s.last_r_peak = -1
    s.last_beat = -1
    s.no_signal_since = n_out
    s.vf_log_odds = vf_features.LOWEST
    s.intervals[:] = np.nan
    for k in range(leads.size):
        lead_pipeline.begin(leads[k], columns[k])
    resume(states, leads, first, n_out)


@compiled
def resume(states: Records[Stream], leads: Records[Lead], n_in: int, n_out: int) -> None:
    """Go on at source sample ``n_in``, what is missing until there being lost."""
    s = states[0]
    s.n_in = n_in
    s.n_out = n_out
    for each in leads:
        lead_pipeline.forget_signal(each)


@compiled
def _arrival(plan: Plan, index: int) -> int:
    """How many of the source's samples make the model's sample ``index`` known."""
    return resample.arrival(index, plan.num, plan.den, plan.delay)


@compiled
def drop_first(each: Lead) -> None:
    """The lead's oldest waiting beat was reported, or does not count."""
    each.previous = each.found[0].r_peak
    each.waiting -= 1
    for k in range(each.waiting):
        each.found[k].r_peak = each.found[k + 1].r_peak
        each.found[k].confirmed = each.found[k + 1].confirmed
        each.found[k].contiguous = each.found[k + 1].contiguous


@compiled
def due(each: Lead, plan: Plan) -> int:
    """With which of the model's samples the lead's oldest waiting beat can be reported."""
    first = lead_switching.position(each, each.found[0].r_peak) - plan.before - plan.align
    ready: int = max(first + plan.length + 2 * plan.align - 1, each.found[0].confirmed)
    return ready


@compiled
def _next(
    leads: Records[Lead],
    plan: Plan,
    changes: Records[Change],
    taken: Ints,
    changed: Ints,
    sample: int,
    end: int,
) -> tuple[int, int, int]:
    """What comes next before sample ``end``, on which lead, and when.

    CHANGE, STATUS (at ``sample``), BEAT or NOTHING.
    """
    what, which, when = NOTHING, 0, end
    for k in range(leads.size):
        if taken[k] < changed[k] and changes[k, taken[k]].known < when:
            what, which, when = emit.CHANGE, k, changes[k, taken[k]].known
    if sample < when:
        what, which, when = emit.STATUS, 0, sample
    for k in range(leads.size):
        if leads[k].waiting and due(leads[k], plan) < when:
            what, which, when = emit.BEAT, k, due(leads[k], plan)
    return what, which, when


@compiled
def _take_change(
    s: Stream,
    leads: Records[Lead],
    plan: Plan,
    which: int,
    change: Change,
    events: Records[Event],
) -> None:
    """A condition of a lead begins or ends."""
    sample, known_at = emit.source(s, plan, change.sample), _arrival(plan, change.known)
    noisy = leads[which].conditions & NOISY != 0
    lead_switching.set_condition(leads[which], change.condition, change.begins, change.known)
    if change.condition != signal_quality.IN_HUM:
        emit.emit_change(s, leads, which, change.condition, change.begins, sample, known_at, events)
        return
    if change.begins:
        leads[which].hum_range = change.range_mv
    _emit_noise(s, leads, which, noisy, sample, known_at, events)


@compiled
def _emit_noise(
    s: Stream,
    leads: Records[Lead],
    which: int,
    before: bool,
    sample: int,
    known_at: int,
    events: Records[Event],
) -> None:
    """Write that noise begins or ends on a lead, unless it is as it was ``before``."""
    noisy = leads[which].conditions & NOISY != 0
    if noisy != before:
        emit.emit_change(s, leads, which, signal_quality.IN_NOISE, noisy, sample, known_at, events)


@compiled
def _take_noise(
    s: Stream, leads: Records[Lead], now: int, beat: Event, events: Records[Event]
) -> None:
    """Noise begins or ends on any lead, with the ``beat`` that was just reported."""
    for which in range(leads.size):
        noisy = leads[which].noise.quality == beat_quality.UNUSABLE
        if noisy != (leads[which].conditions & signal_quality.IN_NOISE != 0):
            before = leads[which].conditions & NOISY != 0
            lead_switching.set_condition(leads[which], signal_quality.IN_NOISE, noisy, now)
            _emit_noise(s, leads, which, before, beat.sample, beat.known_at, events)


@compiled
def _take_beat(
    s: Stream,
    leads: Records[Lead],
    plan: Plan,
    which: int,
    now: int,
    no_change_run: Ints,
    events: Records[Event],
    rows: Floats,
) -> None:
    """The oldest beat that waits on lead ``which`` is due: report it, if it counts."""
    r_peak = lead_switching.position(leads[which], leads[which].found[0].r_peak)
    if not lead_switching.counts(
        leads, s.active_lead, which, now, r_peak, no_change_run[s.active_lead]
    ):
        return
    s.active_lead = which
    if (
        which != s.last_lead
        and s.last_r_peak >= 0
        and r_peak - s.last_r_peak <= lead_switching.REFRACTORY
    ):
        return  # reported already, when the other lead was active
    emit.emit_beat(s, leads, plan, r_peak, _arrival(plan, now), no_change_run, events, rows)
    beat = events[s.events - 1]
    beat.leads_agree = lead_switching.compare_r_peaks(leads, which, r_peak, now)
    _take_noise(s, leads, now, beat, events)


@compiled
def _block(
    s: Stream,
    leads: Records[Lead],
    plan: Plan,
    taps: Doubles,
    samples: Floats,
    events: Records[Event],
    rows: Floats,
) -> None:
    """`push` for some of the samples."""
    changes = np.empty((leads.size, signal_quality.MAX_CHANGES), signal_quality.CHANGE)
    no_change_run = np.empty((leads.size, BLOCK), np.int64)
    taken, changed = np.zeros(leads.size, np.int64), np.empty(leads.size, np.int64)
    statuses, status_index = (
        np.empty((rhythm_status.MAX_STATUSES, leads.size), rhythm_status.STATUS),
        0,
    )
    x = np.empty(samples.shape[0])
    start = n_out = s.n_out
    for k in range(leads.size):
        for i in range(x.size):
            x[i] = samples[i, leads[k].column]
        n_out, changed[k] = lead_pipeline.push(
            leads[k], plan, taps, x, s.n_in, start, changes[k], no_change_run[k], statuses[:, k]
        )
    s.n_out = n_out
    s.n_in += x.size
    sample = rhythm_status.next_status(start)
    what, which, now = _next(leads, plan, changes, taken, changed, sample, n_out)
    while what != NOTHING:
        if what == emit.CHANGE:
            _take_change(s, leads, plan, which, changes[which, taken[which]], events)
            taken[which] += 1
        elif what == emit.STATUS:
            if emit.is_due(s, now):
                emit.emit_status(
                    s, leads, plan, statuses[status_index], now, _arrival(plan, now), events
                )
            status_index += 1
            sample += rhythm_status.STATUS_INTERVAL
        else:
            at = max(0, now - start)  # a lead's running offset may have moved it out of this block
            _take_beat(s, leads, plan, which, now, no_change_run[:, at], events, rows)
            drop_first(leads[which])
        what, which, now = _next(leads, plan, changes, taken, changed, sample, n_out)


@compiled
def _have_conditions(leads: Records[Lead]) -> bool:
    """Whether any lead does: without, none becomes detached within a block."""
    conditions = 0
    for each in leads:
        conditions |= each.conditions
    return conditions != 0


@compiled
def _replace_detached(s: Stream, leads: Records[Lead], unused_leads: Ints) -> None:
    """Detached leads give their place to the next unused one, and go to the end of the queue.

    Their conditions are stored: if such a lead is used again, the end of each is reported.
    """
    for k in range(leads.size):
        if not lead_switching.is_detached(leads, k, s.n_out):
            continue
        old, new = leads[k].column, unused_leads[0]
        for i in range(unused_leads.size - 1):
            unused_leads[i] = unused_leads[i + 1]
        unused_leads[unused_leads.size - 1] = old
        s.standby_conditions[old] = leads[k].conditions
        if leads[k].conditions & NOISY:  # as it was reported
            s.standby_conditions[old] = leads[k].conditions | signal_quality.IN_NOISE
        leads[k] = np.zeros(1, leads.dtype)[0]
        lead_pipeline.begin(leads[k], new)
        leads[k].conditions = s.standby_conditions[new]
        leads[k].reported = s.standby_conditions[new]
        signal_quality.go_on(leads[k].gate, s.standby_conditions[new])
        leads[k].usable_since = s.n_out
        if s.last_lead == k:
            s.last_lead = ELSEWHERE


@compiled
def push(
    states: Records[Stream],
    leads: Records[Lead],
    plans: Records[Plan],
    taps: Doubles,
    samples: Floats,
    unused_leads: Ints,
    events: Records[Event],
    rows: Floats,
) -> int:
    """Take in ``samples`` (n, leads) in millivolt, NaN where lost; write events, return how many.

    They make at most a BLOCK at the model's rate.
    ``states`` and ``plans`` hold one record each: a record by itself takes a microsecond more to
    hand over. ``unused_leads``: columns of the leads not in use, the best first. ``rows``, shape
    (MAX_BEATS, `emit.row_size`), takes the arrays of each beat among the events, in order.
    """
    s, plan = states[0], plans[0]
    s.events = 0
    s.rows = 0
    start = 0
    while start < samples.shape[0]:
        stop = samples.shape[0]
        replaceable = unused_leads.size > 0 and _have_conditions(leads)
        if replaceable:  # a lead is replaced where it would be for any cutting
            stop = start + plan.turn - s.n_in % plan.turn
        _block(s, leads, plan, taps, samples[start:stop], events, rows)
        if replaceable and s.n_in % plan.turn == 0:
            _replace_detached(s, leads, unused_leads)
        start = stop
    count: int = s.events
    return count


@compiled
def close(
    states: Records[Stream],
    leads: Records[Lead],
    plans: Records[Plan],
    events: Records[Event],
    rows: Floats,
) -> int:
    """The stream ends: write the beats that still wait on the active lead, all unusable."""
    s, plan = states[0], plans[0]
    s.events = 0
    s.rows = 0
    nothing, no_change_run = np.full(1, np.nan), np.zeros(leads.size, np.int64)
    each = leads[s.active_lead]
    each.waiting += qrs_detector.run(
        nothing, nothing, s.n_out, each.detector, each.found[each.waiting :]
    )
    while each.waiting:
        r_peak = lead_switching.position(each, each.found[0].r_peak)
        emit.emit_beat(s, leads, plan, r_peak, s.n_in, no_change_run, events, rows)
        events[s.events - 1].leads_agree = lead_switching.UNKNOWN
        drop_first(each)
    count: int = s.events
    return count
