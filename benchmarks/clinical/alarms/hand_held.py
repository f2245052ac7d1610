"""Asystole alarmed in hand-held recordings of the CinC 2017 challenge, by their label.

They last 9 to 61 s and none has an asystole; electrodes are put on and let go while they run. Their
labels (``REFERENCE.csv``): N normal rhythm, A atrial fibrillation, O another rhythm, ~ too noisy.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from beatgan.errors import UsageError
from beatgan.records import read_recording
from benchmarks.clinical.alarms.alarm_episodes import ASYSTOLE, AlarmEpisode, RecordSet
from benchmarks.clinical.alarms.report import clock, columns

DATABASE, LABELS = "cinc2017", "REFERENCE.csv"


@dataclass(frozen=True, slots=True)
class HandHeld:
    """The label of each recording, and the asystoles alarmed."""

    labels: dict[str, str]
    alarms: Sequence[AlarmEpisode]

    def lines(self) -> Iterator[str]:
        """A row for each label, then one for each alarm."""
        by_label = {label: set[str]() for label in sorted(set(self.labels.values()))}
        for each in self.alarms:
            by_label[self.labels[each.record]].add(each.record)
        everywhere = list(self.labels.values())
        yield from columns(
            ("label", "recordings", "with asystole"),
            [(label, everywhere.count(label), len(names)) for label, names in by_label.items()],
        )
        yield ""
        yield from columns(
            ("alarm", "label", "raised", "onset", "end"),
            [
                (e.record, self.labels[e.record], *map(clock, (e.raised, e.onset, e.end)))
                for e in self.alarms
            ],
        )


def evaluate(records: RecordSet) -> HandHeld:
    """All recordings of ``cinc2017`` below the data directory; raises UsageError if it has none."""
    table = records.data / DATABASE / LABELS
    if not table.exists():
        raise UsageError(f"{table}: no such file")
    with table.open(newline="") as file:
        labels = dict(list(csv.reader(file))[1:])
    alarms = [
        alarm
        for name in labels
        for alarm in records.stream(read_recording(table.with_name(name)))
        if alarm.code == ASYSTOLE
    ]
    return HandHeld(labels, alarms)
