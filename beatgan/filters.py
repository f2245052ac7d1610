"""A causal band-pass whose state is carried from push to push. Knows nothing of beats.

Second-order Butterworth sections in transposed direct form II, one sample at a time: the output is
the same to the bit for any cutting of the signal. After a lost sample (NaN) the filter begins anew
in the steady state of the next sample's level, so that a restart makes no step.
"""

from functools import lru_cache

import numpy as np
from scipy import signal

from beatgan.compiled import compiled
from beatgan.types import Doubles


@compiled
def _run(x: Doubles, y: Doubles, sos: Doubles, steady: Doubles, state: Doubles) -> None:
    """Filter ``x`` into ``y``. ``state``: two numbers a section; NaN in the first means: begin."""
    for i in range(x.size):
        value = x[i]
        if np.isnan(value):
            state[0, 0] = np.nan
            y[i] = np.nan
            continue
        if np.isnan(state[0, 0]):
            for k in range(sos.shape[0]):
                state[k, 0] = steady[k, 0] * value
                state[k, 1] = steady[k, 1] * value
        for k in range(sos.shape[0]):
            out = sos[k, 0] * value + state[k, 0]
            state[k, 0] = sos[k, 1] * value - sos[k, 4] * out + state[k, 1]
            state[k, 1] = sos[k, 2] * value - sos[k, 5] * out
            value = out
        y[i] = value


@lru_cache(maxsize=64)
def _design(rate: int, low: float, high: float, order: int) -> tuple[Doubles, Doubles, int]:
    """Sections, their steady state, and the delay at 10 Hz, where a QRS has its energy."""
    sos = np.vstack(
        [
            signal.butter(order, low, "highpass", fs=rate, output="sos"),
            signal.butter(order, high, "lowpass", fs=rate, output="sos"),
        ]
    )
    hz, response = signal.freqz_sos(sos, worN=np.array([8.0, 12.0]), fs=rate)
    turn = np.diff(np.unwrap(np.angle(response)))[0] / (2 * np.pi)
    delay = round(-rate * float(turn) / float(hz[1] - hz[0]))
    return sos, np.asarray(signal.sosfilt_zi(sos)), delay


class BandPass:
    """Butterworth high-pass and low-pass of ``order`` each, in Hz, for samples at ``rate``.

    ``delay``: how many samples late a QRS comes out.
    """

    def __init__(self, rate: int, low: float, high: float, order: int = 2) -> None:
        self._sos, self._steady, self.delay = _design(rate, low, high, order)
        self._state = np.full((len(self._sos), 2), np.nan)

    def restart(self) -> None:
        """Forget the signal so far."""
        self._state.fill(np.nan)

    def push(self, x: Doubles) -> Doubles:
        """``x`` filtered, shape (n,)."""
        y = np.empty_like(x)
        _run(x, y, self._sos, self._steady, self._state)
        return y
