"""What is told of one stream: beats in their patient's context, changes of its signal, strips.

Knows the stream's state and its leads' as they are at that moment. When that is, stream.py decides.
"""

from functools import lru_cache

import numpy as np

from beatgan.beats import beat_quality, lead_pipeline, lead_switching, template
from beatgan.beats.window import by_patient, patient_scale, to_unit_range
from beatgan.jit import compiled
from beatgan.signal import resample, signal_quality, vf_features
from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles, Floats, Ints, Record

FREE = 1 << 20  # no lag: the window is moved so as to match best

BEAT, CHANGE, STRIP = 0, 1, 2
EVENT = np.dtype(
    [
        ("kind", "i8"),  # BEAT, CHANGE or STRIP
        ("lead", "i8"),  # its column
        ("sample", "i8"),
        ("known_at", "i8"),
        ("n", "i8"),  # of a beat; of a change its condition, a bit of quality's; how quiet a strip
        ("interval", "f8"),  # RR, or NaN
        ("grade", "i8"),
        ("distance", "f8"),  # or a strip's chaos
        ("prematurity", "f8"),
        ("begins", "i8"),  # or whether a strip is present
        ("suspended", "i8"),
    ]
)
MOST_BEATS = 24  # in one call of at most a frontend.FRAME
MOST_EVENTS = 160
MOST_LEADS = 16  # that a stream may have

QUIET = 720  # samples (2 s) without a beat are of interest ...
CHAOTIC = 0.0  # ... and so is more chaos than this
SMOOTH = 0.25  # weight of the newest in the running chaos


@lru_cache(maxsize=16)
def layout(spec: PreprocessSpec) -> np.dtype[np.void]:
    """The type of a stream's state besides its leads'."""
    return np.dtype(
        [
            ("first", "i8"),  # source sample that it begins with
            ("seen", "i8"),  # source samples so far
            ("made", "i8"),  # model-rate samples so far
            ("used", "i8"),  # the lead whose beats count
            ("parked", "i8", (MOST_LEADS,)),  # what ailed the leads that gave up their place
            ("beats", "i8"),  # told so far
            ("last", "i8"),  # the latest one's apex, -1 for none ...
            ("last_lead", "i8"),  # ... and the lead that had it
            ("suspended", "i8"),  # 1 while no lead is well
            ("beat", "i8"),  # apex of the latest beat that any lead's strip has, -1 for none
            ("absent", "i8"),  # the latest tick at which no lead had a signal
            ("chaos", "f8"),  # running, of the least chaotic lead
            ("strips", "i8"),  # 1 while they are told
            ("events", "i8"),  # written in this call ...
            ("windows", "i8"),  # ... and the beats among them
            ("intervals", "f8", (spec.rr_beats,)),  # see reference.prematurity
        ]
    )


@compiled
def source(s: Record, plan: Record, index: int) -> int:
    """The source's sample at the model's sample ``index``."""
    first: int = s.first
    return max(first, resample.source(index, plan.num, plan.den))


@compiled
def _interval(s: Record, each: Record, apex: int) -> tuple[float, float]:
    """RR and prematurity of the beat at ``apex``, the oldest that waits on its lead.

    NaN and 0 where signal was lost since the beat before, or where that was another lead's and this
    lead had none there.
    """
    known = s.last >= 0 and each.found[0].contiguous
    if s.used != s.last_lead:
        same = abs(lead_switching.position(each, each.previous) - s.last) <= lead_switching.NEAR
        known = known and each.previous >= 0 and same
    interval = apex - s.last
    s.last = apex
    s.last_lead = s.used
    if not known:
        return np.nan, 0.0
    return float(interval), template.prematurity(s.intervals, interval)


@compiled
def _compare(
    s: Record, leads: Record, plan: Record, apex: int, idle: Ints, pair: Doubles
) -> tuple[float, int]:
    """Distance and grade of the beat on the lead in use, which gives its window and shape.

    The others share in the distance where they can say anything; one that has been ``idle`` since
    the apex cannot, though it is not known yet whether it is flat.
    """
    end = s.made
    if not lead_pipeline.whole(leads[s.used], plan, apex, end):
        return np.nan, beat_quality.UNUSABLE
    apart, lag, grade = lead_pipeline.compare(
        leads[s.used], plan, apex, end, FREE, pair[0], pair[1]
    )
    scratch = np.empty_like(pair)
    for which in range(leads.size):
        silent = idle[which] >= plan.length - plan.before
        if which == s.used or silent or not lead_pipeline.whole(leads[which], plan, apex, end):
            continue
        other = lead_pipeline.compare(leads[which], plan, apex, end, lag, scratch[0], scratch[1])
        if other[2] != beat_quality.UNUSABLE and not np.isnan(apart) and not np.isnan(other[0]):
            share = plan.second_lead if which else 1 - plan.second_lead
            apart += share * (other[0] - apart)
    return apart, grade


@compiled
def _normalise(plan: Record, pair: Doubles, out: Floats) -> None:
    """Window and reference in the spec's units."""
    if plan.unit_range:
        to_unit_range(pair[0], out[0])
        to_unit_range(pair[1], out[1])
        return
    scale = patient_scale(pair[1], plan.scored_start, plan.scored_stop)
    by_patient(pair[0], scale, out[0])
    by_patient(pair[1], scale, out[1])


@compiled
def tell_beat(
    s: Record,
    leads: Record,
    plan: Record,
    apex: int,
    known_at: int,
    idle: Ints,
    events: Record,
    windows: Floats,
) -> None:
    """Write the oldest beat that waits on the lead in use, which lies at ``apex``.

    ``idle``: for how long each lead has carried nothing.
    """
    pair = np.empty((2, plan.length))
    event = events[s.events]
    event.kind = BEAT
    event.lead = leads[s.used].column
    event.sample = source(s, plan, apex - plan.late)
    event.known_at = known_at
    event.n = s.beats
    event.interval, event.prematurity = _interval(s, leads[s.used], apex)
    event.distance, event.grade = _compare(s, leads, plan, apex, idle, pair)
    if event.grade != beat_quality.UNUSABLE:
        _normalise(plan, pair, windows[s.windows])
    s.beats += 1
    s.events += 1
    s.windows += 1


@compiled
def tell_change(
    s: Record,
    leads: Record,
    which: int,
    condition: int,
    begins: bool,
    sample: int,
    known_at: int,
    events: Record,
) -> None:
    """Write a change of a lead's signal.

    Unless nobody need know: a lead that is not in use may not be attached before it was well once.
    """
    before = s.suspended
    s.suspended = lead_switching.suspended(leads)
    each = leads[which]
    known = which == s.used or each.previous >= 0 if begins else each.told & condition != 0
    if not known and s.suspended == before:
        return
    each.told = each.told | condition if begins else each.told & ~condition
    event = events[s.events]
    event.kind = CHANGE
    event.lead = leads[which].column
    event.sample = sample
    event.known_at = known_at
    event.n = condition
    event.begins = begins
    event.suspended = s.suspended
    s.events += 1


@compiled
def _least_chaos(looks: Record) -> float:
    """Of the leads that have signal; where none has, as little as there can be."""
    least = np.inf
    for look in looks:
        least = min(least, look.chaos)  # a comparison with NaN leaves it
    return vf_features.LOWEST if np.isinf(least) else least


@compiled
def is_due(s: Record, tick: int) -> bool:
    """Whether the strips are to be looked at: not at each tick, while beats come."""
    waited = tick - max(s.beat, s.absent) > QUIET - vf_features.RENEWED
    due: bool = waited or s.strips != 0 or (tick + 1) % vf_features.RENEWED == 0
    return due


@compiled
def tell_strip(
    s: Record, leads: Record, plan: Record, looks: Record, tick: int, known_at: int, events: Record
) -> None:
    """Write what the leads' strips look like at sample ``tick``, while that is of interest."""
    arrives, present = False, False
    for which in range(leads.size):
        s.beat = max(s.beat, looks[which].beat)
        if not leads[which].ill & (signal_quality.IN_GAP | signal_quality.IN_SATURATED):
            arrives = True
            present = present or not looks[which].masked
    if not arrives:
        s.absent = tick
    if (tick + 1) % vf_features.RENEWED == 0:
        s.chaos += SMOOTH * (_least_chaos(looks) - s.chaos)
    since = max(s.beat, s.absent)
    telling = tick - since > QUIET or s.chaos > CHAOTIC
    if telling or s.strips:
        event = events[s.events]
        event.kind = STRIP
        event.lead = leads[s.used].column
        event.sample = source(s, plan, tick)
        event.known_at = known_at
        event.n = event.sample - source(s, plan, since)
        event.distance = s.chaos
        event.begins = present
        s.events += 1
    s.strips = telling
