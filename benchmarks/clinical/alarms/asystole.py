"""Records cut to their baseline at random points: how long after the last beat asystole is alarmed.

At each point the signal of every lead gives way to the level it had rested at (the median of the
two seconds before), exactly flat or with noise; a minute before it is streamed, too. A point within
0.1 s of a reference beat is drawn again: half a QRS is neither a beat nor none. The delay counts
from the last reference beat before the cut.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from beatgan.ec57.episodes import RhythmReference
from beatgan.frontend import choose_leads
from beatgan.records import Recording, only
from beatgan.spec import PreprocessSpec
from beatgan.types import Floats
from benchmarks.clinical.alarms.alarm_episodes import ASYSTOLE, AlarmEpisode
from benchmarks.clinical.alarms.copies import written
from benchmarks.clinical.alarms.daemon_command import Source
from benchmarks.clinical.alarms.record_set import RecordSet
from benchmarks.clinical.alarms.report import ONE, TWO, Distribution, Figure, clock, columns, share

SEED = 5
CUTS = 5  # in each record
BEFORE_S, AFTER_S = 60.0, 15.0
LEVEL_S = 2.0
CLEAR_S = 0.1
WITHIN_S = 0.5
NOISE_MV = (0.0, 0.01)  # the noise's largest value; 0: exactly flat


@dataclass(frozen=True, slots=True)
class Cut:
    """One cut at ``at`` (s), the ``last`` beat before it, and the ``delay`` of the alarm in s.

    ``delay`` is None where no asystole was alarmed within `AFTER_S`. ``earlier``: an alarm that an
    earlier pause had raised was still active.
    """

    record: str
    at: float
    last: float
    leads: int
    noise_mv: float
    delay: float | None
    earlier: bool


@dataclass(frozen=True, slots=True)
class Asystole:
    """All cuts, and the delay that was to be."""

    limit: float
    cuts: Sequence[Cut]

    def lines(self) -> Iterator[str]:
        """A row for each form of baseline and number of leads."""
        forms = sorted({(cut.leads, cut.noise_mv) for cut in self.cuts})
        yield from columns(
            ("leads", "baseline", "cuts", "alarms", "least", "median", "most", f"+-{WITHIN_S:g} s"),
            [self._row(*form) for form in forms],
        )
        yield from (f"{each.name}, {each.leads}: {each.text}" for each in self.figures())

    def details(self) -> Iterator[str]:
        """Each cut outside the bounds."""
        yield from columns(
            ("outside", "cut at", "last beat", "leads", "noise mV", "delay s"),
            [
                (c.record, clock(c.at), clock(c.last), c.leads, c.noise_mv, _delay(c))
                for c in self.cuts
                if not self.is_right(c)
            ],
        )

    def figures(self) -> Iterator[Figure]:
        """How many were alarmed when they should."""
        for title, one in ((TWO, False), (ONE, True)):
            some = [cut for cut in self.cuts if (cut.leads == 1) is one]
            name = f"asystole within {self.limit:g} +- {WITHIN_S:g} s"
            yield Figure(name, share(sum(map(self.is_right, some)), len(some)), title)

    def is_right(self, cut: Cut) -> bool:
        """Whether asystole was alarmed when it should."""
        return cut.delay is not None and abs(cut.delay - self.limit) <= WITHIN_S

    def _row(self, leads: int, noise_mv: float) -> list[object]:
        some = [c for c in self.cuts if (c.leads, c.noise_mv) == (leads, noise_mv)]
        delays = Distribution.of([c.delay for c in some if c.delay is not None])
        form = f"+-{1000 * noise_mv:g} uV" if noise_mv else "flat"
        spread = (delays.least, delays.median, delays.most)
        return [leads, form, len(some), delays.count, *spread, sum(map(self.is_right, some))]


def _delay(cut: Cut) -> str:
    if cut.delay is not None:
        return f"{cut.delay:.2f}"
    return "active before" if cut.earlier else "MISSED"


def evaluate(records: RecordSet) -> Asystole:
    """The chosen records, or DS2; the same points at every run."""
    names = records.records("DS2")
    plans = [plan for k, name in enumerate(names) for plan in _record(records, name, k)]
    alarms = records.stream([plan.source for plan in plans])
    return Asystole(records.limits.asystole_s, [p.judged(alarms[p.source.name]) for p in plans])


@dataclass(frozen=True, slots=True)
class Plan:
    """A cut that is yet to be judged, and the recording made of it."""

    cut: Cut
    source: Source

    def judged(self, alarms: Sequence[AlarmEpisode]) -> Cut:
        """With what the recording's ``alarms`` say."""
        delay, earlier = delay_of(alarms, self.cut.last - (self.cut.at - BEFORE_S))
        return replace(self.cut, delay=delay, earlier=earlier)


def _record(records: RecordSet, name: str, k: int) -> Iterator[Plan]:
    both, reference = records.recording(name), records.reference(name)
    column = choose_leads(both.leads, PreprocessSpec().leads, 1)[0]
    random = np.random.default_rng((SEED, k))
    points = draw(reference, random)
    for recording in (only(both, both.leads[column]), both):
        for noise_mv in NOISE_MV:
            for at in points:
                made = cut_off(recording, at, noise_mv, random)
                last = max(time for time in reference.time if time < at)
                leads = len(recording.leads)
                title = f"{name}-cut-{leads}-{1000 * noise_mv:g}-{1000 * at:.0f}"
                form = (made.fs, made.leads, made.samples, records.folder)
                cut = Cut(name, at, last, leads, noise_mv, None, False)
                yield Plan(cut, written(title, name, *form))


def draw(reference: RhythmReference, random: np.random.Generator) -> list[float]:
    """`CUTS` moments of the record, none of them near a beat."""
    beats, points = np.array(reference.time), list[float]()
    while len(points) < CUTS:
        at = float(random.uniform(BEFORE_S, reference.seconds - AFTER_S))
        in_flutter = any(span.wider(CLEAR_S, AFTER_S).holds(at) for span in reference.flutter)
        if np.abs(beats - at).min() > CLEAR_S and not in_flutter:
            points.append(at)
    return points


def cut_off(
    recording: Recording, at: float, noise_mv: float, random: np.random.Generator
) -> Recording:
    """The minute before ``at`` (s), then its baseline, with uniform noise of that size in mV."""
    fs = recording.fs
    cut = round(at * fs)
    before = recording.samples[cut - round(BEFORE_S * fs) : cut]
    level: Floats = np.nanmedian(before[-round(LEVEL_S * fs) :], axis=0)
    shape = (round(AFTER_S * fs), len(recording.leads))
    rest = (level + random.uniform(-noise_mv, noise_mv, shape)).astype(np.float32)
    return replace(recording, samples=np.concatenate([before, rest]))


def delay_of(alarms: Sequence[AlarmEpisode], last: float) -> tuple[float | None, bool]:
    """How long after ``last`` (s) asystole was alarmed; whether an earlier alarm was active."""
    raised = [a for a in alarms if a.code == ASYSTOLE]
    delays = [a.raised - last for a in raised if a.raised > last]
    return min(delays, default=None), any(a.raised <= last < a.end for a in raised)
