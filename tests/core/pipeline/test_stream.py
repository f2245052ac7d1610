"""The sample count rules: what is new, missing, repeated or begun anew, and what time it was."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatgan.alarms.limits import AlarmLimits
from beatgan.errors import StreamError
from beatgan.pipeline.observer import Observer
from beatgan.pipeline.source_clock import SourceClock
from beatgan.pipeline.stream import SegmentEnd, StatusChange, Stream, StreamEvent
from beatgan.spec import PreprocessSpec
from beatgan.types import Beat, Chunk, Condition, Floats, Quality, SignalChange
from beatgan_train.training.coefficients import coefficients_of
from tests.support.chunks import START_NS, make_chunk

COEFFICIENTS = coefficients_of("full")

FS = 360.0
chunk = partial(make_chunk, leads=("MLII",))
HOUR = int(3600 * FS)

NewObserver = Callable[[Counter[str]], Observer]


def flat(count: int, leads: int = 1) -> Floats:
    return np.zeros((count, leads), np.float32)


def lost(count: int, leads: int = 1) -> Floats:
    return np.full((count, leads), np.nan, np.float32)


class Bed:
    """One stream, its counts and all its steps."""

    def __init__(self, new_observer: NewObserver, first: Chunk) -> None:
        self.counts: Counter[str] = Counter()
        self.stream = Stream(
            first, PreprocessSpec(), COEFFICIENTS, AlarmLimits(), new_observer(self.counts)
        )
        self.steps = self.stream.push(first)

    def send(self, new: Chunk) -> list[StreamEvent]:
        steps = self.stream.push(new)
        self.steps += steps
        return steps

    def tally(self) -> tuple[int, int, int]:
        return self.counts["received"], self.counts["lost"], self.counts["repeated"]


def status_changes(steps: Sequence[StreamEvent]) -> list[StatusChange]:
    return [step.what for step in steps if isinstance(step.what, StatusChange)]


def events(steps: Sequence[StreamEvent]) -> list[tuple[object, ...]]:
    """Beats and signal changes, windows by their bytes, so that equal means to the bit."""
    plain: list[tuple[object, ...]] = []
    for what in (step.what for step in steps):
        if isinstance(what, Beat):
            arrays = (what.window.tobytes(), what.template.tobytes())
            context = (what.rr_ms, what.distance, what.prematurity)
            plain.append((what.n, what.sample, what.known_at, what.quality, *context, *arrays))
        elif isinstance(what, SignalChange):
            plain.append((what.condition, what.begins, what.sample, what.known_at))
    return plain


def refused(bed: Bed, new: Chunk) -> str:
    """The reason why the stream refuses ``new``, after making sure that this changed nothing."""
    before = (bed.stream.expected, bed.stream.segment, bed.tally())
    with pytest.raises(StreamError) as caught:
        bed.send(new)
    assert (bed.stream.expected, bed.stream.segment, bed.tally()) == before
    return caught.value.reason


# --- holes, repeats, late frames --------------------------------------------------------------


def test_a_hole_is_counted_told_and_seen_by_the_front_end(new_observer: NewObserver) -> None:
    bed = Bed(new_observer, chunk(flat(360), 0))
    steps = bed.send(chunk(flat(360), 3960))
    (status_event,) = status_changes(steps)
    assert (status_event.state, status_event.sample, status_event.lost) == ("gap", 360, 3600)
    assert "3600 samples (10 s)" in status_event.text
    assert bed.tally() == (720, 3600, 0)
    assert bed.stream.expected == 4320
    gaps = [e for e in events(steps) if e[0] is Condition.GAP]
    assert [begins for _, begins, *_ in gaps] == [True, False]


def test_a_hole_is_what_as_many_lost_samples_would_be(
    patient: Floats, new_observer: NewObserver
) -> None:
    gap_samples, marked = (Bed(new_observer, chunk(patient[:7200], 0)) for _ in range(2))
    gap_samples.send(chunk(patient[10800:], 10800))
    marked.send(chunk(lost(3600), 7200))
    marked.send(chunk(patient[10800:], 10800))
    assert events(gap_samples.steps) == events(marked.steps)
    assert gap_samples.tally() == marked.tally() == (18000, 3600, 0)
    assert any(e[3] is Quality.UNUSABLE for e in events(gap_samples.steps))


def test_a_sample_lost_on_every_lead_is_lost_on_one_lead_it_is_received(
    new_observer: NewObserver,
) -> None:
    samples = flat(100, leads=2)
    samples[10:30, 0] = np.nan
    samples[20:40, 1] = np.nan
    bed = Bed(new_observer, chunk(samples, 0, leads=("MLII", "V5")))
    assert bed.tally() == (90, 10, 0)


def test_a_repeated_frame_is_dropped(new_observer: NewObserver) -> None:
    bed = Bed(new_observer, chunk(flat(360), 0))
    assert bed.send(chunk(flat(360), 0)) == []
    assert bed.tally() == (360, 0, 360)
    assert bed.stream.expected == 360


def test_of_a_late_frame_the_new_part_is_used(patient: Floats, new_observer: NewObserver) -> None:
    bed = Bed(new_observer, chunk(patient[:1000], 0))
    bed.send(chunk(patient[700:3000], 700))
    bed.send(chunk(patient[3000:], 3000))
    whole = Bed(new_observer, chunk(patient, 0))
    assert events(bed.steps) == events(whole.steps)
    assert bed.tally() == (len(patient), 0, 300)


def test_a_frame_that_comes_after_its_hole_stays_lost(new_observer: NewObserver) -> None:
    bed = Bed(new_observer, chunk(flat(100), 0))
    bed.send(chunk(flat(100), 200))
    bed.send(chunk(flat(100), 100))
    bed.send(chunk(flat(100), 300))
    assert bed.tally() == (300, 100, 100)


frames = st.lists(
    st.tuples(st.integers(1, 400), st.sampled_from(["sent", "lost", "twice", "late", "void"])),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(plan=frames)
def test_sent_is_received_plus_lost(plan: list[tuple[int, str]], new_observer: NewObserver) -> None:
    """Whatever is dropped, doubled, delayed or marked as lost, and however frames are cut."""
    bed = Bed(new_observer, chunk(flat(50), 0))
    first, delivered, late = 50, 50, []
    for size, fate in plan:
        new = chunk(lost(size) if fate == "void" else flat(size), first)
        first += size
        if fate == "late":
            late.append(new)
        for _ in range({"lost": 0, "late": 0, "twice": 2}.get(fate, 1)):
            bed.send(new)
            delivered += size
        if fate == "sent" and late:
            overdue = late.pop()
            bed.send(overdue)
            delivered += len(overdue.samples)
    bed.send(chunk(flat(10), first))
    received, missing, repeated = bed.tally()
    assert received + missing == first + 10
    holes = sum(status_event.lost for status_event in status_changes(bed.steps))
    void = missing - holes
    assert received + void + repeated == delivered + 10


# --- epochs, rates, leads ---------------------------------------------------------------------


def test_a_new_epoch_closes_the_old_segment_and_counts_anew(
    patient: Floats, new_observer: NewObserver
) -> None:
    bed = Bed(new_observer, chunk(patient[:7290], 1000))
    old, before = bed.stream.segment, events(bed.steps)
    steps = bed.send(chunk(patient, 0, epoch=2))
    closed = next(i for i, step in enumerate(steps) if isinstance(step.what, SegmentEnd))
    assert all(step.segment is old for step in steps[: closed + 1])
    assert steps[closed].what == SegmentEnd(8290)
    assert all(e[3] is Quality.UNUSABLE for e in events(steps[:closed]))
    assert [status_event.state for status_event in status_changes(steps)] == ["restarted"]
    new = events(steps[closed:])
    assert new == events(Bed(new_observer, chunk(patient, 0, epoch=2)).steps)
    assert len(before) > 10
    assert bed.tally() == (7290 + len(patient), 0, 0)


def test_the_rate_may_change_with_the_epoch_only(new_observer: NewObserver) -> None:
    bed = Bed(new_observer, chunk(flat(100), 0))
    assert refused(bed, chunk(flat(100), 100, fs=250.0)) == "rate"
    bed.send(chunk(flat(100), 100, epoch=2, fs=250.0))
    assert bed.stream.segment.fs == 250.0


def test_other_leads_begin_a_new_segment_of_the_same_epoch(
    patient: Floats, new_observer: NewObserver
) -> None:
    bed = Bed(new_observer, chunk(patient[:7200], 0))
    both = np.repeat(patient[7000:], 2, axis=1)
    steps = bed.send(chunk(both, 7000, leads=("V1", "II")))
    (status_event,) = status_changes(steps)
    assert (status_event.state, status_event.sample) == ("leads-changed", 7200)
    assert status_event.text == "leads changed from MLII to V1, II"
    assert bed.stream.segment.frontend.lead == "II"
    assert bed.tally() == (len(patient), 0, 200)
    beats = sum(isinstance(s.what, Beat) for s in bed.steps if s.segment.first == 0)
    assert bed.stream.segment.beats_before == beats > 20


def test_a_repeated_frame_with_other_leads_changes_nothing(new_observer: NewObserver) -> None:
    bed = Bed(new_observer, chunk(flat(100), 0))
    assert bed.send(chunk(flat(100, leads=2), 0, leads=("V1", "II"))) == []


# --- jumps ------------------------------------------------------------------------------------


def test_a_confirmed_jump_is_a_hole_of_its_true_length(new_observer: NewObserver) -> None:
    bed = Bed(new_observer, chunk(flat(100), 0))
    (status_event,) = status_changes(bed.send(chunk(flat(100), 2**52)))
    assert status_event.lost == 2**52 - 100
    assert bed.tally() == (200, 2**52 - 100, 0)


def test_an_hour_needs_no_confirmation(new_observer: NewObserver) -> None:
    bed = Bed(new_observer, chunk(flat(100), 0))
    bed.send(chunk(flat(100), 100 + HOUR))
    assert bed.tally() == (200, HOUR, 0)


def test_beats_are_found_at_the_far_end_of_the_count(
    patient: Floats, new_observer: NewObserver
) -> None:
    far = 2**53 - 1 - len(patient)
    found = events(Bed(new_observer, chunk(patient, far)).steps)
    near = events(Bed(new_observer, chunk(patient, 0)).steps)
    assert [e[3] for e in found] == [e[3] for e in near]


# --- totals, the end, time --------------------------------------------------------------------


def test_a_notice_tells_the_totals_so_far(new_observer: NewObserver) -> None:
    bed = Bed(new_observer, chunk(flat(100), 0))
    bed.send(chunk(lost(50), 90))
    (status_event,) = status_changes([bed.stream.status_event("started", "hello")])
    assert (
        status_event.totals.received,
        status_event.totals.lost,
        status_event.totals.repeated,
    ) == (100, 40, 10)


def test_the_end_closes_the_segment_but_reports_no_half_beat(
    patient: Floats, new_observer: NewObserver
) -> None:
    bed = Bed(new_observer, chunk(patient[:7290], 0))
    closed, status_event = bed.stream.end("over")
    assert closed.what == SegmentEnd(7290)
    assert status_changes([status_event])[0].state == "ended"


def test_times_do_not_depend_on_the_cut() -> None:
    lines = [SourceClock(FS, 0, START_NS) for _ in range(2)]
    for first in range(0, 100_000, 77):
        lines[1].claim(first, START_NS + round(first * 1e9 / FS))
    assert [line.times.at(99_999) for line in lines] == [START_NS + 277_775_000_000] * 2


def test_a_source_clock_that_steps_is_followed_from_there_on() -> None:
    line = SourceClock(FS, 0, START_NS)
    assert line.claim(360, START_NS + 3_600_000_000_000) == 3_599_000_000_000
    assert line.times.at(359) == START_NS + 997_222_222
    assert line.times.at(360) == START_NS + 3_600_000_000_000
    assert line.times.at(-360) == START_NS - 1_000_000_000


@pytest.mark.parametrize("ppm", [100.0, -100.0, 20.0])
def test_a_source_clock_that_drifts_is_followed_within_two_milliseconds(ppm: float) -> None:
    line = SourceClock(FS, 0, START_NS)
    for first in range(0, HOUR, 360):
        claimed = START_NS + round(first * (1 + ppm / 1e6) * 1e9 / FS)
        assert line.claim(first, claimed) == 0
        assert abs(line.times.at(first) - claimed) <= 2_000_000
        known = first >= 60 * FS
        assert line.drift_ppm == (pytest.approx(ppm, abs=0.01) if known else 0.0)


def test_drift_is_that_since_the_clock_last_jumped() -> None:
    line = SourceClock(FS, 0, START_NS)
    for second in range(200):
        stepped = 5_000_000_000 if second >= 100 else 0
        jump = line.claim(360 * second, START_NS + second * 1_000_100_000 + stepped)
        assert jump == pytest.approx(stepped if second == 100 else 0, abs=3_000_000)
        assert line.drift_ppm == pytest.approx(100 if (second % 100) >= 60 else 0, abs=0.01)


@pytest.mark.parametrize(("late_ms", "steps"), [(1001, 1), (-1001, 1), (999, 0), (-999, 0)])
def test_a_clock_that_jumps_by_more_than_a_second_is_told(
    late_ms: int, steps: int, new_observer: NewObserver
) -> None:
    bed = Bed(new_observer, chunk(flat(360), 0))
    told = bed.send(chunk(flat(360), 720, t_ns=START_NS + 2_000_000_000 + late_ms * 1_000_000))
    assert [n.state for n in status_changes(told)] == ["gap", *["clock"] * steps]
    assert bed.counts["clock_steps"] == steps
    if steps:
        status_event = status_changes(told)[-1]
        assert (status_event.sample, status_event.lost) == (720, 0)
        assert f"jumped by {late_ms / 1000:+.3f} s" in status_event.text
    assert (
        status_changes(
            bed.send(chunk(flat(36), 1080, t_ns=bed.stream.segment.source_clock.times.at(1080)))
        )
        == []
    )


def test_a_new_epoch_is_no_jump_of_the_clock(new_observer: NewObserver) -> None:
    bed = Bed(new_observer, chunk(flat(360), 0))
    bed.send(chunk(flat(360), 0, epoch=2, t_ns=START_NS + 10**12))
    assert bed.counts["clock_steps"] == 0


def test_times_between_frames_follow_the_frame_they_lie_in() -> None:
    line = SourceClock(FS, 0, START_NS)
    for second in range(100):
        line.claim(360 * second, START_NS + second * 1_010_000_000)
    assert line.times.at(360 * 90) == START_NS + 90 * 1_010_000_000
    assert line.times.at(360 * 10) == pytest.approx(START_NS + 10 * 1_010_000_000, abs=1e9)
