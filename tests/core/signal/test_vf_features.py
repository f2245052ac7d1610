"""Rhythm status: reported by the signal alone, and never in a normal rhythm."""

from collections.abc import Callable, Sequence
from dataclasses import astuple
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatgan.alarms import ventricular_fibrillation
from beatgan.alarms.limits import AlarmLimits
from beatgan.frontend import Event, Frontend
from beatgan.model.synthetic_ecg import beat_times, synthetic_ecg
from beatgan.signal import vf_features
from beatgan.spec import PreprocessSpec
from beatgan.types import Beat, Doubles, Floats, RhythmStatus
from beatgan_train.training.coefficients import coefficients_of

COEFFICIENTS = coefficients_of("full")
WEIGHTS = np.array(astuple(COEFFICIENTS.vf))

SPEC, FS = PreprocessSpec(), 360
LEADS = ("MLII", "V1")
PAUSE_S = 6.0

TwoLeads = Callable[[float, float], Floats]


def waves(seconds: float, fs: float = FS, seed: int = 0) -> Floats:
    """What fibrillation is like: a sine whose rate and height wander."""
    rng = np.random.default_rng(seed)
    n = int(seconds * fs)
    wander = np.interp(np.arange(n) / fs, np.arange(seconds + 2), rng.normal(size=int(seconds + 2)))
    phase = 2 * np.pi * np.cumsum(4.5 + 0.8 * wander) / fs
    signal: Floats = ((0.6 + 0.2 * wander[::-1]) * np.sin(phase)).astype(np.float32)
    return signal


def front_end(samples: Floats, fs: float = FS, leads: Sequence[str] = ("MLII",)) -> list[Event]:
    frontend = Frontend(SPEC, COEFFICIENTS, fs, leads)
    return frontend.push(samples.reshape(len(samples), -1))


def statuses(events: Sequence[Event]) -> list[RhythmStatus]:
    return [event for event in events if isinstance(event, RhythmStatus)]


def paused(fs: float = FS) -> tuple[Floats, float]:
    """ECG that stands still from between two beats on for PAUSE_S; the last beat's time."""
    ecg, r_peaks = synthetic_ecg(30, fs), beat_times(30)
    last = float(r_peaks[r_peaks < 12][-1])
    first = int((last + 0.5) * fs)
    ecg[first : first + int(PAUSE_S * fs)] = 0.0
    return ecg, last


def record_of(signal: Doubles) -> vf_features.State:
    """The state of one lead's features after ``signal``."""
    s: vf_features.State = np.zeros(1, vf_features.STATE)[0]
    vf_features.begin(s)
    for start in range(0, signal.size - vf_features.PART + 1, vf_features.PART):
        vf_features.push_part(s, signal[start : start + vf_features.PART])
    return s


def test_nothing_is_told_of_a_normal_rhythm(two_leads: TwoLeads) -> None:
    assert not statuses(front_end(two_leads(60, 360.0), leads=LEADS))
    assert not statuses(front_end(synthetic_ecg(60, 250.0), 250.0))


@pytest.mark.parametrize("fs", [128.0, 250.0, 360.0, 1000.0])
def test_fibrillation_is_chaotic_whatever_the_rate_of_the_source(fs: float) -> None:
    signal = np.concatenate([synthetic_ecg(20, fs), waves(20, fs), synthetic_ecg(20, fs)])
    found = statuses(front_end(signal, fs))
    chaotic = [s for s in found if s.vf_log_odds >= AlarmLimits().vf_log_odds_limit]
    assert 20 * fs < chaotic[0].sample < 27 * fs
    assert 38 * fs < chaotic[-1].sample < 44 * fs
    assert found[-1].vf_log_odds <= ventricular_fibrillation.ENDS  # reported once more: it is over


def test_a_sine_is_upside_down_half_a_period_later_and_a_peak_is_not() -> None:
    sine = np.sin(2 * np.pi * 5 * np.arange(3 * FS) / FS)
    peaks = np.exp(-0.5 * ((np.arange(3 * FS) % 300 - 150) / 5.0) ** 2)
    smooth, peaked = vf_features.features(record_of(sine)), vf_features.features(record_of(peaks))
    assert smooth[1] < 0.1 < 0.6 < peaked[1]
    assert smooth[0] == pytest.approx(np.log(1.5), abs=0.02)  # the kurtosis of a sine
    assert smooth[0] < peaked[0]
    assert smooth[2] < peaked[2]


def test_a_faint_strip_is_not_chaotic_and_a_lost_one_is_nothing() -> None:
    sine = np.sin(2 * np.pi * 5 * np.arange(3 * FS) / FS)
    assert (
        vf_features.vf_log_odds(record_of(0.4 * vf_features.FAINT_MV * sine), WEIGHTS)
        == vf_features.LOWEST
    )
    sine[: 2 * FS] = np.nan
    assert np.isnan(vf_features.vf_log_odds(record_of(sine), WEIGHTS))


def test_a_chaotic_lead_beside_a_calm_one_is_no_fibrillation(two_leads: TwoLeads) -> None:
    samples = two_leads(30, 360.0)
    samples[10 * FS : 25 * FS, 1] = waves(15)
    assert not [s for s in statuses(front_end(samples, leads=LEADS)) if s.vf_log_odds > 0]
    samples[8 * FS :, 0] = np.nan  # where there is no other, it is all that is known
    found = statuses(front_end(samples, leads=LEADS))
    assert max(s.vf_log_odds for s in found) > AlarmLimits().vf_log_odds_limit


@pytest.mark.parametrize("fs", [128.0, 250.0, 360.0, 1000.0])
def test_quiet_counts_from_the_last_beat(fs: float) -> None:
    ecg, last = paused(fs)
    found = statuses(front_end(ecg, fs))
    latest_beat = np.array([(s.sample - s.samples_since_beat) / fs for s in found])
    assert np.abs(latest_beat[:-1] - last).max() < 0.03  # the break itself is no beat
    assert all(s.signal_ok for s in found if 3.9 * fs < s.samples_since_beat < PAUSE_S * fs)
    assert found[0].samples_since_beat == pytest.approx(2.0 * fs, abs=0.15 * fs)
    assert found[-1].samples_since_beat < 0.6 * fs
    assert {round((b.sample - a.sample) / fs, 2) for a, b in pairwise(found)} <= {0.12, 0.13}


@pytest.mark.parametrize("noise_mv", [0.005, 0.02])
def test_small_noise_is_no_beat(noise_mv: float) -> None:
    ecg, last = paused()
    still = slice(int((last + 0.5) * FS), int((last + 0.5 + PAUSE_S) * FS))
    ecg[still] += np.random.default_rng(3).normal(0, noise_mv, ecg[still].size).astype(np.float32)
    found = statuses(front_end(ecg))
    assert max(s.samples_since_beat for s in found) > 6 * FS
    assert max(s.vf_log_odds for s in found) <= 0


def test_lost_signal_is_not_quiet_and_quiet_counts_from_its_return() -> None:
    ecg, last = paused()
    first = int((last + 0.5) * FS)
    lost, back = first + FS, first + 3 * FS
    ecg[lost:back] = np.nan
    found = statuses(front_end(ecg))
    assert not [s for s in found if lost + 0.5 * FS < s.sample < back]
    again = [s for s in found if back < s.sample < first + PAUSE_S * FS]
    assert again
    assert {s.sample - s.samples_since_beat >= back for s in again} == {True}


def test_a_beat_might_hide_in_a_signal_that_moves() -> None:
    ecg, last = paused()
    first = int((last + 0.5) * FS)
    swing = 2.0 * np.sin(2 * np.pi * 0.8 * np.arange(int(PAUSE_S * FS)) / FS)
    ecg[first : first + swing.size] += swing.astype(np.float32)
    late = [s for s in statuses(front_end(ecg)) if s.samples_since_beat > 3 * FS]
    assert not any(s.signal_ok for s in late)


@given(st.lists(st.integers(1, 40 * FS - 1), max_size=8), st.integers(0, 1))
@settings(max_examples=40, deadline=None)
def test_strips_are_the_same_for_any_cutting_and_not_changed_by_what_follows(
    cuts: list[int], seed: int
) -> None:
    ecg, _ = paused()
    samples = np.concatenate([ecg[: 20 * FS], waves(20, seed=seed)])[:, None]
    frontend = Frontend(SPEC, COEFFICIENTS, FS, ("MLII",))
    edges = [0, *sorted(cuts), len(samples)]
    pieces = [frontend.push(samples[a:b]) for a, b in pairwise(edges)]
    whole = statuses(front_end(samples))
    assert statuses([event for piece in pieces for event in piece]) == whole
    assert len(whole) > 100
    until = edges[len(edges) // 2]
    assert statuses(front_end(samples[:until])) == [s for s in whole if s.known_at <= until]


def test_strips_come_in_the_order_in_which_they_became_known() -> None:
    ecg, _ = paused()
    events = front_end(np.concatenate([ecg, waves(10)]))
    assert [e.known_at for e in events] == sorted(e.known_at for e in events)
    assert any(isinstance(e, Beat) for e in events)
    assert statuses(events)
