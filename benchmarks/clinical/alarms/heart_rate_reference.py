"""Where annotated beats are too fast or too slow, after the CinC 2015 challenge's definitions.

Too fast: 17 beats in a row above 140/min. Too slow: 5 in a row below 40/min. The rate of some beats
is beyond a limit where both the mean and the median interval between them are, so that one pause is
no bradycardia; an event begins and ends with an interval that is so itself. Beats in annotated
flutter or fibrillation do not count. Knows no alarm.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean, median
from typing import NamedTuple

from beatgan.ec57.episodes import RhythmReference, Span


class Definition(NamedTuple):
    """So many beats in a row whose rate (a minute) lies between the two."""

    beats: int
    above: float
    below: float

    def met(self, interval: float) -> bool:
        """Whether the rate lies there, beats being ``interval`` seconds apart."""
        return self.above * interval < 60 < self.below * interval


FAST = Definition(17, 140.0, float("inf"))
SLOW = Definition(5, 0.0, 40.0)


@dataclass(frozen=True, slots=True)
class RateEvent:
    """An event from its first beat to its last; with the beat at ``met`` it is one. In seconds."""

    record: str
    span: Span
    met: float


def rate_events(reference: RhythmReference, definition: Definition) -> list[RateEvent]:
    """The record's events in order; stretches of beats that share a beat are one event."""
    events: list[RateEvent] = []
    for span, met in _stretches(reference, definition):
        if events and span.begin <= events[-1].span.end:
            joined = Span(events[-1].span.begin, span.end)
            events[-1] = RateEvent(reference.record, joined, events[-1].met)
        else:
            events.append(RateEvent(reference.record, span, met))
    return events


def _stretches(reference: RhythmReference, definition: Definition) -> Iterator[tuple[Span, float]]:
    """From the first beat beyond the limit to the last, of so many; and the last of these."""
    time = reference.time
    for first in range(len(time) - definition.beats + 1):
        some = time[first : first + definition.beats]
        pairs = list(itertools.pairwise(some))
        intervals = [b - a for a, b in pairs]
        if not (definition.met(median(intervals)) and definition.met(fmean(intervals))):
            continue
        beyond = [(a, b) for a, b in pairs if definition.met(b - a)]
        if beyond and not any(Span(some[0], some[-1]).touches(f) for f in reference.flutter):
            yield Span(beyond[0][0], beyond[-1][1]), some[-1]
