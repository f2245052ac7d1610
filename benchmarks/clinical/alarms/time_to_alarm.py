"""How soon the heart rate is alarmed: from an annotated event to the moment of the alarm.

The events are the CinC 2015 challenge's (`heart_rate_reference`), in mitdb and svdb. Counted is the
first alarm that can mean it, raised from `EARLY_S` before its first beat (a delay of 0) to `LATE_S`
after its last. An event during an alarm that was raised before is *standing*. How soon ventricular
runs, fibrillation and asystole are alarmed, stands in their own sections.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from beatgan.ec57.episodes import RhythmReference
from benchmarks.clinical.alarms.alarm_episodes import (
    ASYSTOLE,
    BRADYCARDIA,
    RUN,
    TACHYCARDIA,
    VF,
    AlarmEpisode,
    of,
)
from benchmarks.clinical.alarms.heart_rate_reference import (
    FAST,
    SLOW,
    Definition,
    RateEvent,
    rate_events,
)
from benchmarks.clinical.alarms.record_set import RecordSet
from benchmarks.clinical.alarms.report import Distribution, Figure, clock, columns, share

EARLY_S, LATE_S = 10.0, 10.0
EVENTS: Mapping[str, tuple[Definition, Sequence[str]]] = {
    "bradycardia": (SLOW, (BRADYCARDIA, ASYSTOLE)),
    "tachycardia": (FAST, (TACHYCARDIA, RUN, VF)),
}
Outcome = Literal["raised", "standing", "missed"]


@dataclass(frozen=True, slots=True)
class Timed:
    """An event of a ``kind`` and what became of it.

    ``alarm`` is the first one for it, ``delay`` how long that came after the event's first beat.
    """

    kind: str
    event: RateEvent
    outcome: Outcome
    alarm: AlarmEpisode | None = None
    delay: float | None = None


@dataclass(frozen=True, slots=True)
class TimeToAlarm:
    """All events of the records, by database."""

    events: Mapping[str, Sequence[Timed]]

    def lines(self) -> Iterator[str]:
        """For each database and kind: how many, and the delays."""
        for database, kind, some in self._groups():
            count = Counter(each.outcome for each in some)
            yield f"{database}, {kind}: " + ", ".join(f"{n} {what}" for what, n in count.items())
            yield f"  after the first beat, s: {_delays(some)}"
            after = [max(0.0, e.alarm.raised - e.event.met) for e in some if e.alarm is not None]
            yield f"  after the beat that makes it one, s: {Distribution.of(after)}"

    def details(self) -> Iterator[str]:
        """Each event."""
        yield from columns(
            ("event", "kind", "first beat", "lasts s", "outcome", "delay s", "alarm"),
            [
                (
                    *(each.event.record, kind, clock(each.event.span.begin)),
                    f"{each.event.span.end - each.event.span.begin:.1f}",
                    each.outcome,
                    "" if each.delay is None else each.delay,
                    "" if each.alarm is None else f"{each.alarm.code} {each.alarm.priority}",
                )
                for _, kind, some in self._groups()
                for each in some
            ],
        )

    def figures(self) -> Iterator[Figure]:
        """Those alarmed, and how soon."""
        for database, kind, some in self._groups():
            told = sum(each.outcome != "missed" for each in some)
            yield Figure(f"{database}, {kind}: events alarmed", share(told, len(some)))
            yield Figure(f"{database}, {kind}: s after the first beat", _delays(some))

    def _groups(self) -> Iterator[tuple[str, str, Sequence[Timed]]]:
        for database, events in self.events.items():
            for kind in EVENTS:
                yield database, kind, [each for each in events if each.kind == kind]


def _delays(events: Sequence[Timed]) -> str:
    return str(Distribution.of([each.delay for each in events if each.delay is not None]))


def evaluate(records: RecordSet) -> TimeToAlarm:
    """The chosen records, or those of mitdb and of svdb."""
    found: dict[str, list[Timed]] = {}
    for database, names in records.sets("mitdb", "svdb").items():
        alarms = records.alarms(names)
        found[database] = [
            each for name in names for each in timed(records.reference(name), alarms[name])
        ]
    return TimeToAlarm(found)


def timed(reference: RhythmReference, alarms: Sequence[AlarmEpisode]) -> list[Timed]:
    """What became of each of a record's events."""
    return [
        _timed(kind, event, of(alarms, *codes))
        for kind, (definition, codes) in EVENTS.items()
        for event in rate_events(reference, definition)
    ]


def _timed(kind: str, event: RateEvent, alarms: Sequence[AlarmEpisode]) -> Timed:
    near = event.span.wider(EARLY_S, LATE_S)
    if raised := [alarm for alarm in alarms if near.holds(alarm.raised)]:
        first = min(raised, key=lambda alarm: alarm.raised)
        delay = max(0.0, first.raised - event.span.begin)
        return Timed(kind, event, "raised", first, delay)
    standing = any(alarm.shown.holds(event.span.begin) for alarm in alarms)
    return Timed(kind, event, "standing" if standing else "missed")
