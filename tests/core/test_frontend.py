"""The front end: the same heart gives the same beats, however it was measured."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import gcd, lcm

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple, replace
from scipy import signal

from beatgan.errors import StreamError
from beatgan.frontend import Event, Frontend, choose_leads
from beatgan.model.synthetic_ecg import beat_times, synthetic_ecg
from beatgan.records import SAMPLE, read_recording
from beatgan.signal import resample
from beatgan.spec import PreprocessSpec
from beatgan.types import MAX_FIRST, Beat, Condition, Floats, Quality, SignalChange
from beatgan_train.training.coefficients import coefficients_of

COEFFICIENTS = coefficients_of("full")

SPEC = PreprocessSpec()

TwoLeads = Callable[[float, float], Floats]


def identity(event: Event) -> tuple[object, ...]:
    """All of an event in comparable form, arrays as bytes."""
    return tuple(v.tobytes() if isinstance(v, np.ndarray) else v for v in astuple(event))


def run(samples: Floats, fs: float) -> list[Event]:
    """The events of one lead."""
    frontend = Frontend(SPEC, COEFFICIENTS, fs, ["MLII"])
    return frontend.push(samples[:, None]) + frontend.close()


def beats(events: Sequence[Event]) -> list[Beat]:
    return [event for event in events if isinstance(event, Beat)]


def apart(found: Sequence[Beat]) -> list[float]:
    """The distances of all beats but the first, which has none."""
    assert found[0].distance is None
    return [beat.distance for beat in found[1:] if beat.distance is not None]


def damaged(fs: float, seconds: float = 20) -> Floats:
    """ECG with a short loss, a long loss and a flat line."""
    ecg = synthetic_ecg(seconds, fs)
    ecg[int(4 * fs) : int(4 * fs) + 2] = np.nan
    ecg[int(7 * fs) : int(8.5 * fs)] = np.nan
    ecg[int(11 * fs) : int(14 * fs)] = 0.2
    return ecg


@pytest.mark.parametrize("fs", [100.0, 128.0, 250.0, 360.0, 500.0, 1000.0])
def test_every_rate_finds_the_same_beats(fs: float) -> None:
    found = beats(run(synthetic_ecg(60, fs), fs))
    truth = beat_times(60)
    assert len(found) == truth.size
    assert (
        np.abs(np.array([beat.sample for beat in found]) / fs - truth).max() < 0.025
    )  # two extremes alike: between
    assert [beat.n for beat in found] == list(range(truth.size))


@pytest.mark.parametrize("seconds", [0.1, 3.0, 4.0, 10.0])
@pytest.mark.parametrize("fs", [250.0, 257.0, 360.0])
def test_a_hole_is_the_same_as_samples_marked_lost(fs: float, seconds: float) -> None:
    ecg, hole = synthetic_ecg(30, fs), slice(int(12 * fs), int((12 + seconds) * fs))
    ecg[hole] = np.nan
    frontend = Frontend(SPEC, COEFFICIENTS, fs, ["MLII"])
    events = frontend.push(ecg[: hole.start, None]) + frontend.skip(hole.stop - hole.start)
    events += frontend.push(ecg[hole.stop :, None]) + frontend.close()
    assert [*map(identity, events)] == [*map(identity, run(ecg, fs))]


def told_from(first: int, samples: Floats, fs: float) -> list[tuple[object, ...]]:
    """What is told of a stream that begins at ``first``, reckoned from there."""
    frontend = Frontend(SPEC, COEFFICIENTS, fs, ["MLII", "V5"], first)
    events = [
        e for at in range(0, len(samples), 999) for e in frontend.push(samples[at : at + 999])
    ]
    shifted = [
        replace(event, sample=event.sample - first, known_at=event.known_at - first)
        for event in [*events, *frontend.close()]
    ]
    return [*map(identity, shifted)]


@pytest.mark.parametrize("fs", [77.7, 50 + 1 / 997, 128.0, 256.41, 360.0, 999.001, 2000.0])
def test_a_stream_that_begins_at_the_end_of_the_range_is_told_alike(
    fs: float, two_leads: TwoLeads
) -> None:
    """Shifted by a whole number of all periods that there are: every bit is the same."""
    ratio = resample.design(fs, SPEC.rate)
    step = max(1, int(128 * fs / SPEC.rate) - 1)  # of the blocks
    outputs = lcm(256, 180)  # of the detector's ring, of the status
    period = ratio.num * lcm(outputs // gcd(outputs, ratio.den), step // gcd(step, ratio.num))
    samples = two_leads(20.0, fs)
    samples[int(8 * fs) : int(9 * fs)] = np.nan
    near = told_from(period, samples, fs)
    assert len(near) > 20
    assert told_from(MAX_FIRST // period * period, samples, fs) == near


@pytest.mark.parametrize("fs", [77.7, 999.001, 2000.0])
def test_a_stream_may_begin_and_go_on_anywhere(fs: float) -> None:
    frontend = Frontend(SPEC, COEFFICIENTS, fs, ["MLII"], MAX_FIRST)
    frontend.push(np.zeros((2, 1), np.float32))
    frontend = Frontend(SPEC, COEFFICIENTS, fs, ["MLII"])
    frontend.push(synthetic_ecg(5, fs)[:, None])
    frontend.skip(MAX_FIRST - int(5 * fs))
    events = frontend.push(synthetic_ecg(20, fs)[:, None]) + frontend.close()
    assert len(beats(events)) > 15
    assert all(MAX_FIRST <= each.sample < MAX_FIRST + 20 * fs for each in beats(events))


@pytest.mark.parametrize(("leads", "first"), [(0, 0), (17, 0), (1, -1), (1, 2**54)])
def test_what_no_stream_can_be_is_refused(leads: int, first: int) -> None:
    with pytest.raises(StreamError, match=r"leads|first"):
        Frontend(SPEC, COEFFICIENTS, 360.0, ["II"] * leads, first)


def test_an_absurd_hole_takes_no_time_and_counts_stay_exact() -> None:
    frontend = Frontend(SPEC, COEFFICIENTS, 360.0, ["MLII"])
    ecg = synthetic_ecg(20, 360.0)
    frontend.push(ecg[:, None])
    frontend.skip(2**50)
    later = beats(frontend.push(ecg[:, None]))
    expected = beat_times(20)[1] * 360 + ecg.size + 2**50
    assert abs(later[1].sample - expected) <= 3


def test_quality_says_what_happened_round_a_loss() -> None:
    ecg = synthetic_ecg(20, 360.0)
    truth = (beat_times(20) * 360).astype(int)
    ecg[truth[11] + 60 : truth[11] + 63] = np.nan
    found = beats(run(ecg, 360.0))
    assert found[11].quality is Quality.UNUSABLE
    assert found[11].window.size == 0
    assert found[12].quality is Quality.POOR
    assert found[12].rr_ms is None
    assert all(beat.quality is Quality.GOOD for beat in [*found[2:11], *found[13:-1]])
    assert found[13].rr_ms == pytest.approx(np.diff(truth)[12] / 0.36, abs=12)


def test_gap_and_flat_line_are_announced() -> None:
    changes = [e for e in run(damaged(360.0), 360.0) if isinstance(e, SignalChange)]
    assert [(c.condition, c.begins) for c in changes] == [
        (Condition.GAP, True),
        (Condition.GAP, False),
        (Condition.FLAT, True),
        (Condition.FLAT, False),
    ]
    assert [c.sample for c in changes] == [7 * 360, 8.5 * 360, 11 * 360, 14 * 360]
    assert [c.suspended for c in changes] == [True, False, True, False]
    assert {c.lead for c in changes} == {"MLII"}


def test_noise_is_announced_and_its_beats_are_not_scored() -> None:
    ecg, rng = synthetic_ecg(90, 360.0), np.random.default_rng(0)
    noisy = slice(30 * 360, 60 * 360)
    ecg[noisy] += 1.5 * rng.normal(size=30 * 360).astype(np.float32)
    events = run(ecg, 360.0)
    began, ended = (e for e in events if isinstance(e, SignalChange))
    assert (began.condition, began.begins, ended.begins) == (Condition.NOISE, True, False)
    assert 30 * 360 < began.sample < 45 * 360
    assert 60 * 360 < ended.sample < 80 * 360
    within = [b for b in beats(events) if began.sample <= b.sample < ended.sample]
    assert len(within) > 20
    assert {b.quality for b in within} == {Quality.UNUSABLE}
    assert all(b.window.size == 0 for b in within)


def test_ectopic_beats_stand_out_from_the_patients_own() -> None:
    found = beats(run(synthetic_ecg(120, 360.0), 360.0))[10:-1]
    ectopic = [beat.distance for beat in found if beat.n % 9 == 8 if beat.distance is not None]
    normal = [beat.distance for beat in found if beat.n % 9 != 8 if beat.distance is not None]
    assert len(ectopic) + len(normal) == len(found)
    assert min(ectopic) > max(normal) + 2
    assert min(beat.prematurity for beat in found if beat.n % 9 == 8) > 0.3


def of_two(samples: Floats, fs: float = 360.0) -> list[Beat]:
    """The beats of two leads, all from the first."""
    frontend = Frontend(SPEC, COEFFICIENTS, fs, ["MLII", "V1"])
    found = beats(frontend.push(samples))
    assert {beat.lead for beat in found} == {"MLII"}
    return found


@given(st.floats(0.25, 4), st.floats(0.25, 4), st.floats(-5, 5), st.floats(-5, 5))
@settings(max_examples=40, deadline=None)
def test_neither_gain_nor_offset_of_a_lead_changes_beats_or_what_is_scored(
    two_leads: TwoLeads, gain: float, other_gain: float, offset: float, other_offset: float
) -> None:
    # Before the first QRS a large P wave and a small beat look alike: begin behind it.
    ecg = two_leads(30, 360.0)[int(0.51 * 360) :]
    changed = (ecg * (gain, other_gain) + (offset, other_offset)).astype(np.float32)
    plain, measured = of_two(ecg), of_two(changed)
    assert [b.sample for b in plain] == [b.sample for b in measured]
    assert [b.prematurity for b in plain] == [b.prematurity for b in measured]
    assert np.allclose(apart(plain), apart(measured), atol=0.05)
    for a, b in zip(plain[1:], measured[1:], strict=True):  # the first: while filters settle
        assert np.allclose(a.window, b.window, atol=0.05)
        assert np.allclose(a.template, b.template, atol=0.05)
        assert a.second_window.size == b.second_window.size == (a.n > 1) * SPEC.length
        assert np.allclose(a.second_window, b.second_window, atol=0.05)
        assert np.allclose(a.second_template, b.second_template, atol=0.05)
        assert a.rhythm.tobytes() == b.rhythm.tobytes()


@pytest.mark.parametrize("signs", [(-1, 1), (1, -1), (-1, -1)])
def test_a_lead_upside_down_has_the_same_beats(two_leads: TwoLeads, signs: tuple[int, int]) -> None:
    ecg = two_leads(60, 360.0)
    plain, turned = of_two(ecg), of_two(ecg * np.array(signs, np.float32))
    assert [b.sample for b in plain] == [b.sample for b in turned]
    assert np.allclose(apart(plain), apart(turned), atol=0.05)


@pytest.mark.parametrize(("up", "down"), [(25, 36), (25, 18), (50, 18)])
@pytest.mark.parametrize("real", [False, True])
def test_the_same_heart_at_another_rate_has_the_same_beats(
    two_leads: TwoLeads, up: int, down: int, real: bool
) -> None:
    ecg = two_leads(60, 360.0)[:, 0]
    if real:
        ecg = read_recording(SAMPLE).samples[: 60 * 360, 0]
    other = signal.resample_poly(ecg.astype(np.float64), up, down).astype(np.float32)
    seconds = [
        [b.sample / fs for b in beats(run(x, fs)) if b.sample < 59 * fs]
        for x, fs in ((ecg, 360.0), (other, 360.0 * up / down))
    ]
    assert len(seconds[0]) == len(seconds[1]) > 50
    assert np.abs(np.subtract(seconds[0], seconds[1])).max() <= 0.010


def test_apexes_never_run_backwards() -> None:
    rng = np.random.default_rng(0)
    ecg = (0.4 * rng.normal(size=360 * 60)).astype(np.float32)
    samples = [beat.sample for beat in beats(run(ecg, 360.0))]
    assert samples
    assert all(a < b for a, b in pairwise(samples))


def test_infinite_samples_are_lost_samples() -> None:
    ecg = synthetic_ecg(10, 360.0)
    other = ecg.copy()
    ecg[1000:1005], other[1000:1005] = np.inf, np.nan
    assert [*map(identity, run(ecg, 360.0))] == [*map(identity, run(other, 360.0))]


@pytest.mark.parametrize(
    ("leads", "chosen"),
    [
        (["V5", "MLII"], [1, 0]),
        (["x", "ii"], [1, 0]),
        (["a", "b", "c"], [0, 1]),
        (["V1", "V2", "y"], [1, 0]),
        (["I"], [0]),
        (["ECG V1", "Lead II"], [1, 0]),
        (["RESP", "II", "PLETH"], [1]),
        (["RESP"], [0]),
    ],
)
def test_choose_leads(leads: list[str], chosen: list[int]) -> None:
    assert choose_leads(leads, SPEC.leads, 2) == chosen


def test_a_second_lead_adds_to_the_distance_and_to_nothing_else() -> None:
    ecg = synthetic_ecg(30, 360.0)
    noise = np.random.default_rng(0).normal(size=ecg.size).astype(np.float32)
    other = np.where(np.arange(ecg.size) < 7200, 0.5 * ecg, ecg + noise)  # 20 s alike, then not
    other[-1080:] = np.nan  # and then gone
    frontend = Frontend(SPEC, COEFFICIENTS, 360.0, ["V1", "MLII"])
    both = beats(frontend.push(np.stack([other, ecg], 1)))
    alone = beats(run(ecg, 360.0))
    assert [(b.sample, b.quality, b.prematurity) for b in both] == [
        (b.sample, b.quality, b.prematurity) for b in alone[: len(both)]
    ]
    more = np.array(
        [(a.distance or 0) - (b.distance or 0) for a, b in zip(both, alone, strict=False)]
    )
    late = np.array([b.sample for b in both])
    assert np.abs(more[(late > 1500) & (late < 6800)]).max() < 0.2
    assert more[(late > 7500) & (late < ecg.size - 1400)].min() > 0.5
    assert (more[late > ecg.size - 1000] == 0).all()
    for two, one in zip(both, alone, strict=False):
        assert two.window.tobytes() == one.window.tobytes()
        assert two.template.tobytes() == one.template.tobytes()
        assert two.rhythm.tobytes() == one.rhythm.tobytes()
        assert two.lead_distances[0] == one.lead_distances[0] == one.distance
        assert one.lead_distances[1] is None
        assert one.second_window.size == one.second_template.size == 0


def test_a_beat_has_the_window_of_each_lead_that_shares_in_its_distance(
    two_leads: TwoLeads,
) -> None:
    ecg = two_leads(60, 360.0)
    ecg[20 * 360 : 40 * 360, 0] = 0.0  # so that the second one takes over for a while
    ecg[50 * 360 :, 1] = np.nan
    frontend = Frontend(SPEC, COEFFICIENTS, 360.0, ["MLII", "V1"])
    found = beats(frontend.push(ecg))
    pairs = [beat for beat in found if beat.second_window.size]
    assert {beat.lead for beat in pairs} == {"MLII", "V1"}
    assert all(beat.sample < 50 * 360 for beat in pairs)
    assert len(pairs) > 30
    for beat in found:
        own, second = beat.lead_distances
        if second is None or own is None:
            assert beat.distance == own
            continue
        share = SPEC.second_lead if beat.lead == "MLII" else 1 - SPEC.second_lead
        assert beat.distance == own + share * (second - own)
    for beat in pairs:
        level = np.sqrt(np.mean(np.square(beat.second_template[SPEC.scored])))
        assert level == pytest.approx(1, rel=1e-5)


def test_two_leads_that_are_one_have_one_window() -> None:
    ecg = synthetic_ecg(30, 360.0)
    frontend = Frontend(SPEC, COEFFICIENTS, 360.0, ["MLII", "V1"])
    found = beats(frontend.push(np.stack([ecg, ecg], 1)))
    assert sum(beat.second_window.size > 0 for beat in found) == len(found) - 1  # the first: none
    for beat in found[1:]:
        assert beat.window.tobytes() == beat.second_window.tobytes()
        assert beat.template.tobytes() == beat.second_template.tobytes()
        assert beat.lead_distances == (beat.distance, beat.distance)


@pytest.mark.parametrize(("fs", "leads"), [(49.0, ["I"]), (2001.0, ["I"]), (360.0, [])])
def test_impossible_streams_are_refused(fs: float, leads: list[str]) -> None:
    with pytest.raises(StreamError):
        Frontend(SPEC, COEFFICIENTS, fs, leads)


def test_samples_of_another_width_are_refused() -> None:
    with pytest.raises(StreamError, match=r"\(n, 2\)"):
        Frontend(SPEC, COEFFICIENTS, 360.0, ["I", "II"]).push(np.zeros((5, 3), np.float32))
