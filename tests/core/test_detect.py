import numpy as np
import pytest

from beatgan.detect import RATE, Detector
from beatgan.filters import BandPass
from beatgan.synthetic import beat_times, synthetic_ecg
from beatgan.types import Doubles


def filtered(ecg: Doubles) -> Doubles:
    return BandPass(RATE, 0.5, 40.0).push(ecg)


def apexes(ecg: Doubles) -> list[int]:
    return [apex for apex, _ in Detector().push(filtered(ecg), 0)]


@pytest.fixture(scope="module")
def ecg() -> Doubles:
    return synthetic_ecg(60, RATE).astype(np.float64)


def test_every_beat_is_found_at_its_apex(ecg: Doubles) -> None:
    truth = beat_times(60) * RATE
    found = np.array(apexes(ecg)) - 2  # the band-pass is two samples late
    assert found.size in (truth.size, truth.size - 1)  # the last may not be confirmed yet
    assert np.abs(found - truth[: found.size]).max() <= 3


@pytest.mark.parametrize("gain", [0.15, 1.0, 20.0])
@pytest.mark.parametrize("offset", [0.0, -4.0])
def test_gain_and_offset_change_nothing(ecg: Doubles, gain: float, offset: float) -> None:
    # before the first QRS nothing tells a large P wave from a small beat
    learned = [apex for apex in apexes(gain * ecg + offset) if apex > 0.6 * RATE]
    assert learned == [apex for apex in apexes(ecg) if apex > 0.6 * RATE]


def test_an_inverted_recording_has_the_same_beats(ecg: Doubles) -> None:
    assert apexes(-ecg) == apexes(ecg)


def test_every_beat_is_confirmed_in_time(ecg: Doubles) -> None:
    signal, detector = filtered(ecg), Detector()
    for i, sample in enumerate(signal):
        for apex, _ in detector.push(np.array([sample]), i):
            assert 0 < i - apex <= detector.latest
    assert detector.latest <= 0.4 * RATE


def test_silence_and_noise_alone_have_no_beats() -> None:
    assert apexes(np.zeros(7200)) == []
    assert apexes(0.003 * np.random.default_rng(0).normal(size=7200)) == []


def test_a_beat_before_a_gap_is_kept_and_the_next_one_follows_nothing(ecg: Doubles) -> None:
    signal = filtered(ecg)
    whole = Detector().push(signal, 0)
    cut = whole[10][0] + 40  # after the apex, before its confirmation
    signal[cut : cut + 5] = np.nan
    found = Detector().push(signal, 0)
    assert [apex for apex, _ in found] == [apex for apex, _ in whole]
    assert [follows for _, follows in found][9:13] == [True, True, False, True]


def bell(size: int, centre: float, width_s: float, height: float) -> Doubles:
    """A wave of ``height`` mV round ``centre`` (in samples), ``width_s`` seconds its sigma."""
    at = (np.arange(size) - centre) / RATE
    return height * np.exp(-0.5 * (at / width_s) ** 2)


def waves(size: int, centre: float, broad: bool) -> Doubles:
    """A tall narrow beat or a low broad one, and its T wave."""
    if broad:
        return bell(size, centre, 0.022, 0.5) + bell(size, centre + 0.3 * RATE, 0.05, -0.2)
    return bell(size, centre, 0.012, 1.2) + bell(size, centre + 0.22 * RATE, 0.05, 0.2)


@pytest.mark.parametrize("coupling_s", [0.31, 0.34, 0.38, 0.45])
def test_a_low_broad_beat_on_the_heels_of_a_narrow_one_is_no_t_wave(coupling_s: float) -> None:
    narrow = [0.5 + 0.8 * k for k in range(30) if k % 4 != 3]
    broad = [0.5 + 0.8 * k + coupling_s for k in range(10, 30, 4)]
    truth, size = np.sort(narrow + broad), 25 * RATE
    beats = [waves(size, t * RATE, t in broad) for t in truth]
    found = np.array(apexes(np.sum(beats, axis=0))) / RATE
    assert found.size == truth.size
    assert np.abs(found - truth).max() < 0.03


@pytest.mark.parametrize("height", [0.2, 0.4, 0.6])
def test_a_tall_t_wave_is_no_beat(height: float) -> None:
    size = 30 * RATE
    truth = (0.5 + 0.8 * np.arange(36)) * RATE
    beats = [bell(size, t, 0.012, 1.0) + bell(size, t + 0.28 * RATE, 0.05, height) for t in truth]
    assert len(apexes(np.sum(beats, axis=0))) == truth.size


@pytest.mark.parametrize("height", [0.2, 0.3, 0.4])
def test_the_late_t_wave_of_a_slow_heart_is_no_beat(height: float) -> None:
    size = 40 * RATE
    truth = (0.5 + 1.15 * np.arange(34)) * RATE
    beats = [bell(size, t, 0.012, 1.0) + bell(size, t + 0.36 * RATE, 0.04, height) for t in truth]
    assert len(apexes(np.sum(beats, axis=0))) == truth.size


def test_two_alike_extremes_do_not_make_the_apex_jump() -> None:
    size, rng = 60 * RATE, np.random.default_rng(1)
    truth = np.round((0.5 + 0.8 * np.arange(73)) * RATE)
    beats = [
        bell(size, t, 0.010, 1.0) - bell(size, t + 20, 0.012, rng.uniform(0.85, 1.15))
        for t in truth
    ]
    found = np.array(apexes(np.sum(beats, axis=0)))
    assert found.size == truth.size
    apart = found - truth
    assert apart.min() > 0
    assert apart.max() < 18  # within 50 ms of the R wave, never at the S
    assert apart.max() - apart.min() <= 8  # the extremes are 20 samples apart and more


def test_a_pacing_spike_and_the_broad_beat_after_it_are_one_beat_at_one_place() -> None:
    size, rng = 60 * RATE, np.random.default_rng(2)
    truth = np.round((0.5 + 0.85 * np.arange(69)) * RATE)
    beats = [
        bell(size, t, 0.008, 1.2)
        - bell(size, t + 28, 0.026, rng.uniform(1.0, 1.5))
        + bell(size, t + 100, 0.06, 0.4)
        for t in truth
    ]
    apart = np.array(apexes(np.sum(beats, axis=0))) - truth
    assert apart.min() > 0  # between the spike and the beat's lowest point, 28 samples later
    assert apart.max() < 24
    assert apart.max() - apart.min() < 14  # the nearer height draws it: it does not jump
