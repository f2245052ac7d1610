"""Ventricular fibrillation and flutter: how soon it is alarmed, and how often falsely.

What counts as detected, late or false: `beatgan.ec57.episodes.VfDetection` and `vf_is_true`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from beatgan.ec57.episodes import (
    VF_LIMIT_S,
    EpisodeComparison,
    VfDetection,
    compare,
    length,
    vf_detections,
    vf_is_true,
)
from beatgan_train.data.beat_set import locate
from benchmarks.clinical.alarms.alarm_episodes import ASYSTOLE, RUN, VF, AlarmEpisode, of
from benchmarks.clinical.alarms.record_set import RecordSet
from benchmarks.clinical.alarms.report import (
    Distribution,
    Figure,
    clock,
    columns,
    per_hour,
    share,
)

HALVES = ("even", "odd", "all")
ANY = (VF, RUN, ASYSTOLE)


@dataclass(frozen=True, slots=True)
class Database:
    """The figures of one set of records.

    ``by_vf``: its episodes as detected by alarms of ventricular fibrillation, ``by_any`` by those
    or another high rhythm alarm; ``hours`` are those outside the annotated episodes. ``ahead``:
    seconds from each false alarm to the next onset, None where none follows.
    """

    title: str
    records: int
    by_vf: Sequence[VfDetection]
    by_any: Sequence[VfDetection]
    ec57: EpisodeComparison
    hours: float
    false: Sequence[AlarmEpisode]
    ahead: Sequence[float | None]

    def lines(self) -> Iterator[str]:
        """The figures."""
        yield f"{self.title}: {self.records} records, {len(self.by_vf)} episodes"
        for title, detections in ((VF, self.by_vf), ("any high alarm", self.by_any)):
            yield from _shares(title, detections)
        yield f"  EC57, {VF}, {self.ec57}"
        yield f"  false {VF} outside: {per_hour(len(self.false), self.hours)}"
        yield ""

    def details(self) -> Iterator[str]:
        """Each episode, each false alarm."""
        yield from columns(
            ("episode", "onset", "lasts s", "VF alarm", "delay s", "any high", "delay s"),
            [
                (
                    *(a.record, clock(a.span.begin), f"{a.span.end - a.span.begin:.0f}"),
                    *_outcome(a),
                    *_outcome(b),
                )
                for a, b in zip(self.by_vf, self.by_any, strict=True)
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

    def figures(self) -> Iterator[Figure]:
        """Those detected in time, the delay, false ones."""
        for title, detections in ((VF, self.by_vf), ("any high alarm", self.by_any)):
            in_time = sum(each.outcome == "in time" for each in detections)
            name = f"{self.title}: {title} within {VF_LIMIT_S:g} s"
            yield Figure(name, share(in_time, len(detections)))
        delays = Distribution.of([each.delay for each in self.by_vf if each.delay is not None])
        yield Figure(f"{self.title}: delay of {VF}, s", str(delays))
        yield Figure(f"{self.title}: false {VF}", per_hour(len(self.false), self.hours))


@dataclass(frozen=True, slots=True)
class VentricularFibrillation:
    """cudb's half and mitdb's records."""

    cudb: Database
    mitdb: Database

    def lines(self) -> Iterator[str]:
        """Both, one after the other."""
        yield from self.cudb.lines()
        yield from self.mitdb.lines()

    def details(self) -> Iterator[str]:
        """Both, one after the other."""
        yield from self.cudb.details()
        yield from self.mitdb.details()

    def figures(self) -> Iterator[Figure]:
        """Both, one after the other."""
        yield from self.cudb.figures()
        yield from self.mitdb.figures()


def evaluate(records: RecordSet) -> VentricularFibrillation:
    """The chosen half of cudb; of mitdb the chosen records, or all 48."""
    half = records.half
    folder = locate(records.data, "cu01").parent
    numbered = [(int(f.stem[2:]), f.stem) for f in sorted(folder.glob("cu*.atr"))]
    names = [name for k, name in numbered if half == "all" or (k % 2 == 0) == (half == "even")]
    return VentricularFibrillation(
        database(f"cudb, {half}", records, names),
        database("mitdb", records, records.records("mitdb")),
    )


def database(title: str, records: RecordSet, names: Sequence[str]) -> Database:
    """The figures of the records ``names``."""
    raised = records.alarms(names)
    pairs = [(records.reference(name), raised[name]) for name in names]
    by_code = [(r, of(alarms, VF), of(alarms, *ANY)) for r, alarms in pairs]
    false = [(e, r) for r, vf, _ in by_code for e in vf if not vf_is_true(e, r.flutter)]
    return Database(
        title,
        len(names),
        [each for r, vf, _ in by_code for each in vf_detections(r, vf)],
        [each for r, _, any_ in by_code for each in vf_detections(r, any_)],
        sum((compare(r.flutter, vf) for r, vf, _ in by_code), EpisodeComparison()),
        sum(r.seconds - length(r.flutter) for r, _ in pairs) / 3600,
        [e for e, _ in false],
        [
            next((s.begin - e.raised for s in r.flutter if s.begin > e.raised), None)
            for e, r in false
        ],
    )


def _shares(title: str, detections: Sequence[VfDetection]) -> Iterator[str]:
    count = Counter(each.outcome for each in detections)
    yield (
        f"  {title}: within {VF_LIMIT_S:g} s {share(count['in time'], len(detections))}"
        + "".join(f", {count[other]} {other}" for other in ("late", "standing", "masked", "missed"))
    )
    delays = [each.delay for each in detections if each.delay is not None]
    yield f"    delay s: {Distribution.of(delays)}"


def _outcome(detection: VfDetection) -> tuple[str, str]:
    return detection.outcome, "" if detection.delay is None else f"{detection.delay:.2f}"
