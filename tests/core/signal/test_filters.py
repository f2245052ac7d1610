import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from beatgan.signal.filters import BandPass


def test_it_is_the_butterworth_filter_of_scipy() -> None:
    x = np.random.default_rng(0).normal(size=2000)
    sos = np.vstack(
        [
            signal.butter(2, 0.5, "highpass", fs=360, output="sos"),
            signal.butter(2, 40, "lowpass", fs=360, output="sos"),
        ]
    )
    expected, _ = signal.sosfilt(sos, x, zi=signal.sosfilt_zi(sos) * x[0])
    assert np.allclose(BandPass(360, 0.5, 40.0).push(x), expected, atol=1e-12)


@given(st.lists(st.integers(1, 200), min_size=1, max_size=20), st.data())
def test_any_cutting_gives_the_same_bits(cuts: list[int], data: st.DataObject) -> None:
    x = np.random.default_rng(1).normal(size=sum(cuts))
    x[data.draw(st.integers(0, x.size - 1))] = np.nan
    whole = BandPass(360, 0.5, 40.0).push(x)
    band = BandPass(360, 0.5, 40.0)
    parts = [band.push(piece) for piece in np.split(x, np.cumsum(cuts)[:-1])]
    assert np.array_equal(whole, np.concatenate(parts), equal_nan=True)


def test_a_restart_after_lost_samples_makes_no_step() -> None:
    x = np.full(400, 3.0)
    x[200:210] = np.nan
    y = BandPass(360, 0.5, 40.0).push(x)
    assert np.isnan(y[200:210]).all()
    assert np.nanmax(np.abs(y)) < 1e-9


def test_a_qrs_is_late_by_the_stated_delay() -> None:
    t = np.arange(720)
    x = np.exp(-0.5 * ((t - 400) / 6.0) ** 2)
    band = BandPass(360, 0.5, 40.0)
    assert int(np.argmax(band.push(x))) == 400 + band.delay
