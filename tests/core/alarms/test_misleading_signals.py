"""What looks like beats and is none, or keeps them from being found: nobody's asystole is hidden by
it, nobody's beats are taken for one."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatgan.alarms.asystole import AsystoleDetector
from beatgan.alarms.detector import AlarmEvent
from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.watch import Watch
from beatgan.frontend import Event, Frontend
from beatgan.model.synthetic_ecg import beat_times, synthetic_ecg
from beatgan.spec import PreprocessSpec
from beatgan.types import (
    EMPTY,
    Beat,
    Condition,
    Doubles,
    Floats,
    Phase,
    Quality,
    Score,
    SignalChange,
)
from beatgan_train.training.coefficients import coefficients_of

COEFFICIENTS = coefficients_of("full")
NEAR_S = 0.1  # a beat found this close to a true one is that


def front_end(samples: Doubles | Floats, fs: float) -> list[Event]:
    frontend = Frontend(PreprocessSpec(), COEFFICIENTS, fs, ["II"])
    return frontend.push(samples.astype(np.float32).reshape(-1, 1))


def beats(events: list[Event]) -> list[Beat]:
    return [each for each in events if isinstance(each, Beat)]


def asystoles(events: list[Event], fs: float) -> list[AlarmEvent]:
    """Each beginning of an asystole."""
    detector = AsystoleDetector(Watch(AlarmLimits(), fs))
    alarms: list[AlarmEvent] = []
    for each in events:
        if isinstance(each, SignalChange):
            continue
        alarms += detector.push(
            Score(each, None, 0.0, EMPTY, EMPTY) if isinstance(each, Beat) else each
        )
    return [each for each in alarms if each.phase is Phase.START]


def missed(found: list[Beat], r_peaks: Doubles, fs: float) -> int:
    """How many of ``r_peaks`` (s) have no beat."""
    times = np.array([each.sample for each in found]) / fs
    return sum(bool(np.abs(times - each).min() > NEAR_S) for each in r_peaks)


# --- a pacemaker --------------------------------------------------------------------------------

LOST_S = 40.0  # capture, until here


def paced(
    fs: float, height: float, width_s: float, captured: bool, tail: float = 0.0
) -> tuple[Doubles, Doubles]:
    """90 s with a pacing spike every second and a wide beat after each; the beats' times.

    After LOST_S only the spikes are left, unless ``captured``. Of each ``tail`` of its height
    remains and decays within 20 ms.
    """
    rng = np.random.default_rng(0)
    t = np.arange(int(90 * fs)) / fs
    ecg, times = 0.01 * rng.standard_normal(t.size), np.arange(0.5, 89.0, 1.0)
    for at in times:
        if captured or at < LOST_S:
            for offset, wide, high in ((0.0, 0.03, 1.2), (0.08, 0.03, -0.6), (0.32, 0.06, -0.4)):
                ecg += high * np.exp(-0.5 * ((t - at - offset) / wide) ** 2)
        since = t - (at - 0.06)
        during = np.clip(since + 1 / fs, 0, width_s) - np.clip(since, 0, width_s)
        ecg += height * during * fs  # a sample is the mean over its time
        after = since - width_s
        ecg += np.where(after >= 0, tail * height * np.exp(-np.clip(after, 0, 9) / 0.02), 0)
    return ecg, times


SPIKES = [
    (250.0, 2.0, 0.002, 0.0),
    (250.0, -8.0, 0.0005, 0.0),
    (360.0, 8.0, 0.002, 0.0),
    (500.0, 8.0, 0.003, 0.1),
    (1000.0, -2.0, 0.0005, 0.0),
    (1000.0, 8.0, 0.002, 0.1),
]


@pytest.mark.parametrize(("fs", "height", "width_s", "tail"), SPIKES)
def test_pacing_spikes_without_capture_are_no_beats(
    fs: float, height: float, width_s: float, tail: float
) -> None:
    ecg, times = paced(fs, height, width_s, captured=False, tail=tail)
    events = front_end(ecg, fs)
    last = times[times < LOST_S][-1]
    assert not [each for each in beats(events) if each.sample / fs > last + NEAR_S]
    (alarm,) = asystoles(events, fs)
    assert last + 3.5 < alarm.known_at / fs < last + 5


@pytest.mark.parametrize(("fs", "height", "width_s", "tail"), SPIKES)
def test_paced_beats_are_found_once_each(
    fs: float, height: float, width_s: float, tail: float
) -> None:
    ecg, times = paced(fs, height, width_s, captured=True, tail=tail)
    events = front_end(ecg, fs)
    assert missed(beats(events), times, fs) <= 1
    assert len(beats(events)) <= len(times) + 1
    assert not asystoles(events, fs)


# --- the mains' hum -----------------------------------------------------------------------------


def hum(fs: float, mains_hz: float, height: float, seconds: float, third: float = 0.0) -> Doubles:
    """Hum whose height wanders by 30 %, with so much of a third harmonic."""
    t = np.arange(int(seconds * fs)) / fs
    phase = 2 * np.pi * mains_hz * t
    wander = 1 + 0.3 * np.sin(2 * np.pi * 0.8 * t)
    wave: Doubles = height * wander * (np.sin(phase) + third * np.sin(3 * phase + 1))
    return wave + 0.003 * np.random.default_rng(1).standard_normal(t.size)


@pytest.mark.parametrize("mains_hz", [50.0, 60.0, 49.8])
@pytest.mark.parametrize(("height", "third"), [(0.05, 0.0), (0.5, 0.3), (3.0, 0.0)])
def test_an_electrode_off_with_hum_is_told_and_has_no_good_beats(
    mains_hz: float, height: float, third: float
) -> None:
    fs = 500.0
    off = 30.0
    events = front_end(
        np.concatenate([synthetic_ecg(off, fs), hum(fs, mains_hz, height, 60.0, third)]), fs
    )
    told = [each for each in events if isinstance(each, SignalChange) and each.begins]
    assert off < told[0].known_at / fs < off + 10
    assert told[0].condition in (Condition.NOISE, Condition.SATURATED)
    late = [each for each in beats(events) if each.sample / fs > off + 0.5]
    assert sum(each.quality is Quality.GOOD for each in late) <= 2


@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
def test_hum_over_an_ecg_costs_no_beat(mains_hz: float) -> None:
    fs = 500.0
    ecg = synthetic_ecg(60.0, fs) + hum(fs, mains_hz, 0.3, 60.0)
    events = front_end(ecg, fs)
    assert missed(beats(events), beat_times(60.0)[:-1], fs) == 0
    assert not [each for each in events if isinstance(each, SignalChange)]


# --- T waves ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bpm", [55.0, 75.0])
@pytest.mark.parametrize("late_s", [0.26, 0.3])
@pytest.mark.parametrize(("height", "width_s"), [(0.8, 0.025), (1.2, 0.03), (1.2, 0.025)])
def test_tall_narrow_t_waves_are_no_beats(
    bpm: float, late_s: float, height: float, width_s: float
) -> None:
    fs, seconds = 360.0, 60.0
    r_peaks = beat_times(seconds, bpm=bpm, ectopic_every=0)
    ecg = synthetic_ecg(seconds, fs, bpm=bpm, ectopic_every=0)
    t = np.arange(ecg.size) / fs
    for each in r_peaks:
        ecg += (height * np.exp(-0.5 * ((t - each - late_s) / width_s) ** 2)).astype(np.float32)
    found = beats(front_end(ecg, fs))
    assert missed(found, r_peaks[:-1], fs) == 0
    assert len(found) < 1.15 * len(r_peaks)  # the first few are needed to know them


# --- transients ---------------------------------------------------------------------------------


def transient(kind: str, t: Doubles) -> Doubles:
    """1 mV of it, from time 0 on."""
    after = np.clip(t, 0, 99)
    decay = np.where(t >= 0, np.exp(-after / 0.3), 0.0)
    shapes = {
        "decay": decay,
        "step": (t >= 0).astype(float),
        "pulse": ((t >= 0) & (t < 0.15)).astype(float),
        "ringing": decay * np.sin(2 * np.pi * 9 * t),
        "burst": ((t >= 0) & (t < 1.5)) * np.random.default_rng(3).standard_normal(t.size),
    }
    return shapes[kind]


@pytest.mark.parametrize("kind", ["decay", "step", "pulse", "ringing", "burst"])
@pytest.mark.parametrize("height", [5.0, 50.0])
@pytest.mark.parametrize("at_s", [0.05, 20.0])
def test_a_transient_does_not_deafen(kind: str, height: float, at_s: float) -> None:
    fs = 300.0
    for bpm, gain in ((50.0, 0.25), (75.0, 1.0), (110.0, 0.25)):
        r_peaks = beat_times(40.0, bpm=bpm, ectopic_every=0)
        ecg = gain * synthetic_ecg(40.0, fs, bpm=bpm, ectopic_every=0).astype(float)
        ecg += height * transient(kind, np.arange(ecg.size) / fs - at_s)
        events = front_end(ecg, fs)
        assert not asystoles(events, fs)
        later = r_peaks[(r_peaks > at_s + 7) & (r_peaks < 39)]
        assert missed(beats(events), later, fs) == 0


# --- and to the bit -----------------------------------------------------------------------------


@given(st.lists(st.integers(1, 60 * 360 - 1), max_size=8))
@settings(max_examples=15, deadline=None)
def test_it_is_the_same_for_any_cutting(cuts: list[int]) -> None:
    fs = 360.0
    spikes, _ = paced(fs, 6.0, 0.002, captured=False)
    quiet = spikes[int((LOST_S - 10) * fs) : int((LOST_S + 10) * fs)]
    samples = np.concatenate([quiet, synthetic_ecg(20.0, fs), hum(fs, 50.0, 0.4, 20.0)])
    samples[int(22 * fs) :] += 30 * transient("ringing", np.arange(int(38 * fs)) / fs)
    frontend = Frontend(PreprocessSpec(), COEFFICIENTS, fs, ["II"])
    pieces = [
        frontend.push(samples[a:b].astype(np.float32).reshape(-1, 1))
        for a, b in pairwise([0, *sorted(cuts), samples.size])
    ]
    assert repr([each for piece in pieces for each in piece]) == repr(front_end(samples, fs))
