"""Atrial fibrillation as mitdb's rhythms are annotated: told, how soon, and told falsely.

A stretch annotated AFIB of `LEAST_S` or more is told by an alarm of atrial fibrillation that is
raised in it within `WITHIN_S` of its beginning, or that stood already. An alarm is false that
touches neither AFIB nor atrial flutter (AFL), which is as irregular where its conduction varies.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from beatgan.ec57.episodes import EpisodeComparison, Span, compare, false_episodes, union
from benchmarks.clinical.alarms.alarm_episodes import AF, AlarmEpisode, of
from benchmarks.clinical.alarms.atrial_fibrillation import LEAST_S, WITHIN_S
from benchmarks.clinical.alarms.record_set import RecordSet
from benchmarks.clinical.alarms.report import Distribution, Figure, clock, columns, per_hour, share

AFIB, AFL = "(AFIB", "(AFL"
TOLERANCE_S = WITHIN_S  # an alarm may be raised on the last irregular minute


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of AFIB, and how long after its beginning it was told: None where it was not."""

    record: str
    span: Span
    delay: float | None


@dataclass(frozen=True, slots=True)
class AnnotatedFibrillation:
    """The stretches of the records ``title``, false alarms, and EC57's figures."""

    title: str
    hours: float
    stretches: Sequence[Stretch]
    false: Sequence[AlarmEpisode]
    ec57: EpisodeComparison

    def lines(self) -> Iterator[str]:
        """The figures."""
        yield from (f"{figure.name}: {figure.text}" for figure in self.figures())
        yield f"EC57, {AF}, {self.ec57}"

    def details(self) -> Iterator[str]:
        """Each stretch, each false alarm."""
        yield from columns(
            ("AFIB", "begins", "lasts s", "told after s"),
            [
                (s.record, clock(s.span.begin), s.span.end - s.span.begin, _delay(s))
                for s in self.stretches
            ],
        )
        yield ""
        yield from columns(
            ("false", "raised", "onset", "end"),
            [(e.record, *map(clock, (e.raised, e.onset, e.end))) for e in self.false],
        )

    def figures(self) -> Iterator[Figure]:
        """Told in time, how soon, false ones an hour."""
        delays = [each.delay for each in self.stretches if each.delay is not None]
        told = sum(delay <= WITHIN_S for delay in delays)
        name = f"{self.title}: AFIB of {LEAST_S:g} s or more told within {WITHIN_S:g} s"
        yield Figure(name, share(told, len(self.stretches)))
        yield Figure(f"{self.title}: delay of {AF}, s", str(Distribution.of(delays)))
        yield Figure(f"{self.title}: false {AF}", per_hour(len(self.false), self.hours))


def _delay(stretch: Stretch) -> str:
    return "MISSED" if stretch.delay is None else f"{stretch.delay:.1f}"


def evaluate(records: RecordSet) -> AnnotatedFibrillation:
    """The chosen records, or all 48 of mitdb."""
    names = records.records("mitdb")
    alarms = {name: of(some, AF) for name, some in records.alarms(names).items()}
    afib = {name: rhythms(records.path(name), AFIB) for name in names}
    either = {name: rhythms(records.path(name), AFIB, AFL) for name in names}
    return AnnotatedFibrillation(
        records.names or "mitdb",
        sum(records.reference(name).seconds for name in names) / 3600,
        [
            Stretch(name, span, delay(span, alarms[name]))
            for name in names
            for span in afib[name]
            if span.end - span.begin >= LEAST_S
        ],
        [e for name in names for e in false_episodes(either[name], alarms[name], TOLERANCE_S)],
        sum((compare(afib[name], alarms[name]) for name in names), EpisodeComparison()),
    )


def rhythms(path: Path, *names: str) -> tuple[Span, ...]:
    """Where a record is annotated to be in one of the rhythms; each lasts until the next one."""
    import wfdb

    header, found = wfdb.rdheader(str(path)), wfdb.rdann(str(path), "atr")
    fs = float(header.fs)
    marks = [
        (sample / fs, note.rstrip("\0"))
        for sample, note in zip(found.sample.tolist(), found.aux_note, strict=True)
        if note.startswith("(")
    ]
    ends = [begin for begin, _ in marks[1:]] + [header.sig_len / fs]
    return union(
        [Span(begin, end) for (begin, note), end in zip(marks, ends, strict=True) if note in names]
    )


def delay(span: Span, alarms: Sequence[AlarmEpisode]) -> float | None:
    """How long after its beginning a stretch is told: 0 where an alarm stood already."""
    if any(alarm.shown.holds(span.begin) for alarm in alarms):
        return 0.0
    raised = [alarm.raised - span.begin for alarm in alarms if span.holds(alarm.raised)]
    return min(raised, default=None)
