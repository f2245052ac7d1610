"""Which alarms of the patient the annotations account for, by code.

An alarm is true that touches, within EC57's tolerance for runs, a stretch in which it is right: a
run, flutter or fibrillation for the ventricular ones and for tachycardia, a pause for asystole and
bradycardia, and rates near the limit for both rates: `NEAR` is the share by which they may be
within it, and fewer beats do than an event has by definition, since an alarm may be sooner.
"""

from collections.abc import Sequence

from beatgan_train.ec57.episodes import RUN_TOLERANCE_S, RhythmReference, Span, false_episodes
from benchmarks.clinical.alarms.alarm_episodes import (
    ASYSTOLE,
    BRADYCARDIA,
    RUN,
    TACHYCARDIA,
    VF,
    AlarmEpisode,
)
from benchmarks.clinical.alarms.heart_rate_reference import Definition, rate_events

SLACK_S = 0.1  # by which an annotated pause may be shorter than the limit: R peaks differ
NEAR = 0.05
FAST = Definition(5, 140.0 * (1 - NEAR), float("inf"))
SLOW = Definition(3, 0.0, 40.0 * (1 + NEAR))


def right(code: str, reference: RhythmReference, pause_s: float) -> tuple[Span, ...]:
    """Where an alarm of ``code`` is right; asystole is a pause of ``pause_s``."""
    pauses = reference.pauses(pause_s - SLACK_S)
    if code == ASYSTOLE:
        return pauses
    if code in (RUN, VF):
        return reference.ventricular
    if code == TACHYCARDIA:
        fast = rate_events(reference, FAST)
        return (*reference.ventricular, *(event.span for event in fast))
    if code == BRADYCARDIA:
        return (*pauses, *(event.span for event in rate_events(reference, SLOW)))
    return ()


def not_right(
    alarms: Sequence[AlarmEpisode], reference: RhythmReference, pause_s: float
) -> list[AlarmEpisode]:
    """Those that nothing in ``reference`` accounts for."""
    spans = {code: right(code, reference, pause_s) for code in {e.code for e in alarms}}
    return [e for e in alarms if false_episodes(spans[e.code], [e], RUN_TOLERANCE_S)]
