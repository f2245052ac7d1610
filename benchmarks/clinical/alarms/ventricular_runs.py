"""Ventricular runs found and missed, and every high alarm that nothing annotated accounts for.

A run is three or more consecutive beats annotated V. It is found by a ventricular-run or
fibrillation alarm of any priority (a short run is of medium priority) that touches it:
`beatgan.ec57.episodes.run_detection`. A high alarm is
false where it touches, within the same tolerance, nothing that it could mean
(`benchmarks.clinical.alarms.truth`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from beatgan.alarms.limits import AlarmLimits
from beatgan.ec57.episodes import (
    RUN_TOLERANCE_S,
    EpisodeComparison,
    RhythmReference,
    Run,
    compare,
    length,
    run_detection,
    union,
)
from benchmarks.clinical.alarms.alarm_episodes import RUN, VF, AlarmEpisode
from benchmarks.clinical.alarms.record_set import RecordSet
from benchmarks.clinical.alarms.report import (
    Distribution,
    Figure,
    clock,
    columns,
    per_hour,
    share,
)
from benchmarks.clinical.alarms.truth import not_right

FAST = 100.0  # beats a minute: what is slower is by definition no alarm


@dataclass(frozen=True, slots=True)
class RunDetection:
    """A run, and code and delay (s) of the first alarm for it, if there is one."""

    run: Run
    code: str | None
    delay: float | None


@dataclass(frozen=True, slots=True)
class FalseAlarm:
    """A false alarm, with the symbols of the reference beats around it."""

    alarm: AlarmEpisode
    beats: str


@dataclass(frozen=True, slots=True)
class VentricularRuns:
    """The figures of the records ``names``, together ``title``.

    ``shown``: how long a high alarm stood, in seconds. ``suppressed``: high alarms held back, as
    far as a later message of the same code says so.
    """

    title: str
    names: Sequence[str]
    hours: float
    detections: Sequence[RunDetection]
    false: Sequence[FalseAlarm]
    ec57: EpisodeComparison
    shown: float
    suppressed: int

    def lines(self) -> Iterator[str]:
        """The figures, and a row for each record that has any."""
        fast = [each for each in self.detections if each.run.rate >= FAST]
        for title, some in (("runs", self.detections), (f"runs at {FAST:g}/min or faster", fast)):
            hits = [each.delay for each in some if each.delay is not None]
            yield f"{title}: found {share(len(hits), len(some))}"
            yield f"  delay after the third beat, s: {Distribution.of(hits)}"
        yield f"EC57, {RUN} or {VF} against runs and flutter, {self.ec57}"
        yield f"false high alarms: {per_hour(len(self.false), self.hours)}"
        yield f"a high alarm stood for {self.shown:.0f} s of {3600 * self.hours:.0f}"
        yield f"high alarms held back: {self.suppressed}"
        yield ""
        yield from self._each_record()

    def details(self) -> Iterator[str]:
        """Each run, each false alarm."""
        yield from columns(
            ("run", "at", "beats", "rate", "found by", "delay s"),
            [
                (f.run.record, clock(f.run.begin), f.run.beats, f"{f.run.rate:.0f}")
                + (("MISSED", "") if f.delay is None else (f.code, f.delay))
                for f in self.detections
            ],
        )
        yield ""
        yield from columns(
            ("false", "code", "raised", "onset", "end", "reference beats"),
            [
                (e.record, e.code, clock(e.raised), clock(e.onset), clock(e.end), false.beats)
                for false in self.false
                for e in (false.alarm,)
            ],
        )

    def figures(self) -> Iterator[Figure]:
        """Runs found and how soon, false alarms."""
        hits = [each.delay for each in self.detections if each.delay is not None]
        yield Figure(
            f"{self.title}: ventricular runs found", share(len(hits), len(self.detections))
        )
        yield Figure(f"{self.title}: delay after a run's third beat, s", str(Distribution.of(hits)))
        yield Figure(f"{self.title}: false high alarms", per_hour(len(self.false), self.hours))

    def _each_record(self) -> list[str]:
        rows = []
        for name in self.names:
            found = [f.delay is not None for f in self.detections if f.run.record == name]
            false = sum(each.alarm.record == name for each in self.false)
            if found or false:
                rows.append((name, len(found), sum(found), false))
        return columns(("record", "runs", "found", "false high"), rows)


def evaluate(records: RecordSet) -> VentricularRuns:
    """The chosen records, or DS2."""
    names = records.records("DS2")
    references = [records.reference(name) for name in names]
    raised = records.alarms(names)
    high = {name: [e for e in raised[name] if e.priority == "high"] for name in names}
    return VentricularRuns(
        records.names or "DS2",
        names,
        sum(r.seconds for r in references) / 3600,
        [detection(run, raised[r.record]) for r in references for run in r.runs()],
        [each for r in references for each in false_alarms(r, high[r.record], records.limits)],
        sum(
            (
                compare(union(r.ventricular), ventricular(raised[r.record]), RUN_TOLERANCE_S)
                for r in references
            ),
            EpisodeComparison(),
        ),
        sum(length(union([e.shown for e in some])) for some in high.values()),
        sum(e.suppressed for some in high.values() for e in some),
    )


def ventricular(alarms: Sequence[AlarmEpisode]) -> list[AlarmEpisode]:
    """The alarms of runs and of fibrillation."""
    return [alarm for alarm in alarms if alarm.code in (RUN, VF)]


def detection(run: Run, alarms: Sequence[AlarmEpisode]) -> RunDetection:
    """``run``, and the first of the record's alarms for it."""
    if (found := run_detection(run, ventricular(alarms))) is None:
        return RunDetection(run, None, None)
    return RunDetection(run, found[0].code, found[1])


def false_alarms(
    reference: RhythmReference, high: Sequence[AlarmEpisode], limits: AlarmLimits
) -> list[FalseAlarm]:
    """Those ``high`` alarms that nothing in ``reference`` accounts for."""
    return [
        FalseAlarm(alarm, reference.around(alarm.span))
        for alarm in not_right(high, reference, limits)
    ]
