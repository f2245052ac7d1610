"""Ventricular runs found and missed, and every high alarm that nothing annotated accounts for.

A run is three or more consecutive beats annotated V. It is found by a ventricular-run or
fibrillation alarm whose span, onset to end, touches the run's within `TOLERANCE_S`; its delay
counts from the run's third beat to the moment the alarm could be raised, 0 where one was raised
before. A high alarm is false where it touches, within the same, nothing that it could mean: a run
or flutter, or, if it says asystole, a pause as long as that.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from beatgan_train.ec57.episodes import Run, Truth, length, union
from benchmarks.clinical.alarms.alarm_episodes import ASYSTOLE, FIBRILLATION, RUN, Bench, Episode
from benchmarks.clinical.alarms.tables import Spread, clock, columns, per_hour, share

TOLERANCE_S = 1.0
SLACK_S = 0.1  # by which an annotated pause may be shorter than the limit: apexes differ
FAST = 100.0  # beats a minute: what is slower is by definition no alarm


@dataclass(frozen=True, slots=True)
class Found:
    """A run, and the first alarm that tells of it, if one does."""

    run: Run
    code: str | None
    delay: float | None


@dataclass(frozen=True, slots=True)
class Wrong:
    """A false alarm, with the symbols of the reference beats around it."""

    episode: Episode
    beats: str


@dataclass(frozen=True, slots=True)
class Runs:
    """The figures of the records ``names``; ``shown``: how long a high alarm stood, in seconds.

    ``suppressed``: high alarms held back, as far as a later message of the same code says so.
    """

    names: Sequence[str]
    hours: float
    found: Sequence[Found]
    wrong: Sequence[Wrong]
    shown: float
    suppressed: int

    def lines(self) -> Iterator[str]:
        """The figures, each run, each false alarm."""
        fast = [each for each in self.found if each.run.rate >= FAST]
        for title, some in (("runs", self.found), (f"runs at {FAST:g}/min or faster", fast)):
            hits = [each.delay for each in some if each.delay is not None]
            yield f"{title}: found {share(len(hits), len(some))}"
            yield f"  delay after the third beat, s: {Spread.of(hits)}"
        yield f"false high alarms: {per_hour(len(self.wrong), self.hours)}"
        yield f"a high alarm stood for {self.shown:.0f} s of {3600 * self.hours:.0f}"
        yield f"high alarms held back: {self.suppressed}"
        yield ""
        yield from self._each_record()
        yield ""
        yield from columns(
            ("run", "at", "beats", "rate", "found by", "delay s"),
            [
                (f.run.record, clock(f.run.begin), f.run.beats, f"{f.run.rate:.0f}")
                + (("MISSED", "") if f.delay is None else (f.code, f.delay))
                for f in self.found
            ],
        )
        yield ""
        yield from columns(
            ("false", "code", "raised", "onset", "end", "reference beats"),
            [
                (e.record, e.code, clock(e.raised), clock(e.onset), clock(e.end), wrong.beats)
                for wrong in self.wrong
                for e in (wrong.episode,)
            ],
        )

    def _each_record(self) -> list[str]:
        rows = []
        for name in self.names:
            found = [f.delay is not None for f in self.found if f.run.record == name]
            wrong = sum(each.episode.record == name for each in self.wrong)
            if found or wrong:
                rows.append((name, len(found), sum(found), wrong))
        return columns(("record", "runs", "found", "false high"), rows)


def judge(bench: Bench) -> Runs:
    """The chosen records, or DS2."""
    names = bench.records("DS2")
    truths = [bench.truth(name) for name in names]
    high = {name: [e for e in bench.told(name) if e.priority == "high"] for name in names}
    pause_s = bench.limits.asystole_s
    return Runs(
        names,
        sum(truth.seconds for truth in truths) / 3600,
        [find(run, high[truth.record]) for truth in truths for run in truth.runs()],
        [wrong for truth in truths for wrong in false(truth, high[truth.record], pause_s)],
        sum(length(union([e.shown for e in some])) for some in high.values()),
        sum(e.suppressed for some in high.values() for e in some),
    )


def find(run: Run, high: Sequence[Episode]) -> Found:
    """``run``, and the first of the record's alarms that tells of it."""
    near = run.span.wider(TOLERANCE_S, TOLERANCE_S)
    telling = [e for e in high if e.code in (RUN, FIBRILLATION) and e.span.touches(near)]
    if not telling:
        return Found(run, None, None)
    first = min(telling, key=lambda e: e.raised)
    return Found(run, first.code, max(0.0, first.raised - run.third))


def false(truth: Truth, high: Sequence[Episode], pause_s: float) -> list[Wrong]:
    """Those ``high`` alarms that nothing in ``truth`` accounts for."""
    ventricular = [*(run.span for run in truth.runs()), *truth.flutter]
    pauses = truth.pauses(pause_s - SLACK_S)
    return [
        Wrong(alarm, truth.around(alarm.span))
        for alarm in high
        if not any(
            alarm.span.touches(span.wider(TOLERANCE_S, TOLERANCE_S))
            for span in (pauses if alarm.code == ASYSTOLE else ventricular)
        )
    ]
