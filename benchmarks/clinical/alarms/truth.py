"""Which alarms of the patient the annotations account for, by code.

An alarm is true that touches, within EC57's tolerance for runs, a stretch in which it is right: a
run, flutter or fibrillation for the ventricular ones and for tachycardia, a pause for asystole,
pause and bradycardia, and rates near the limit for both rates: `NEAR` is the share by which they
may be within it, and fewer beats do than an event has by definition, since an alarm may be sooner.
"""

from collections.abc import Sequence
from math import inf

from beatgan.alarms.limits import AlarmLimits
from beatgan.ec57.episodes import RUN_TOLERANCE_S, RhythmReference, Span, false_episodes
from benchmarks.clinical.alarms.alarm_episodes import (
    ASYSTOLE,
    BRADYCARDIA,
    PAUSE,
    RUN,
    TACHYCARDIA,
    VF,
    AlarmEpisode,
)
from benchmarks.clinical.alarms.heart_rate_reference import Definition, rate_events

SLACK_S = 0.1  # by which an annotated pause may be shorter than the limit: R peaks differ
NEAR = 0.05
FAST_BEATS, SLOW_BEATS = 5, 3


def right(code: str, reference: RhythmReference, limits: AlarmLimits) -> tuple[Span, ...]:
    """Where an alarm of ``code`` is right, with these limits."""
    if code in (RUN, VF):
        return reference.ventricular
    if code == PAUSE:
        return reference.pauses(limits.pause_s - SLACK_S)
    pauses = reference.pauses(limits.asystole_s - SLACK_S)
    if code == ASYSTOLE:
        return pauses
    if code == TACHYCARDIA:
        fast = Definition(FAST_BEATS, limits.tachycardia_rate * (1 - NEAR), inf)
        return (*reference.ventricular, *_spans(reference, fast))
    if code == BRADYCARDIA:
        slow = Definition(SLOW_BEATS, 0.0, limits.bradycardia_rate * (1 + NEAR))
        return (*pauses, *_spans(reference, slow))
    return ()


def _spans(reference: RhythmReference, definition: Definition) -> list[Span]:
    return [event.span for event in rate_events(reference, definition)]


def not_right(
    alarms: Sequence[AlarmEpisode], reference: RhythmReference, limits: AlarmLimits
) -> list[AlarmEpisode]:
    """Those that nothing in ``reference`` accounts for."""
    spans = {code: right(code, reference, limits) for code in {e.code for e in alarms}}
    return [e for e in alarms if false_episodes(spans[e.code], [e], RUN_TOLERANCE_S)]
