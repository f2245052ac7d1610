"""The PhysioNet/CinC Challenge 2015: false arrhythmia alarms of bedside monitors, ECG alone.

Each record is what came before a monitor's alarm, which experts judged true or false; the event, if
there was one, lies in the last 10 s. Raised is an alarm that can mean it (`MEANT_BY`), in the last
`LAST_S` of the record or still under way there. The challenge's score counts a missed true alarm
five times: 100 (TP + TN) / (TP + TN + FP + 5 FN).
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from beatgan.ec57.episodes import Span
from beatgan.errors import UsageError
from beatgan.records import read_recording
from beatgan.types import Ints
from beatgan_train.evaluation.bootstrap import draw, interval
from benchmarks.clinical.alarms.alarm_episodes import (
    ASYSTOLE,
    BRADYCARDIA,
    RUN,
    TACHYCARDIA,
    VF,
    AlarmEpisode,
)
from benchmarks.clinical.alarms.copies import one_lead
from benchmarks.clinical.alarms.daemon_command import Source
from benchmarks.clinical.alarms.record_set import RecordSet
from benchmarks.clinical.alarms.report import ONE, TWO, Figure, clock, columns, share

DATABASE, TABLE = "cinc2015", "ALARMS"
LAST_S = 16.0
MEANT_BY: Mapping[str, Sequence[str]] = {
    "Asystole": (ASYSTOLE,),
    "Bradycardia": (BRADYCARDIA, ASYSTOLE),
    "Tachycardia": (TACHYCARDIA, RUN, VF),
    "Ventricular_Flutter_Fib": (VF, RUN),
    "Ventricular_Tachycardia": (RUN, VF),
}
BOTH, FIRST, SECOND = "both leads", "first lead", "second lead"


class Label(NamedTuple):
    """A record, what the monitor's alarm said, and whether experts agreed."""

    record: str
    kind: str
    true: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one record; ``near``: all alarms that stood in its last `LAST_S`."""

    label: Label
    raised: bool
    near: Sequence[AlarmEpisode]

    @property
    def right(self) -> bool:
        """Whether it was raised where true, and only there."""
        return self.raised == self.label.true


@dataclass(frozen=True, slots=True)
class LeadsResult:
    """The verdicts by some of the leads: of all records that have such a lead."""

    leads: str
    verdicts: Sequence[Verdict]

    def outcomes(self) -> Ints:
        """A row for each record: whether it is TP, TN, FP, FN."""
        rows = [(v.label.true, v.raised) for v in self.verdicts]
        kinds = ((True, True), (False, False), (False, True), (True, False))
        return np.array([[row == kind for kind in kinds] for row in rows], np.int64)

    def score(self) -> str:
        """The challenge's, with its interval over records."""
        outcomes = self.outcomes()
        drawn = draw(len(outcomes)) @ outcomes
        each = interval(np.array([score(*row) for row in drawn.tolist()]))
        return f"{score(*outcomes.sum(axis=0).tolist()):.1f} ({each.low:.1f} to {each.high:.1f})"

    def of_kind(self, kind: str, true: bool) -> list[Verdict]:
        """Those of the alarms that said ``kind`` and were ``true`` or not."""
        return [v for v in self.verdicts if v.label.kind == kind and v.label.true is true]


@dataclass(frozen=True, slots=True)
class Cinc2015:
    """The results by both leads and by each alone."""

    results: Sequence[LeadsResult]

    def lines(self) -> Iterator[str]:
        """Each score, and a table by kind."""
        for result in self.results:
            yield f"{result.leads}: score {result.score()}, {len(result.verdicts)} records"
            yield from columns(
                ("alarm", "true ones raised", "false ones held back"),
                [(kind, *_shares(result, kind)) for kind in MEANT_BY],
            )
            yield ""

    def details(self) -> Iterator[str]:
        """Each record that both leads together get wrong, with the alarms that stood."""
        yield from columns(
            ("wrong", "kind", "truth", "alarms in the last seconds (raised, onset to end)"),
            [
                (
                    *(v.label.record, v.label.kind, str(v.label.true).lower()),
                    "; ".join(_alarm(each) for each in v.near) or "none",
                )
                for result in self.results
                if result.leads == BOTH
                for v in result.verdicts
                if not v.right
            ],
        )

    def figures(self) -> Iterator[Figure]:
        """The score and each kind, with both leads and with the first; the score of the second."""
        for result in self.results:
            if result.leads == SECOND:
                yield Figure(f"CinC 2015: score, {SECOND}", result.score(), ONE)
                continue
            leads = TWO if result.leads == BOTH else ONE
            yield Figure("CinC 2015: score", result.score(), leads)
            for kind in MEANT_BY:
                raised, held = _shares(result, kind)
                yield Figure(f"CinC 2015, {kind}: true ones raised", raised, leads)
                yield Figure(f"CinC 2015, {kind}: false ones held back", held, leads)


def _shares(result: LeadsResult, kind: str) -> tuple[str, str]:
    both = (result.of_kind(kind, True), result.of_kind(kind, False))
    raised, held = (share(sum(v.right for v in some), len(some)) for some in both)
    return raised, held


def _alarm(alarm: AlarmEpisode) -> str:
    times = f"{clock(alarm.raised)}, {clock(alarm.onset)} to {clock(alarm.end)}"
    return f"{alarm.code} {alarm.priority} ({times})"


def score(tp: int, tn: int, fp: int, fn: int) -> float:
    """The challenge's, from 0 to 100."""
    return 100 * (tp + tn) / (tp + tn + fp + 5 * fn)


def evaluate(records: RecordSet) -> Cinc2015:
    """All records of ``cinc2015`` below the data directory; raises UsageError if it has none."""
    labels = read_labels(records)
    sources: dict[str, dict[str, Source]] = {BOTH: {}, FIRST: {}, SECOND: {}}
    seconds: dict[str, float] = {}
    for label in labels:
        name, path = label.record, records.path(label.record)
        recording = read_recording(path)
        seconds[name] = len(recording.samples) / recording.fs
        sources[BOTH][name] = Source(path, name)
        for which, lead in zip((FIRST, SECOND), recording.leads, strict=False):
            sources[which][name] = one_lead(path, name, lead, records.folder)
    alarms = records.stream([each for some in sources.values() for each in some.values()])
    return Cinc2015(
        [
            LeadsResult(
                which,
                [
                    verdict(label, alarms[some[label.record].name], seconds[label.record])
                    for label in labels
                    if label.record in some
                ],
            )
            for which, some in sources.items()
        ]
    )


def read_labels(records: RecordSet) -> list[Label]:
    """The table of the database."""
    table = records.data / DATABASE / TABLE
    if not table.exists():
        raise UsageError(f"{table}: no such file")
    with table.open(newline="") as file:
        rows = list(csv.reader(file))
    if unknown := {kind for _, kind, _ in rows} - set(MEANT_BY):
        raise UsageError(f"{table}: no kind of alarm: {', '.join(sorted(unknown))}")
    return [Label(name, kind, true == "1") for name, kind, true in rows]


def verdict(label: Label, alarms: Sequence[AlarmEpisode], seconds: float) -> Verdict:
    """What the record's ``alarms`` say of it; ``seconds``: its length."""
    last = Span(seconds - LAST_S, seconds)
    near = [alarm for alarm in alarms if alarm.shown.touches(last)]
    return Verdict(label, any(alarm.code in MEANT_BY[label.kind] for alarm in near), near)
