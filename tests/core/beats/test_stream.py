"""The laws of a stream: the same for any cutting, and never changed by what follows."""

import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple

from beatgan.beats import emit, lead_pipeline
from beatgan.errors import ArtifactError
from beatgan.frontend import Event, Frontend
from beatgan.records import SAMPLE, read_recording
from beatgan.spec import PreprocessSpec
from beatgan.types import RHYTHM_SIZE, Beat, Floats, Quality, SignalChange
from beatgan_train.training.coefficients import coefficients_of

COEFFICIENTS = coefficients_of("full")

SPEC = PreprocessSpec()
LEADS = ("MLII", "V1")
RATES = [128.0, 250.0, 257.0, 360.0, 500.0, 1000.0]
SECONDS = 20.0

TwoLeads = Callable[[float, float], Floats]


def identity(event: Event) -> tuple[object, ...]:
    """All of an event in comparable form, arrays as bytes."""
    return tuple(v.tobytes() if isinstance(v, np.ndarray) else v for v in astuple(event))


def run(samples: Floats, fs: float, cuts: Sequence[int] = (), ends: bool = True) -> list[Event]:
    """The events of these samples, with or without its end."""
    frontend = Frontend(SPEC, COEFFICIENTS, fs, LEADS)
    edges = [0, *cuts, len(samples)]
    events = [e for start, stop in pairwise(edges) for e in frontend.push(samples[start:stop])]
    return events + frontend.close() if ends else events


def same(events: Sequence[Event], others: Sequence[Event]) -> bool:
    return [*map(identity, events)] == [*map(identity, others)]


@cache
def real(fs: float) -> Floats:
    """Two leads of a real heart at ``fs`` Hz: the bundled one, and what a lead across has."""
    ecg = read_recording(SAMPLE).samples[: int(SECONDS * 360), 0]
    across = -0.7 * np.roll(ecg, 2) + 0.2 * np.roll(ecg, 9)
    both = np.stack([ecg, across], axis=1)
    there = np.arange(int(SECONDS * fs)) * 360 / fs
    at = np.arange(len(both))
    columns = [np.interp(there, at, column) for column in both.T]
    return np.stack(columns, axis=1).astype(np.float32)


Damages = list[tuple[str, int, float, float]]  # what, lead, begins and lasts in seconds
DAMAGES = st.lists(
    st.tuples(
        st.sampled_from(["flat", "lost", "noise", "rail", "off"]),
        st.integers(0, 1),
        st.floats(0, SECONDS),
        st.floats(0.002, 8),
    ),
    max_size=5,
)


def damaged(samples: Floats, fs: float, damages: Damages) -> Floats:
    spoilt = samples.copy()
    for what, which, begins, lasts in damages:
        stretch = spoilt[int(begins * fs) : int((begins + lasts) * fs) + 1, which]
        if what == "noise":
            stretch += np.random.default_rng(0).normal(size=stretch.size).astype(np.float32)
        else:
            values = {
                "flat": stretch[0] if stretch.size else 0,
                "lost": np.nan,
                "rail": 5,
                "off": 0,
            }
            stretch[:] = values[what]
    return spoilt


@pytest.fixture(scope="module", params=["synthetic", "real"])
def hearts(request: pytest.FixtureRequest, two_leads: TwoLeads) -> Callable[[float], Floats]:
    """ECG at a rate that is asked for, shape (n, 2)."""
    if request.param == "synthetic":
        return lambda fs: two_leads(SECONDS, fs)
    return real


def cuts_of(data: st.DataObject, size: int) -> list[int]:
    return data.draw(st.lists(st.integers(0, size), max_size=60).map(sorted), label="cuts")


@given(st.sampled_from(RATES), DAMAGES, st.data())
@settings(max_examples=150, deadline=None)
def test_any_cutting_gives_the_same_bits(
    hearts: Callable[[float], Floats], fs: float, damages: Damages, data: st.DataObject
) -> None:
    samples = damaged(hearts(fs), fs, damages)
    assert same(run(samples, fs, cuts_of(data, len(samples))), run(samples, fs))


def test_an_apex_that_lost_signal_confirms_is_judged_alike(two_leads: TwoLeads) -> None:
    damages = [("flat", 0, 5.0, 5.0), ("lost", 1, 8.984375, 1.0)]  # 70 ms after an apex
    samples = damaged(two_leads(SECONDS, 500.0), 500.0, damages)
    for cut in range(1700, 1750):
        assert same(run(samples, 500.0, [cut]), run(samples, 500.0))


@given(st.sampled_from(RATES), DAMAGES)
@settings(max_examples=12, deadline=None)
def test_one_sample_at_a_time_too(
    hearts: Callable[[float], Floats], fs: float, damages: Damages
) -> None:
    samples = damaged(hearts(fs), fs, damages)
    assert same(run(samples, fs, range(1, len(samples))), run(samples, fs))


@given(st.sampled_from(RATES), DAMAGES, st.data())
@settings(max_examples=60, deadline=None)
def test_another_front_end_goes_on_with_what_one_has_saved(
    hearts: Callable[[float], Floats], fs: float, damages: Damages, data: st.DataObject
) -> None:
    samples = damaged(hearts(fs), fs, damages)
    edges = [0, *cuts_of(data, len(samples)), len(samples)]
    frontend, events = Frontend(SPEC, COEFFICIENTS, fs, LEADS), []
    for start, stop in pairwise(edges):
        saved, frontend = frontend.save(), Frontend(SPEC, COEFFICIENTS, fs, LEADS)
        frontend.restore(saved)
        events += frontend.push(samples[start:stop])
        assert frontend.lead in LEADS
    assert same(events + frontend.close(), run(samples, fs))


def test_a_front_end_takes_no_other_ones_state() -> None:
    saved = Frontend(SPEC, COEFFICIENTS, 360.0, LEADS).save()
    otherwise = replace(COEFFICIENTS, vf=replace(COEFFICIENTS.vf, offset=0.0))
    others = [
        Frontend(SPEC, COEFFICIENTS, 250.0, LEADS),
        Frontend(SPEC, COEFFICIENTS, 360.0, ("MLII",)),
        Frontend(SPEC, COEFFICIENTS, 360.0, ("MLII", "V2")),
        Frontend(replace(SPEC, highpass_hz=0.4), COEFFICIENTS, 360.0, LEADS),
        Frontend(SPEC, otherwise, 360.0, LEADS),
    ]
    for other in others:
        before = other.save()
        with pytest.raises(ArtifactError, match="another version, model, rate or set of leads"):
            other.restore(saved)
        assert other.save() == before


@given(st.sampled_from(RATES), DAMAGES, DAMAGES, st.floats(1, SECONDS))
@settings(max_examples=150, deadline=None)
def test_what_follows_never_changes_what_was_reported(
    hearts: Callable[[float], Floats],
    fs: float,
    damages: Damages,
    others: Damages,
    until: float,
) -> None:
    """Signals that agree up to some moment give the same events up to it."""
    samples, known = damaged(hearts(fs), fs, damages), int(until * fs)
    future = damaged(-samples, fs, others)
    future[:known] = samples[:known]
    early = run(samples[:known], fs, ends=False)
    for longer in (samples, future):
        later = run(longer, fs, ends=False)
        assert same([e for e in later if e.known_at <= known], early)
        assert same(later[: len(early)], early)


@pytest.mark.parametrize("fs", [100.0, *RATES])
def test_events_come_with_the_very_sample_they_name(
    hearts: Callable[[float], Floats], fs: float
) -> None:
    samples = damaged(hearts(fs), fs, [("lost", 0, 7, 1.5), ("flat", 0, 12, 3), ("off", 1, 13, 5)])
    frontend = Frontend(SPEC, COEFFICIENTS, fs, LEADS, 1000)
    events = 0
    for count in range(1, len(samples) + 1):
        for event in frontend.push(samples[count - 1 : count]):
            assert event.known_at == 1000 + count
            assert event.sample < event.known_at
            events += 1
    assert events > 20


@given(DAMAGES)
@settings(max_examples=150, deadline=None)
def test_beats_run_forward_and_keep_count_whatever_befalls_the_leads(
    two_leads: TwoLeads, damages: Damages
) -> None:
    events = run(damaged(two_leads(SECONDS, 360.0), 360.0, damages), 360.0)
    beats = [e for e in events if isinstance(e, Beat)]
    assert [b.n for b in beats] == list(range(len(beats)))
    assert all(a.sample < b.sample for a, b in pairwise(beats))
    assert all(a.known_at <= b.known_at for a, b in pairwise(events))
    for beat in beats:
        assert (beat.window.size == 0) == (beat.quality is Quality.UNUSABLE)
        assert np.isfinite(beat.window).all()
        assert beat.distance is None or np.isfinite(beat.distance)
        assert beat.rhythm.shape == (RHYTHM_SIZE,)
        assert np.isfinite(beat.rhythm).all()
        own, second = beat.lead_distances
        assert (own is None) == (beat.distance is None)
        two = second is not None and beat.quality is not Quality.UNUSABLE
        assert beat.second_window.size == beat.second_template.size == two * SPEC.length
        assert np.isfinite(beat.second_window).all()
        assert np.isfinite(beat.second_template).all()


def frames(samples: Floats, minutes: int) -> Iterator[Floats]:
    """So many minutes of frames of a second each."""
    for second in range(60 * minutes):
        at = second % (len(samples) // 360) * 360
        yield samples[at : at + 360]


def test_a_stream_that_goes_on_takes_no_more_memory(two_leads: TwoLeads) -> None:
    samples = damaged(two_leads(60, 360.0), 360.0, [("flat", 0, 30, 8), ("lost", 1, 5, 2)])
    frontend = Frontend(SPEC, COEFFICIENTS, 360.0, LEADS)
    taken = []
    tracemalloc.start()
    try:
        for _ in range(3):
            for frame in frames(samples, 10):
                frontend.push(frame)
            taken.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert taken[2] - taken[1] < 1024


def test_the_state_of_a_stream_is_of_one_size() -> None:
    assert emit.layout(SPEC).itemsize + 2 * lead_pipeline.layout(SPEC).itemsize <= 64 * 1024


def test_counts_stay_exact_for_years(two_leads: TwoLeads) -> None:
    samples, later = two_leads(SECONDS, 257.0), 257 * 86400 * 3650
    early, late = (
        Frontend(SPEC, COEFFICIENTS, 257.0, LEADS, first).push(samples) for first in (0, later)
    )
    assert len(early) == len(late) > 20
    assert max(abs(b.sample - a.sample - later) for a, b in zip(early, late, strict=True)) <= 1


@given(DAMAGES)
@settings(max_examples=150, deadline=None)
def test_each_condition_of_a_lead_begins_and_ends_by_turns(
    two_leads: TwoLeads, damages: Damages
) -> None:
    events = run(damaged(two_leads(SECONDS, 360.0), 360.0, damages), 360.0)
    hold: set[tuple[str, str]] = set()
    suspended = False
    for event in events:
        if isinstance(event, SignalChange):
            which = (event.lead, event.condition)
            # a beginning that was not reported is followed by an end only if scoring then goes on
            assert (which in hold) != event.begins or event.suspended != suspended
            assert not (event.begins and which in hold)
            hold ^= {which} if event.begins else hold & {which}
            suspended = event.suspended
