import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beatgan.resample import Resampler
from beatgan.types import Doubles

RATES = [100.0, 125.0, 128.0, 250.0, 257.0, 359.98, 500.0, 1000.0, 2000.0]


def tones(t: Doubles) -> Doubles:
    signal: Doubles = np.sin(2 * np.pi * 7 * t) + 0.5 * np.sin(2 * np.pi * 19 * t)
    return signal


@pytest.mark.parametrize("fs", RATES)
@pytest.mark.parametrize("first", [0, 12345])
def test_output_k_is_the_signal_at_time_k(fs: float, first: int) -> None:
    resampler = Resampler(fs, 360, first)
    made = resampler.made
    y = resampler.push(tones((first + np.arange(int(4 * fs))) / fs))
    expected = tones((made + np.arange(y.size)) / 360)
    assert np.nanmax(np.abs(y - expected)) < 0.005
    assert np.isnan(y).sum() < 0.08 * 360  # only where the kernel reaches before the first sample


def test_the_models_own_rate_passes_untouched_and_at_once() -> None:
    x = np.random.default_rng(0).normal(size=1000)
    resampler = Resampler(360.0, 360, 77)
    assert np.array_equal(resampler.push(x), x)
    assert resampler.delay == 0
    assert resampler.made == 1077
    assert resampler.source(500) == 500


@given(st.sampled_from(RATES), st.lists(st.integers(1, 300), min_size=1, max_size=30))
def test_any_cutting_gives_the_same_bits(fs: float, cuts: list[int]) -> None:
    x = np.random.default_rng(1).normal(size=sum(cuts))
    whole = Resampler(fs, 360).push(x)
    resampler = Resampler(fs, 360)
    parts = [resampler.push(piece) for piece in np.split(x, np.cumsum(cuts)[:-1])]
    assert np.array_equal(whole, np.concatenate(parts), equal_nan=True)


@pytest.mark.parametrize("fs", RATES)
def test_arrival_names_the_sample_that_completes_an_output(fs: float) -> None:
    resampler = Resampler(fs, 360)
    for count in range(1, int(fs / 2)):
        before = resampler.made
        resampler.push(np.zeros(1))
        for k in range(before, resampler.made):
            assert resampler.arrival(k) == count


def test_a_lost_sample_loses_only_the_outputs_it_touches() -> None:
    x = np.zeros(1000)
    x[500] = np.nan
    y = Resampler(250.0, 360).push(x)
    lost = np.flatnonzero(np.isnan(y[60:])) + 60
    assert abs(lost - 500 * 360 / 250).max() <= 0.033 * 360 + 1
