"""Atrial fibrillation in a longer stream: CinC 2017's recordings, each joined with itself.

Recordings labelled A of `LEAST_S` or more, all labelled N whatever their length, as streams of
`STREAM_S` (`benchmarks.clinical.alarms.joined`). Told is one with an alarm of atrial fibrillation
within `WITHIN_S` of its beginning; false is one labelled N with such an alarm at any time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from beatgan.records import read_recording
from benchmarks.clinical.alarms.alarm_episodes import AF, AlarmEpisode, of, of_patient
from benchmarks.clinical.alarms.copies import written
from benchmarks.clinical.alarms.daemon_command import Source
from benchmarks.clinical.alarms.hand_held import NORMAL, read_labels
from benchmarks.clinical.alarms.joined import joined
from benchmarks.clinical.alarms.record_set import RecordSet
from benchmarks.clinical.alarms.report import ONE, Distribution, Figure, clock, columns, rate, share

LABEL = "A"
LEAST_S, STREAM_S, WITHIN_S = 30.0, 180.0, 60.0


@dataclass(frozen=True, slots=True)
class AtrialFibrillation:
    """The alarms of the patient in the joined recordings, by label and record.

    ``left_out``: of each label, in how many too few beats were found to join them.
    """

    alarms: Mapping[str, Mapping[str, Sequence[AlarmEpisode]]]
    left_out: Mapping[str, int]

    def lines(self) -> Iterator[str]:
        """What is told and what is false, how soon, and how often there is another alarm."""
        for label, left_out in self.left_out.items():
            yield f"{label}: {len(self.alarms[label])} recordings joined, {left_out} left out"
        for figure in self.figures():
            yield f"{figure.name}: {figure.text}"
        yield f"delay in A, s: {Distribution.of(list(self._first(LABEL).values()))}"

    def details(self) -> Iterator[str]:
        """Each one not told in time, each false one."""
        told, false = self._first(LABEL), self._first(NORMAL)
        yield from columns(
            ("A, not in time", "told at"),
            [
                (name, clock(told[name]) if name in told else "never")
                for name in self.alarms[LABEL]
                if told.get(name, STREAM_S) > WITHIN_S
            ],
        )
        yield ""
        yield from columns(("N, false", "told at"), [(n, clock(at)) for n, at in false.items()])

    def figures(self) -> Iterator[Figure]:
        """Told, false; alarms an hour in the joined recordings of normal rhythm."""
        told = sum(at <= WITHIN_S for at in self._first(LABEL).values())
        yield Figure(
            f"CinC 2017 A, joined: {AF} within {WITHIN_S:g} s",
            share(told, len(self.alarms[LABEL])),
            ONE,
        )
        false = share(len(self._first(NORMAL)), len(self.alarms[NORMAL]))
        yield Figure(f"CinC 2017 N, joined: {AF}, false", false, ONE)
        for priority in ("high", "medium"):
            counts = [sum(e.priority == priority for e in x) for x in self.alarms[NORMAL].values()]
            title = f"CinC 2017 N, joined: {priority} an hour"
            yield Figure(title, rate(counts, [STREAM_S / 3600] * len(counts)), ONE)

    def _first(self, label: str) -> dict[str, float]:
        """When it is told first, in those in which it is."""
        raised = {name: [e.raised for e in of(x, AF)] for name, x in self.alarms[label].items()}
        return {name: min(times) for name, times in raised.items() if times}


def evaluate(records: RecordSet) -> AtrialFibrillation:
    """All recordings of ``cinc2017`` that count; raises UsageError if there are none."""
    labels = read_labels(records)
    sources: dict[str, list[Source]] = {LABEL: [], NORMAL: []}
    left_out = dict.fromkeys(sources, 0)
    for name, label in labels.items():
        recording = read_recording(records.path(name))
        short = len(recording.samples) < LEAST_S * recording.fs
        if label not in sources or (label == LABEL and short):
            continue
        samples = joined(recording, STREAM_S)
        if samples is None:
            left_out[label] += 1
        else:
            form = (recording.fs, recording.leads, samples, records.folder)
            sources[label].append(written(f"{name}-joined", name, *form))
    alarms = records.stream([each for some in sources.values() for each in some])
    return AtrialFibrillation(
        {
            label: {source.record: of_patient(alarms[source.name]) for source in some}
            for label, some in sources.items()
        },
        left_out,
    )
