"""Ventricular fibrillation and flutter: how soon it is told, and how often wrongly.

An episode runs from [ to ] in the annotations, to the record's end where ] is missing. It is told
within 10 s where an alarm is raised between 10 s before its onset and 10 s after, in the record's
own time; one raised before the onset has a delay of 0. An alarm raised more than 10 s before an
onset, and more than 10 s after the end of the episode before, is false, however long it lasts.
An episode of which nothing else is told is `standing` if one that was right still stands when it
begins, `masked` if one that was false does, `missed` if none does; none of the three counts.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from beatgan_train.data.beat_set import locate
from beatgan_train.ec57.episodes import Span, Truth, length
from benchmarks.clinical.alarms.alarm_episodes import ASYSTOLE, FIBRILLATION, RUN, Bench, Episode
from benchmarks.clinical.alarms.tables import Spread, clock, columns, per_hour, share

LIMIT_S = 10.0
HALVES = ("even", "odd", "all")
ANY = (FIBRILLATION, RUN, ASYSTOLE)

Outcome = Literal["in time", "late", "standing", "masked", "missed"]


@dataclass(frozen=True, slots=True)
class Told:
    """An annotated episode and what became of it; ``delay`` in s where it was told at all."""

    record: str
    begin: float
    seconds: float
    outcome: Outcome
    delay: float | None


@dataclass(frozen=True, slots=True)
class Set:
    """The figures of one set of records.

    ``told`` by rhythm.fibrillation, ``by_any`` by that or another high rhythm alarm; ``hours``
    are those outside the annotated episodes. ``ahead``: seconds from each false alarm to the next
    onset, None where none follows.
    """

    title: str
    records: int
    told: Sequence[Told]
    by_any: Sequence[Told]
    hours: float
    false: Sequence[Episode]
    ahead: Sequence[float | None]

    def lines(self) -> Iterator[str]:
        """The figures, each episode, each false alarm."""
        yield f"{self.title}: {self.records} records, {len(self.told)} episodes"
        for title, told in (("rhythm.fibrillation", self.told), ("any high alarm", self.by_any)):
            yield from _shares(title, told)
        yield f"  false rhythm.fibrillation outside: {per_hour(len(self.false), self.hours)}"
        yield ""
        yield from columns(
            ("episode", "onset", "lasts s", "fibrillation", "delay s", "any high", "delay s"),
            [
                (a.record, clock(a.begin), f"{a.seconds:.0f}", *_outcome(a), *_outcome(b))
                for a, b in zip(self.told, self.by_any, strict=True)
            ],
        )
        yield ""
        yield from columns(
            ("false", "raised", "onset", "end", "next onset in s"),
            [
                (e.record, *map(clock, (e.raised, e.onset, e.end)), "" if a is None else a)
                for e, a in zip(self.false, self.ahead, strict=True)
            ],
        )
        yield ""


@dataclass(frozen=True, slots=True)
class Fibrillation:
    """cudb's half and mitdb's records."""

    cudb: Set
    mitdb: Set

    def lines(self) -> Iterator[str]:
        """Both, one after the other."""
        yield from self.cudb.lines()
        yield from self.mitdb.lines()


def judge(bench: Bench, half: str) -> Fibrillation:
    """cudb's ``half`` of the records; of mitdb the chosen records, or all 48."""
    folder = locate(bench.data, "cu01").parent
    numbered = [(int(f.stem[2:]), f.stem) for f in sorted(folder.glob("cu*.atr"))]
    names = [name for k, name in numbered if half == "all" or (k % 2 == 0) == (half == "even")]
    return Fibrillation(
        figures(f"cudb, {half}", bench, names), figures("mitdb", bench, bench.records("mitdb"))
    )


def figures(title: str, bench: Bench, names: Sequence[str]) -> Set:
    """Those of the records ``names``."""
    truths = [bench.truth(name) for name in names]
    alarms = {name: bench.told(name) for name in names}
    wrong = [(e, t) for t in truths for e in false(t.flutter, alarms[t.record])]
    return Set(
        title,
        len(names),
        [each for t in truths for each in tell(t, alarms[t.record], (FIBRILLATION,))],
        [each for t in truths for each in tell(t, alarms[t.record], ANY)],
        sum(t.seconds - length(t.flutter) for t in truths) / 3600,
        [e for e, _ in wrong],
        [
            next((s.begin - e.raised for s in t.flutter if s.begin > e.raised), None)
            for e, t in wrong
        ],
    )


def tell(truth: Truth, alarms: Sequence[Episode], codes: Collection[str]) -> list[Told]:
    """What became of each of the record's episodes, by its alarms of ``codes``."""
    some = [alarm for alarm in alarms if alarm.code in codes]
    return [_told(truth, i, some) for i in range(len(truth.flutter))]


def _told(truth: Truth, i: int, alarms: Sequence[Episode]) -> Told:
    span = truth.flutter[i]
    until = max(span.end, span.begin + LIMIT_S)
    raised = [a.raised for a in alarms if span.begin - LIMIT_S <= a.raised <= until]
    if raised:
        delay = max(0.0, min(raised) - span.begin)
        outcome: Outcome = "in time" if delay <= LIMIT_S else "late"
        return Told(truth.record, span.begin, span.end - span.begin, outcome, delay)
    shown = [a for a in alarms if a.shown.holds(span.begin)]
    right = any(is_right(a, truth.flutter[:i]) for a in shown)
    outcome = "standing" if right else "masked" if shown else "missed"
    return Told(truth.record, span.begin, span.end - span.begin, outcome, None)


def is_right(alarm: Episode, spans: Sequence[Span]) -> bool:
    """Whether ``alarm`` was raised in one of ``spans``, or within `LIMIT_S` of it."""
    return any(span.wider(LIMIT_S, LIMIT_S).holds(alarm.raised) for span in spans)


def false(spans: Sequence[Span], alarms: Sequence[Episode]) -> list[Episode]:
    """The fibrillation alarms that were raised in none of ``spans``."""
    return [a for a in alarms if a.code == FIBRILLATION and not is_right(a, spans)]


def _shares(title: str, told: Sequence[Told]) -> Iterator[str]:
    count = Counter(each.outcome for each in told)
    yield f"  {title}: within {LIMIT_S:g} s {share(count['in time'], len(told))}" + "".join(
        f", {count[other]} {other}" for other in ("late", "standing", "masked", "missed")
    )
    yield f"    delay s: {Spread.of([t.delay for t in told if t.delay is not None])}"


def _outcome(told: Told) -> tuple[str, str]:
    return told.outcome, "" if told.delay is None else f"{told.delay:.2f}"
