from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beatgan.signal import resample
from beatgan.signal.resample import MAX_TAPS
from beatgan.types import MAX_FIRST, MAX_FS, MIN_FS, Doubles

RATES = [100.0, 125.0, 128.0, 250.0, 257.0, 359.98, 500.0, 1000.0, 2000.0]


class Resampler:
    """One signal's counts and latest samples, as a stream keeps them."""

    def __init__(self, fs: float, first: int = 0) -> None:
        self.ratio = resample.design(fs, 360)
        self.exact = (self.ratio.num, self.ratio.den, self.ratio.delay)
        self.history = np.full(MAX_TAPS, np.nan)
        self.seen, self.made = first, resample.ready(first, *self.exact)

    def push(self, x: Doubles) -> Doubles:
        num, den, taps = self.ratio
        y = np.empty(x.size * den // num + 2)
        count = resample.run(x, y, self.history, taps, self.seen, self.made, num, den)
        self.seen += x.size
        self.made += count
        return y[:count]


def tones(t: Doubles) -> Doubles:
    signal: Doubles = np.sin(2 * np.pi * 7 * t) + 0.5 * np.sin(2 * np.pi * 19 * t)
    return signal


@pytest.mark.parametrize("fs", RATES)
@pytest.mark.parametrize("first", [0, 12345])
def test_output_k_is_the_signal_at_time_k(fs: float, first: int) -> None:
    resampler = Resampler(fs, first)
    made = resampler.made
    y = resampler.push(tones((first + np.arange(int(4 * fs))) / fs))
    expected = tones((made + np.arange(y.size)) / 360)
    assert np.nanmax(np.abs(y - expected)) < 0.005
    assert np.isnan(y).sum() < 0.08 * 360  # only where the kernel reaches before the first sample


def test_the_models_own_rate_passes_untouched_and_at_once() -> None:
    x = np.random.default_rng(0).normal(size=1000)
    resampler = Resampler(360.0, 77)
    assert np.array_equal(resampler.push(x), x)
    assert resampler.ratio.delay == 0
    assert resampler.made == 1077
    assert resample.source(500, resampler.ratio.num, resampler.ratio.den) == 500


@given(st.sampled_from(RATES), st.lists(st.integers(1, 300), min_size=1, max_size=30))
def test_any_cutting_gives_the_same_bits(fs: float, cuts: list[int]) -> None:
    x = np.random.default_rng(1).normal(size=sum(cuts))
    whole = Resampler(fs).push(x)
    resampler = Resampler(fs)
    parts = [resampler.push(piece) for piece in np.split(x, np.cumsum(cuts)[:-1])]
    assert np.array_equal(whole, np.concatenate(parts), equal_nan=True)


@pytest.mark.parametrize("fs", RATES)
@pytest.mark.parametrize("first", [0, 12345])
def test_ready_and_arrival_name_the_sample_that_completes_an_output(fs: float, first: int) -> None:
    resampler = Resampler(fs, first)
    for count in range(first + 1, first + int(fs / 2)):
        before = resampler.made
        resampler.push(np.zeros(1))
        assert resampler.made == resample.ready(count, *resampler.exact)
        for k in range(before, resampler.made):
            assert resample.arrival(k, *resampler.exact) == count


@pytest.mark.parametrize("fs", RATES)
def test_an_output_lies_at_the_source_sample_nearest_in_time(fs: float) -> None:
    num, den, _ = resample.design(fs, 360)
    for k in (0, 1, 7, 359, 360, 12345, 10**10):
        assert abs(resample.source(k, num, den) - k * num / den) <= 0.5


def test_a_lost_sample_loses_only_the_outputs_it_touches() -> None:
    x = np.zeros(1000)
    x[500] = np.nan
    y = Resampler(250.0).push(x)
    lost = np.flatnonzero(np.isnan(y[60:])) + 60
    assert abs(lost - 500 * 360 / 250).max() <= 0.033 * 360 + 1


@given(st.floats(MIN_FS, MAX_FS))
def test_a_lead_has_room_for_the_taps_of_any_rate(fs: float) -> None:
    assert resample.design(fs, 360).taps.shape[1] <= MAX_TAPS


ANY_RATE = st.one_of(
    st.floats(MIN_FS, MAX_FS),
    st.sampled_from([77.7, 50 + 1 / 997, 999.001, 999 + 1 / 999, 2000 - 1 / 1000, 1000 / 3]),
)
ANY_COUNT = st.one_of(
    st.integers(0, MAX_FIRST + 65_536), st.integers(MAX_FIRST - 10_000, MAX_FIRST + 65_536)
)


@given(ANY_RATE, ANY_COUNT)
def test_counts_are_exact_as_far_as_a_stream_can_go(fs: float, count: int) -> None:
    ratio = resample.design(fs, 360)
    exact = Fraction(ratio.num, ratio.den)
    num, den, delay = ratio.num, ratio.den, ratio.delay
    assert max(num, den) <= 2_000_000
    made = resample.ready(count, num, den, delay)
    assert made == max(0, ceil((count - delay) / exact))
    assert made < 2**57
    assert resample.arrival(made, num, den, delay) == floor(made * exact) + delay + 1
    assert resample.source(made, num, den) == floor(made * exact + Fraction(1, 2))


@pytest.mark.parametrize("fs", [77.7, 999.001, 50 + 1 / 997, 256.41, 360.0])
def test_far_away_the_same_samples_give_the_same_outputs(fs: float) -> None:
    x = np.random.default_rng(2).normal(size=2000)
    num = resample.design(fs, 360).num
    near, far = Resampler(fs, num), Resampler(fs, MAX_FIRST // num * num)
    assert np.array_equal(near.push(x), far.push(x), equal_nan=True)
