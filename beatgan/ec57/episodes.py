"""Episodes beside the reference, after ANSI/AAMI EC57: ventricular runs, fibrillation and flutter.

All times are seconds from the beginning of the record. Knows annotations and episodes, however
those were detected; knows no signal.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, Self, TypeVar

import numpy as np

from beatgan.beat_classes import CLASS_OF, BeatClass
from beatgan.ec57.annotations import flutter_spans

RUN_BEATS = 3  # consecutive beats annotated V
RUN_TOLERANCE_S = 1.0  # by which an episode may miss the run that it detects
VF_LIMIT_S = 10.0  # how soon fibrillation must be detected; also how far before its onset it may be
CONTEXT_S = 3.0  # how far around a span `RhythmReference.around` shows the annotations
SHOWN = 24  # symbols


class Span(NamedTuple):
    """A stretch of a record."""

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


def union(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The same stretches in order, those that touch made one."""
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


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive beats annotated V: the R peaks of the first, third and last.

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
        """From the first R peak to the last."""
        return Span(self.begin, self.end)


@dataclass(frozen=True, slots=True)
class RhythmReference:
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
        rate = 60 * (beats - 1) / (end - begin) if end > begin else nan
        return Run(self.record, beats, begin, third, end, rate)

    @property
    def ventricular(self) -> tuple[Span, ...]:
        """The runs, and flutter or fibrillation."""
        return (*(run.span for run in self.runs()), *self.flutter)

    def pauses(self, seconds: float) -> tuple[Span, ...]:
        """Where two beats follow one another no sooner than after ``seconds``, flutter excluded."""
        pairs = zip(self.time, self.time[1:], strict=False)
        long = (Span(a, b) for a, b in pairs if b - a >= seconds)
        return tuple(p for p in long if not any(p.touches(f) for f in self.flutter))

    def abnormal_share(self) -> float:
        """The share of beats of another AAMI class than N; 0 without beats."""
        abnormal = sum(CLASS_OF[symbol] is not BeatClass.NORMAL for symbol in self.symbol)
        return abnormal / len(self.symbol) if self.symbol else 0.0

    def around(self, span: Span) -> str:
        """The symbols of the beats near ``span``, those in it between brackets, at most `SHOWN`."""
        wide, parts = span.wider(CONTEXT_S, CONTEXT_S), ["", "", ""]
        for time, symbol in zip(self.time, self.symbol, strict=True):
            if wide.holds(time):
                parts[(time >= span.begin) + (time > span.end)] += symbol
        before, inside, after = parts
        if len(inside) > SHOWN:
            inside = f"{inside[: SHOWN // 2]}..{inside[-SHOWN // 2 :]}"
        return f"{before}<{inside}>{after}"


def read_rhythm(path: Path) -> RhythmReference:
    """The annotations and length of the WFDB record at ``path`` (without a suffix)."""
    import wfdb

    header, found = wfdb.rdheader(str(path)), wfdb.rdann(str(path), "atr")
    fs, seconds = float(header.fs), header.sig_len / float(header.fs)
    sample, symbol = np.asarray(found.sample, np.int64), np.asarray(found.symbol, np.str_)
    flutter = [Span(a / fs, min(b / fs, seconds)) for a, b in flutter_spans(sample, symbol)]
    beats = np.array([each in CLASS_OF for each in symbol.tolist()], np.bool_)
    time: list[float] = (sample[beats] / fs).tolist()
    return RhythmReference(
        path.name, seconds, tuple(time), tuple(symbol[beats].tolist()), tuple(flutter)
    )


class Detected(Protocol):
    """An episode as something detected it: what it covers, and the moment it was raised."""

    @property
    def raised(self) -> float:
        """When it was known."""
        ...

    @property
    def span(self) -> Span:
        """From its onset to its end."""
        ...


D = TypeVar("D", bound=Detected)


@dataclass(frozen=True, slots=True)
class DetectedEpisode:
    """The plain form of `Detected`."""

    raised: float
    span: Span


@dataclass(frozen=True, slots=True)
class EpisodeComparison:
    """EC57's counts, summed over records: episodes, and seconds that they last.

    ``detected_reference`` reference episodes are touched by a detected one, ``true`` detected ones
    touch a reference one.
    """

    reference: int = 0
    detected_reference: int = 0
    detected: int = 0
    true: int = 0
    reference_s: float = 0.0
    detected_s: float = 0.0
    common_s: float = 0.0

    @property
    def false(self) -> int:
        """Detected episodes that touch no reference one."""
        return self.detected - self.true

    @property
    def sensitivity(self) -> float:
        """Episode sensitivity; nan without a reference episode."""
        return self.detected_reference / self.reference if self.reference else nan

    @property
    def ppv(self) -> float:
        """Episode positive predictive value; nan without a detected episode."""
        return self.true / self.detected if self.detected else nan

    @property
    def duration_sensitivity(self) -> float:
        """The share of the reference episodes' time that detected ones cover."""
        return self.common_s / self.reference_s if self.reference_s else nan

    @property
    def duration_ppv(self) -> float:
        """The share of the detected episodes' time that lies in reference ones."""
        return self.common_s / self.detected_s if self.detected_s else nan

    def __add__(self, other: Self) -> Self:
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__slots__)
        return type(self)(*(a + b for a, b in pairs))

    def __str__(self) -> str:
        return (
            f"episodes: sensitivity {self.detected_reference} of {self.reference}, "
            f"PPV {self.true} of {self.detected}; duration: sensitivity "
            f"{self.duration_sensitivity:.1%}, PPV {self.duration_ppv:.1%}"
        )


def compare(
    reference: Sequence[Span], detected: Sequence[Detected], tolerance_s: float = 0.0
) -> EpisodeComparison:
    """One record's episodes of one kind; those less than ``tolerance_s`` apart count as touching.

    Reference spans must not touch one another.
    """
    spans = [each.span for each in detected]
    wide = [span.wider(tolerance_s, tolerance_s) for span in reference]
    whole = union(spans)
    return EpisodeComparison(
        reference=len(reference),
        detected_reference=sum(any(span.touches(w) for span in spans) for w in wide),
        detected=len(spans),
        true=len(spans) - len(false_episodes(reference, detected, tolerance_s)),
        reference_s=length(reference),
        detected_s=length(whole),
        common_s=length(common(reference, whole)),
    )


def false_episodes(reference: Sequence[Span], detected: Sequence[D], tolerance_s: float) -> list[D]:
    """The ``detected`` episodes that touch none of the ``reference`` ones."""
    wide = [span.wider(tolerance_s, tolerance_s) for span in reference]
    return [each for each in detected if not any(each.span.touches(w) for w in wide)]


def run_detection(run: Run, detected: Sequence[D]) -> tuple[D, float] | None:
    """The first raised episode that touches ``run``, and its delay after the third beat."""
    near = run.span.wider(RUN_TOLERANCE_S, RUN_TOLERANCE_S)
    if not (touching := [each for each in detected if each.span.touches(near)]):
        return None
    first = min(touching, key=lambda each: each.raised)
    return first, max(0.0, first.raised - run.third)


VfOutcome = Literal["in time", "late", "standing", "masked", "missed"]


@dataclass(frozen=True, slots=True)
class VfDetection:
    """An annotated episode and what became of it; ``delay`` where one was raised for it at all.

    It is detected in time where an episode is raised between `VF_LIMIT_S` before its onset and as
    long after it; one raised before the onset has a delay of 0. Where none is raised for it, it is
    ``standing`` if a true one from before still stands when it begins, ``masked`` if a false one
    does, ``missed`` if none does; none of the three counts as detected.
    """

    record: str
    span: Span
    outcome: VfOutcome
    delay: float | None


def vf_detections(reference: RhythmReference, detected: Sequence[Detected]) -> list[VfDetection]:
    """What became of each of the record's episodes of fibrillation or flutter."""
    return [_vf_detection(reference, i, detected) for i in range(len(reference.flutter))]


def _vf_detection(reference: RhythmReference, i: int, detected: Sequence[Detected]) -> VfDetection:
    span = reference.flutter[i]
    until = max(span.end, span.begin + VF_LIMIT_S)
    raised = [e.raised for e in detected if span.begin - VF_LIMIT_S <= e.raised <= until]
    outcome: VfOutcome
    if raised:
        delay = max(0.0, min(raised) - span.begin)
        outcome = "in time" if delay <= VF_LIMIT_S else "late"
        return VfDetection(reference.record, span, outcome, delay)
    standing = [e for e in detected if e.raised <= span.begin <= e.span.end]
    true = any(vf_is_true(e, reference.flutter[:i]) for e in standing)
    outcome = "standing" if true else "masked" if standing else "missed"
    return VfDetection(reference.record, span, outcome, None)


def vf_is_true(episode: Detected, flutter: Sequence[Span]) -> bool:
    """Whether ``episode`` was raised in one of the ``flutter`` spans, or within `VF_LIMIT_S` of it.

    However long it lasts: one raised earlier is false even if fibrillation follows.
    """
    return any(span.wider(VF_LIMIT_S, VF_LIMIT_S).holds(episode.raised) for span in flutter)
