"""What the annotations of a record say that alarms should tell, in seconds: runs, flutter, pauses.

Knows no alarm, and nothing of how a record is streamed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from beatgan_train.ec57.annotations import CLASS_OF, flutter_spans

RUN_BEATS = 3  # consecutive beats annotated V
ABOUT_S = 3.0  # how far around an alarm `Truth.around` shows the annotations
SHOWN = 24


class Span(NamedTuple):
    """A stretch of a record, in seconds from its beginning."""

    begin: float
    end: float

    def wider(self, before: float, after: float) -> "Span":
        """The same with so many seconds more on either side."""
        return Span(self.begin - before, self.end + after)

    def touches(self, other: "Span") -> bool:
        """Whether the two have a moment in common."""
        return self.begin <= other.end and other.begin <= self.end

    def holds(self, moment: float) -> bool:
        """Whether ``moment`` lies in it."""
        return self.begin <= moment <= self.end


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive beats annotated V: the apexes of the first, third and last, in seconds.

    ``rate`` (a minute) is the mean one between the first and the last.
    """

    record: str
    beats: int
    begin: float
    third: float
    end: float
    rate: float

    @property
    def span(self) -> Span:
        """From the first apex to the last."""
        return Span(self.begin, self.end)


@dataclass(frozen=True, slots=True)
class Truth:
    """One record's annotations; ``time`` and ``symbol`` are the beats, those in flutter included.

    ``flutter`` holds ventricular flutter and fibrillation: spans from [ to ], or to the record's
    end where ] is missing. (The rhythms VFL and VF stand nowhere else in these databases.)
    """

    record: str
    seconds: float
    time: tuple[float, ...]
    symbol: tuple[str, ...]
    flutter: tuple[Span, ...]

    def runs(self) -> tuple[Run, ...]:
        """The ventricular runs: `RUN_BEATS` or more beats V, no other beat between them."""
        return tuple(run for run in self._stretches() if run.beats >= RUN_BEATS)

    def _stretches(self) -> Iterator[Run]:
        first: int | None = None
        for i, symbol in enumerate((*self.symbol, "")):
            if symbol == "V":
                first = i if first is None else first
            elif first is not None:
                yield self._run(first, i - 1)
                first = None

    def _run(self, first: int, last: int) -> Run:
        beats, begin, end = last - first + 1, self.time[first], self.time[last]
        third = self.time[min(first + RUN_BEATS - 1, last)]
        rate = 60 * (beats - 1) / (end - begin) if end > begin else float("nan")
        return Run(self.record, beats, begin, third, end, rate)

    def pauses(self, seconds: float) -> tuple[Span, ...]:
        """Where two beats follow one another no sooner than after ``seconds``, flutter excluded."""
        pairs = zip(self.time, self.time[1:], strict=False)
        long = (Span(a, b) for a, b in pairs if b - a >= seconds)
        return tuple(p for p in long if not any(p.touches(f) for f in self.flutter))

    def abnormal_share(self) -> float:
        """The share of beats of another AAMI class than N; 0 without beats."""
        abnormal = sum(CLASS_OF[symbol] != "N" for symbol in self.symbol)
        return abnormal / len(self.symbol) if self.symbol else 0.0

    def around(self, span: Span) -> str:
        """The symbols of the beats near ``span``, those in it between brackets, at most `SHOWN`."""
        wide, parts = span.wider(ABOUT_S, ABOUT_S), ["", "", ""]
        for time, symbol in zip(self.time, self.symbol, strict=True):
            if wide.holds(time):
                parts[(time >= span.begin) + (time > span.end)] += symbol
        before, inside, after = parts
        if len(inside) > SHOWN:
            inside = f"{inside[: SHOWN // 2]}..{inside[-SHOWN // 2 :]}"
        return f"{before}<{inside}>{after}"


def read_truth(path: Path) -> Truth:
    """What stands in the annotation file and header of the WFDB record at ``path`` (no suffix)."""
    import wfdb

    header, found = wfdb.rdheader(str(path)), wfdb.rdann(str(path), "atr")
    fs, seconds = float(header.fs), header.sig_len / float(header.fs)
    sample, symbol = np.asarray(found.sample, np.int64), np.asarray(found.symbol, np.str_)
    flutter = [Span(a / fs, min(b / fs, seconds)) for a, b in flutter_spans(sample, symbol)]
    beats = np.array([each in CLASS_OF for each in symbol.tolist()], np.bool_)
    time: list[float] = (sample[beats] / fs).tolist()
    return Truth(path.name, seconds, tuple(time), tuple(symbol[beats].tolist()), tuple(flutter))


def union(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The same stretches, those that touch made one, in order."""
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.begin <= joined[-1].end:
            joined[-1] = Span(joined[-1].begin, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return tuple(joined)


def length(spans: Sequence[Span]) -> float:
    """How many seconds the ``spans``, of which no two touch, last together."""
    return sum(span.end - span.begin for span in spans)


def common(some: Sequence[Span], others: Sequence[Span]) -> tuple[Span, ...]:
    """The stretches that lie in both."""
    pairs = ((a, b) for a in some for b in others if a.touches(b))
    return union([Span(max(a.begin, b.begin), min(a.end, b.end)) for a, b in pairs])
