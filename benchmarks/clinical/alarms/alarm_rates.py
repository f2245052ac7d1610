"""Alarms of the patient an hour in annotated records: by priority and code, and how many are false.

False is an alarm of high priority that the annotations do not account for
(`benchmarks.clinical.alarms.truth`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from beatgan.alarms.limits import AlarmLimits
from beatgan.ec57.episodes import RhythmReference
from benchmarks.clinical.alarms.alarm_episodes import PRIORITIES, AlarmEpisode, of_patient
from benchmarks.clinical.alarms.record_set import RecordSet
from benchmarks.clinical.alarms.report import Figure, clock, columns, rate, share, tally
from benchmarks.clinical.alarms.truth import not_right
from benchmarks.clinical.alarms.ventricular_runs import detection


@dataclass(frozen=True, slots=True)
class RecordAlarms:
    """One record's alarms of the patient, the ``false`` ones among those of high priority.

    ``found`` of ``runs`` ventricular runs have an alarm.
    """

    hours: float
    alarms: Sequence[AlarmEpisode]
    false: Sequence[AlarmEpisode]
    found: int
    runs: int


@dataclass(frozen=True, slots=True)
class AlarmRates:
    """The records of each database."""

    databases: Mapping[str, Sequence[RecordAlarms]]

    def lines(self) -> Iterator[str]:
        """A row for each database; then a table of codes."""
        yield "alarms of the patient an hour (95 % interval over records)"
        yield from columns(
            ("database", "records", "hours", *reversed(PRIORITIES), "false high", "runs found"),
            [
                (
                    *(title, len(some), sum(each.hours for each in some)),
                    *(_rate(some, priority) for priority in reversed(PRIORITIES)),
                    *(_false(some), _runs(some)),
                )
                for title, some in self.databases.items()
            ],
        )
        yield ""
        found = {
            title: [f"{e.priority} {e.code}" for each in some for e in each.alarms]
            for title, some in self.databases.items()
        }
        yield from tally("alarms", found)

    def details(self) -> Iterator[str]:
        """Each false alarm of high priority."""
        yield from columns(
            ("false", "database", "code", "raised", "onset", "end"),
            [
                (e.record, title, e.code, clock(e.raised), clock(e.onset), clock(e.end))
                for title, some in self.databases.items()
                for each in some
                for e in each.false
            ],
        )

    def figures(self) -> Iterator[Figure]:
        """The first table."""
        for title, some in self.databases.items():
            for priority in ("high", "medium"):
                yield Figure(f"{title}: {priority} alarms an hour", _rate(some, priority))
            yield Figure(f"{title}: false high alarms an hour", _false(some))
            yield Figure(f"{title}: ventricular runs found", _runs(some))


def _rate(records: Sequence[RecordAlarms], priority: str) -> str:
    counts = [sum(e.priority == priority for e in each.alarms) for each in records]
    return rate(counts, [each.hours for each in records])


def _false(records: Sequence[RecordAlarms]) -> str:
    return rate([len(each.false) for each in records], [each.hours for each in records])


def _runs(records: Sequence[RecordAlarms]) -> str:
    return share(sum(each.found for each in records), sum(each.runs for each in records))


def evaluate(records: RecordSet) -> AlarmRates:
    """The chosen records, or DS1, DS2 and svdb."""
    found: dict[str, list[RecordAlarms]] = {}
    for title, names in records.sets("DS1", "DS2", "svdb").items():
        alarms = records.alarms(names)
        found[title] = [
            of_record(records.reference(name), alarms[name], records.limits) for name in names
        ]
    return AlarmRates(found)


def of_record(
    reference: RhythmReference, alarms: Sequence[AlarmEpisode], limits: AlarmLimits
) -> RecordAlarms:
    """One record."""
    patient = of_patient(alarms)
    high = [alarm for alarm in patient if alarm.priority == "high"]
    runs = reference.runs()
    found = sum(detection(run, patient).delay is not None for run in runs)
    false = not_right(high, reference, limits)
    return RecordAlarms(reference.seconds / 3600, patient, false, found, len(runs))
