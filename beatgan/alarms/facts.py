"""What a detector knows of its alarm condition, as values: ``sentence.py`` puts it into words."""

from enum import StrEnum

from msgspec import Struct


class Subtype(StrEnum):
    """What an alarm condition is more exactly than its code says, in words for people."""

    VENTRICULAR_TACHYCARDIA = "ventricular tachycardia"
    SUSTAINED_VENTRICULAR_TACHYCARDIA = "sustained ventricular tachycardia"
    ACCELERATED_IDIOVENTRICULAR = "accelerated idioventricular rhythm"
    EXTREME_TACHYCARDIA = "extreme tachycardia"
    EXTREME_BRADYCARDIA = "extreme bradycardia"


class Facts(Struct, frozen=True, gc=False):
    """What is known of an alarm condition at one moment; None where it is not known.

    ``heart_rate``: in beats a minute, where the condition has one of its own (of a run, its beats';
    else the policy adds the patient's). ``beats``: how many the episode has so far. ``duration_s``:
    for how long the condition has held. ``limit``: what was passed, in the unit of what passed it.
    ``per_hour``: how often it was found in the latest hour.
    """

    subtype: Subtype | None = None
    heart_rate: float | None = None
    beats: int | None = None
    duration_s: float | None = None
    limit: float | None = None
    per_hour: int | None = None


NO_FACTS = Facts()
