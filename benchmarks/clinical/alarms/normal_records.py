"""All alarms of whatever kind in records of which fewer than 1 % of the beats are abnormal.

Abnormal is every reference beat of another AAMI class than N. Alarms are episodes, not messages.
True ones, such as a bradycardia of such a record, are counted apart (`.truth`).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from beatgan.ec57.episodes import RhythmReference
from benchmarks.clinical.alarms.alarm_episodes import AlarmEpisode
from benchmarks.clinical.alarms.record_set import RecordSet
from benchmarks.clinical.alarms.report import Figure, clock, columns, per_hour
from benchmarks.clinical.alarms.truth import not_right

ABNORMAL = 0.01


@dataclass(frozen=True, slots=True)
class NormalRecords:
    """The alarms of the nearly normal ones of the records ``title``, with the beats around."""

    title: str
    names: Sequence[str]
    abnormal: Sequence[float]  # the share of each record's beats
    hours: float
    alarms: Sequence[AlarmEpisode]
    beats: Sequence[str]
    true: Sequence[bool]  # whether the annotations account for each alarm

    @property
    def others(self) -> int:
        """How many alarms there are, true ones apart."""
        return len(self.alarms) - sum(self.true)

    def lines(self) -> Iterator[str]:
        """The rate, a row for each record."""
        yield f"all alarms: {per_hour(len(self.alarms), self.hours)}, {len(self.names)} records"
        for code, count in sorted(Counter(e.code for e in self.alarms).items()):
            yield f"  {code}: {per_hour(count, self.hours)}"
        yield f"true ones apart: {per_hour(self.others, self.hours)}"
        yield f"held back: {sum(e.suppressed for e in self.alarms)}"
        yield ""
        codes = sorted({e.code for e in self.alarms})
        yield from columns(
            ("record", "abnormal %", *codes, "all"),
            [self._row(*each, codes) for each in zip(self.names, self.abnormal, strict=True)],
        )

    def details(self) -> Iterator[str]:
        """Each alarm."""
        yield from columns(
            ("alarm", "code", "priority", "raised", "onset", "end", "true", "reference beats"),
            [
                (
                    *(e.record, e.code, e.priority, *map(clock, (e.raised, e.onset, e.end))),
                    *("yes" if true else "", beats),
                )
                for e, beats, true in zip(self.alarms, self.beats, self.true, strict=True)
            ],
        )

    def figures(self) -> Iterator[Figure]:
        """All alarms an hour."""
        title = f"{self.title}, nearly normal records: alarms"
        yield Figure(title, per_hour(len(self.alarms), self.hours))
        yield Figure(f"{title}, true ones apart", per_hour(self.others, self.hours))

    def _row(self, name: str, abnormal: float, codes: Sequence[str]) -> list[object]:
        count = Counter(e.code for e in self.alarms if e.record == name)
        return [name, 100 * abnormal, *(count[code] for code in codes), count.total()]


def evaluate(records: RecordSet) -> NormalRecords:
    """Of the chosen records, or DS2, the nearly normal ones."""
    references = [records.reference(name) for name in records.records("DS2")]
    normal = [each for each in references if is_nearly_normal(each)]
    raised = records.alarms([each.record for each in normal])
    alarms = [
        (alarm, each.around(alarm.span), not not_right([alarm], each, records.limits))
        for each in normal
        for alarm in raised[each.record]
    ]
    return NormalRecords(
        records.names or "DS2",
        [each.record for each in normal],
        [each.abnormal_share() for each in normal],
        sum(each.seconds for each in normal) / 3600,
        [alarm for alarm, _, _ in alarms],
        [beats for _, beats, _ in alarms],
        [true for _, _, true in alarms],
    )


def is_nearly_normal(reference: RhythmReference) -> bool:
    """Whether too few beats are abnormal to be worth an alarm."""
    return reference.abnormal_share() < ABNORMAL and not reference.flutter
