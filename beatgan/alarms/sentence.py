"""An alarm in one sentence for people: what it is, how many beats, how fast, how long, where.

The only place with words for alarms: a detector gives `Facts`. Pure; knows no detector.
"""

from collections.abc import Mapping
from functools import cache
from string import Formatter

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import AlarmEvent
from beatgan.beat_classes import BeatClass
from beatgan.types import Kind, Phase, Score

BEATS_AT = "{count} beats at {heart_rate}/min"
NOBODY_WATCHED = "no lead is usable"
HEART_RATE = "heart rate {heart_rate}/min"
PER_HOUR = "{per_hour} in the last hour"
AT_LAST = ("{lead}", "{suspended}")  # of every alarm

# For each code its name, which a subtype replaces, and what is said of it. A part is left out where
# a fact in it is not known, and so is the count before a name. See `_known` for the facts.
WORDS: Mapping[AlarmCode, tuple[str, ...]] = {
    AlarmCode.ANOMALOUS_BEATS: ("{count} anomalous beats", "the worst {worst}", HEART_RATE),
    AlarmCode.VENTRICULAR_FIBRILLATION: (
        "ventricular fibrillation or flutter",
        "for {duration_s:.1f} s",
    ),
    AlarmCode.ASYSTOLE: ("asystole", "no beat for {duration_s:.1f} s"),
    AlarmCode.PAUSE: ("pause", "no beat for {duration_s:.1f} s"),
    AlarmCode.VENTRICULAR_RUN: ("ventricular run", BEATS_AT),
    AlarmCode.TACHYCARDIA: ("tachycardia", HEART_RATE, "above {limit:g}"),
    AlarmCode.BRADYCARDIA: ("bradycardia", HEART_RATE, "below {limit:g}"),
    AlarmCode.ATRIAL_FIBRILLATION: ("atrial fibrillation suspected", HEART_RATE),
    AlarmCode.IDIOVENTRICULAR: ("idioventricular rhythm", BEATS_AT),
    AlarmCode.VENTRICULAR_COUPLET: ("ventricular couplets", PER_HOUR),
    AlarmCode.VENTRICULAR_BIGEMINY: ("ventricular bigeminy", PER_HOUR),
    AlarmCode.GAP: ("signal lost",),
    AlarmCode.FLAT: ("flat line",),
    AlarmCode.SATURATED: ("signal at the amplifier's limit",),
    AlarmCode.NOISE: ("too much noise to score beats",),
}
CLASSES: Mapping[BeatClass, str] = {
    BeatClass.NORMAL: "of class N",
    BeatClass.SUPRAVENTRICULAR: "supraventricular",
    BeatClass.VENTRICULAR: "ventricular",
    BeatClass.FUSION: "a fusion beat",
    BeatClass.UNKNOWN: "of unknown class",
}


def sentence(
    event: AlarmEvent, heart_rate: float | None, fs: float, suspended: bool = False
) -> str:
    """The sentence for an event of a stream with ``fs`` samples a second.

    ``heart_rate``: as the message says it, None where unknown. ``suspended``: whether no lead is
    usable. Empty for a code without words.
    """
    if event.code not in WORDS:
        return ""
    end = event.end if event.phase is Phase.END else None
    # When it is over, the patient's rate is no longer that of the alarm.
    known = _known(event, heart_rate if end is None else event.facts.heart_rate, suspended)
    name, *parts = WORDS[event.code]
    said = [str(known.get("subtype", _name(name, known)))]
    said += [part.format_map(known) for part in (*parts, *AT_LAST) if _fields(part) <= known.keys()]
    text = ", ".join(said)
    if end is not None:
        text += f"; over after {(end - event.onset) / fs:.1f} s"
    return text


def _known(event: AlarmEvent, heart_rate: float | None, suspended: bool) -> dict[str, object]:
    """The facts that are known, by the names that parts of a sentence use."""
    facts = event.facts
    rate = None if heart_rate is None else _rate(heart_rate, facts.limit)
    all_facts: dict[str, object] = {
        "subtype": facts.subtype,
        "heart_rate": rate,
        "count": facts.beats,
        "duration_s": facts.duration_s,
        "limit": facts.limit,
        "per_hour": facts.per_hour,
        "lead": None if event.lead is None else _lead(event.lead),
        "suspended": NOBODY_WATCHED if suspended and event.kind is Kind.TECHNICAL else None,
        "worst": _worst(event.worst),
    }
    return {name: fact for name, fact in all_facts.items() if fact is not None}


def _lead(name: str) -> str:
    return name if name.lower().startswith("lead") else f"lead {name}"


def _rate(rate: float, limit: float | None) -> str:
    """Whole beats a minute, unless that would be the very limit that was passed."""
    whole = f"{rate:.0f}"
    return whole if limit is None or float(whole) != limit else f"{rate:.1f}"


def _worst(score: Score | None) -> str | None:
    """Of which class a beat is, and how sure that is."""
    if score is None or score.beat_class is None or score.probabilities is None:
        return None
    return f"{CLASSES[score.beat_class]} ({max(score.probabilities):.0%})"


def _name(name: str, known: Mapping[str, object]) -> str:
    return name.format_map(known) if _fields(name) <= known.keys() else name.partition("} ")[2]


@cache
def _fields(part: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in Formatter().parse(part) if name is not None)
