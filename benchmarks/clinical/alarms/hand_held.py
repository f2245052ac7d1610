"""Hand-held recordings of the CinC 2017 challenge: alarms of the patient an hour, by their label.

They last 9 to 61 s; electrodes are put on and let go while they run. Their labels
(``REFERENCE.csv``): N normal rhythm, A atrial fibrillation, O another rhythm, ~ too noisy.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from beatgan.errors import UsageError
from benchmarks.clinical.alarms.alarm_episodes import PRIORITIES, AlarmEpisode, of_patient
from benchmarks.clinical.alarms.daemon_command import Source
from benchmarks.clinical.alarms.record_set import RecordSet
from benchmarks.clinical.alarms.report import ONE, Figure, clock, columns, rate, tally

DATABASE, LABELS = "cinc2017", "REFERENCE.csv"
NORMAL = "N"


@dataclass(frozen=True, slots=True)
class HandHeld:
    """The label and length (hours) of each recording, and its alarms of the patient."""

    labels: Mapping[str, str]
    hours: Mapping[str, float]
    alarms: Mapping[str, Sequence[AlarmEpisode]]

    def lines(self) -> Iterator[str]:
        """Alarms an hour by label and priority, with intervals over recordings; then by code."""
        yield "alarms of the patient an hour (95 % interval over recordings)"
        yield from columns(
            ("label", "recordings", "hours", *reversed(PRIORITIES)),
            [
                (
                    *(label, len(names), sum(self.hours[name] for name in names)),
                    *(self._rate(names, priority) for priority in reversed(PRIORITIES)),
                )
                for label, names in self._by_label()
            ],
        )
        yield ""
        found = {
            label: [f"{e.priority} {e.code}" for name in names for e in self.alarms[name]]
            for label, names in self._by_label()
        }
        yield from tally("alarms", found)

    def details(self) -> Iterator[str]:
        """Each alarm."""
        yield from columns(
            ("alarm", "label", "code", "priority", "raised", "onset", "end"),
            [
                (e.record, label, e.code, e.priority, *map(clock, (e.raised, e.onset, e.end)))
                for label, names in self._by_label()
                for name in names
                for e in self.alarms[name]
            ],
        )

    def figures(self) -> Iterator[Figure]:
        """High and medium alarms an hour by label."""
        for label, names in self._by_label():
            for priority in ("high", "medium"):
                title = f"CinC 2017 {label}: {priority} an hour"
                yield Figure(title, self._rate(names, priority), ONE)

    def _by_label(self) -> list[tuple[str, list[str]]]:
        return [
            (label, [name for name, each in self.labels.items() if each == label])
            for label in sorted(set(self.labels.values()))
        ]

    def _rate(self, names: Sequence[str], priority: str) -> str:
        return rate(
            [sum(e.priority == priority for e in self.alarms[name]) for name in names],
            [self.hours[name] for name in names],
        )


def evaluate(records: RecordSet) -> HandHeld:
    """All recordings of ``cinc2017`` below the data directory; raises UsageError if it has none."""
    labels = read_labels(records)
    sources = [Source(records.path(name), name) for name in labels]
    alarms = records.stream(sources)
    return HandHeld(
        labels,
        {source.name: source.form[1] / 3600 for source in sources},
        {name: of_patient(some) for name, some in alarms.items()},
    )


def read_labels(records: RecordSet) -> dict[str, str]:
    """The label of each recording."""
    table = records.data / DATABASE / LABELS
    if not table.exists():
        raise UsageError(f"{table}: no such file")
    with table.open(newline="") as file:
        return dict(list(csv.reader(file))[1:])
