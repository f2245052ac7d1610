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
