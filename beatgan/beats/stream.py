"""One stream's fold over samples: beats, signal changes and strips, in the order of their time.

Signal goes through each lead a block at a time. What is found there is then taken in the order in
which it became known, so that neither blocks nor chunks leave a trace.
"""

import numpy as np

from beatgan.beats import beat_quality, emit, lead_pipeline, lead_switching
from beatgan.jit import compiled
from beatgan.signal import qrs_detector, resample, signal_quality, vf_features
from beatgan.types import Doubles, Floats, Ints, Record

NOTHING = -1  # beside telling.BEAT, telling.CHANGE and telling.STRIP
ELSEWHERE = -1  # the latest beat was another lead's than those that there are


@compiled
def begin(states: Record, leads: Record, columns: Ints, first: int, made: int) -> None:
    """A stream of which nothing is known, before its source sample ``first``.

    ``columns``: where the samples of its leads stand.
    """
    s = states[0]
    s.first = first
    s.last = -1
    s.beat = -1
    s.absent = made
    s.chaos = vf_features.LOWEST
    s.intervals[:] = np.nan
    for k in range(leads.size):
        lead_pipeline.begin(leads[k], columns[k])
    go_on(states, leads, first, made)


@compiled
def go_on(states: Record, leads: Record, seen: int, made: int) -> None:
    """Go on at source sample ``seen``, what is missing until there being lost."""
    s = states[0]
    s.seen = seen
    s.made = made
    for each in leads:
        lead_pipeline.forget_signal(each)


@compiled
def _arrival(plan: Record, index: int) -> int:
    """How many of the source's samples make the model's sample ``index`` known."""
    return resample.arrival(index, plan.num, plan.den, plan.delay)


@compiled
def drop_first(each: Record) -> None:
    """The lead's oldest waiting beat was told, or is not to be."""
    each.previous = each.found[0].r_peak
    each.waiting -= 1
    for k in range(each.waiting):
        each.found[k].r_peak = each.found[k + 1].r_peak
        each.found[k].confirmed = each.found[k + 1].confirmed
        each.found[k].contiguous = each.found[k + 1].contiguous


@compiled
def due(each: Record, plan: Record) -> int:
    """With which of the model's samples the lead's oldest waiting beat can be told."""
    first = lead_switching.position(each, each.found[0].r_peak) - plan.before - plan.align
    ready: int = max(first + plan.length + 2 * plan.align - 1, each.found[0].confirmed)
    return ready


@compiled
def _next(
    leads: Record, plan: Record, changes: Record, taken: Ints, changed: Ints, tick: int, end: int
) -> tuple[int, int, int]:
    """What comes next before sample ``end``, on which lead, and when: CHANGE, STRIP (at ``tick``),
    BEAT or NOTHING.
    """
    what, which, when = NOTHING, 0, end
    for k in range(leads.size):
        if taken[k] < changed[k] and changes[k, taken[k]].known < when:
            what, which, when = emit.CHANGE, k, changes[k, taken[k]].known
    if tick < when:
        what, which, when = emit.STRIP, 0, tick
    for k in range(leads.size):
        if leads[k].waiting and due(leads[k], plan) < when:
            what, which, when = emit.BEAT, k, due(leads[k], plan)
    return what, which, when


@compiled
def _take_change(
    s: Record, leads: Record, plan: Record, which: int, change: Record, events: Record
) -> None:
    """A condition of a lead begins or ends."""
    lead_switching.fall_ill(leads[which], change.condition, change.begins, change.known)
    sample, known_at = emit.source(s, plan, change.sample), _arrival(plan, change.known)
    emit.tell_change(s, leads, which, change.condition, change.begins, sample, known_at, events)


@compiled
def _take_noise(s: Record, leads: Record, now: int, beat: Record, events: Record) -> None:
    """Noise begins or ends on any lead, with the ``beat`` that was just told."""
    for which in range(leads.size):
        noisy = leads[which].noise.grade == beat_quality.UNUSABLE
        if noisy != (leads[which].ill & signal_quality.IN_NOISE != 0):
            lead_switching.fall_ill(leads[which], signal_quality.IN_NOISE, noisy, now)
            emit.tell_change(
                s, leads, which, signal_quality.IN_NOISE, noisy, beat.sample, beat.known_at, events
            )


@compiled
def _take_beat(
    s: Record,
    leads: Record,
    plan: Record,
    which: int,
    now: int,
    idle: Ints,
    events: Record,
    windows: Floats,
) -> None:
    """The oldest beat that waits on lead ``which`` can be told: so it is, if it counts."""
    apex = lead_switching.position(leads[which], leads[which].found[0].r_peak)
    if not lead_switching.counts(leads, s.used, which, now, apex, idle[s.used]):
        return
    s.used = which
    if which != s.last_lead and s.last >= 0 and apex - s.last <= lead_switching.REFRACTORY:
        return  # told already, when the other lead was in use
    emit.tell_beat(s, leads, plan, apex, _arrival(plan, now), idle, events, windows)
    lead_switching.learn_offsets(leads, which, apex, now)
    _take_noise(s, leads, now, events[s.events - 1], events)


@compiled
def _block(
    s: Record,
    leads: Record,
    plan: Record,
    taps: Doubles,
    samples: Floats,
    events: Record,
    windows: Floats,
) -> None:
    """`push` for samples that make at most a lead's BLOCK."""
    changes = np.empty((leads.size, signal_quality.MAX_CHANGES), signal_quality.CHANGE)
    idle = np.empty((leads.size, lead_pipeline.BLOCK), np.int64)
    taken, changed = np.zeros(leads.size, np.int64), np.empty(leads.size, np.int64)
    looks, looked = np.empty((vf_features.MOST_TICKS, leads.size), vf_features.LOOK), 0
    x = np.empty(samples.shape[0])
    start = made = s.made
    for k in range(leads.size):
        for i in range(x.size):
            x[i] = samples[i, leads[k].column]
        made, changed[k] = lead_pipeline.push(
            leads[k], plan, taps, x, s.seen, start, changes[k], idle[k], looks[:, k]
        )
    s.made = made
    s.seen += x.size
    tick = vf_features.next_tick(start)
    what, which, now = _next(leads, plan, changes, taken, changed, tick, made)
    while what != NOTHING:
        if what == emit.CHANGE:
            _take_change(s, leads, plan, which, changes[which, taken[which]], events)
            taken[which] += 1
        elif what == emit.STRIP:
            if emit.is_due(s, now):
                emit.tell_strip(s, leads, plan, looks[looked], now, _arrival(plan, now), events)
            looked += 1
            tick += vf_features.TICK
        else:
            _take_beat(s, leads, plan, which, now, idle[:, now - start], events, windows)
            drop_first(leads[which])
        what, which, now = _next(leads, plan, changes, taken, changed, tick, made)


@compiled
def _replace(s: Record, leads: Record, spare: Ints) -> None:
    """Leads that are gone give their place to the next to spare, and go to the end of the line.

    What ails them is kept: if their turn comes again, its end is told.
    """
    for k in range(leads.size):
        if not lead_switching.gone(leads, k, s.made):
            continue
        old, new = leads[k].column, spare[0]
        for i in range(spare.size - 1):
            spare[i] = spare[i + 1]
        spare[spare.size - 1] = old
        s.parked[old] = leads[k].ill
        leads[k] = np.zeros(1, leads.dtype)[0]
        lead_pipeline.begin(leads[k], new)
        leads[k].ill = s.parked[new]
        leads[k].told = s.parked[new]
        leads[k].gate.conditions = s.parked[new] & ~signal_quality.IN_NOISE
        leads[k].well_since = s.made
        if s.last_lead == k:
            s.last_lead = ELSEWHERE


@compiled
def push(
    states: Record,
    leads: Record,
    plans: Record,
    taps: Doubles,
    samples: Floats,
    spare: Ints,
    events: Record,
    windows: Floats,
) -> int:
    """Take in ``samples`` (n, leads) in millivolt, NaN where lost; write events, return how many.

    ``states`` and ``plans`` hold one record each: a record by itself takes a microsecond more to
    hand over. ``spare``: columns of leads not looked at, the best first. ``windows``, shape
    (MOST_BEATS, 2, length), takes window and reference of each beat among the events, in turn.
    """
    s, plan = states[0], plans[0]
    s.events = 0
    s.windows = 0
    start = 0
    while start < samples.shape[0]:  # blocks that end where they would end for any cutting
        stop = start + plan.step - s.seen % plan.step
        _block(s, leads, plan, taps, samples[start:stop], events, windows)
        if spare.size and s.seen % plan.step == 0:
            _replace(s, leads, spare)
        start = stop
    told: int = s.events
    return told


@compiled
def close(states: Record, leads: Record, plans: Record, events: Record, windows: Floats) -> int:
    """The stream ends: write the beats that still wait on the lead in use, all unusable."""
    s, plan = states[0], plans[0]
    s.events = 0
    s.windows = 0
    nothing, idle = np.full(1, np.nan), np.zeros(leads.size, np.int64)
    each = leads[s.used]
    each.waiting += qrs_detector.run(
        nothing, nothing, s.made, each.detector, each.found[each.waiting :]
    )
    while each.waiting:
        apex = lead_switching.position(each, each.found[0].r_peak)
        emit.tell_beat(s, leads, plan, apex, s.seen, idle, events, windows)
        drop_first(each)
    told: int = s.events
    return told
