"""A causal band-pass whose state is carried from push to push. Knows nothing of beats.

Second-order Butterworth sections in transposed direct form II, one sample at a time: the output is
the same to the bit for any cutting of the signal. After a lost sample (NaN) the filter begins anew
in the steady state of the next sample's level, so that a restart makes no step.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from beatgan.jit import compiled
from beatgan.types import Doubles


@compiled
def run(x: Doubles, y: Doubles, sos: Doubles, steady: Doubles, state: Doubles) -> None:
    """Filter ``x`` into ``y``, which may be ``x``, by two sections.

    ``state``: two numbers a section; NaN in the first means: begin. On the way they are kept in
    local variables, which takes half the time.
    """
    b0, b1, b2, _, a1, a2 = sos[0]
    c0, c1, c2, _, d1, d2 = sos[1]
    s0, s1, t0, t1 = state[0, 0], state[0, 1], state[1, 0], state[1, 1]
    for i in range(x.size):
        value = x[i]
        if np.isnan(value):
            s0 = np.nan
            y[i] = np.nan
            continue
        if np.isnan(s0):
            s0, s1 = steady[0, 0] * value, steady[0, 1] * value
            t0, t1 = steady[1, 0] * value, steady[1, 1] * value
        middle = b0 * value + s0
        s0 = (b1 * value + s1) - a1 * middle  # in this order the next sample waits least for it
        s1 = b2 * value - a2 * middle
        out = c0 * middle + t0
        t0 = (c1 * middle + t1) - d1 * out
        t1 = c2 * middle - d2 * out
        y[i] = out
    state[0, 0], state[0, 1], state[1, 0], state[1, 1] = s0, s1, t0, t1


@compiled
def run_both(
    x: Doubles,
    y: Doubles,
    z: Doubles,
    sos: Doubles,
    steady: Doubles,
    state: Doubles,
    next_sos: Doubles,
    next_steady: Doubles,
    next_state: Doubles,
) -> None:
    """Filter ``x`` into ``y`` and that by the next filter into ``z``: as `run` twice, to the bit.

    At once, because a sample waits for the one before it in its own filter alone: what one filter
    waits, the other works. Written out once more: a function of one sample, for `run` and this, is
    not put in their place by the compiler, and takes five times as long.
    """
    b0, b1, b2, _, a1, a2 = sos[0]
    c0, c1, c2, _, d1, d2 = sos[1]
    e0, e1, e2, _, f1, f2 = next_sos[0]
    g0, g1, g2, _, h1, h2 = next_sos[1]
    s0, s1, t0, t1 = state[0, 0], state[0, 1], state[1, 0], state[1, 1]
    u0, u1, v0, v1 = next_state[0, 0], next_state[0, 1], next_state[1, 0], next_state[1, 1]
    for i in range(x.size):
        value = x[i]
        if np.isnan(value):
            s0 = u0 = y[i] = z[i] = np.nan
            continue
        if np.isnan(s0):
            s0, s1 = steady[0, 0] * value, steady[0, 1] * value
            t0, t1 = steady[1, 0] * value, steady[1, 1] * value
        middle = b0 * value + s0
        s0 = (b1 * value + s1) - a1 * middle
        s1 = b2 * value - a2 * middle
        out = c0 * middle + t0
        t0 = (c1 * middle + t1) - d1 * out
        t1 = c2 * middle - d2 * out
        y[i] = out
        if np.isnan(u0):
            u0, u1 = next_steady[0, 0] * out, next_steady[0, 1] * out
            v0, v1 = next_steady[1, 0] * out, next_steady[1, 1] * out
        middle = e0 * out + u0
        u0 = (e1 * out + u1) - f1 * middle
        u1 = e2 * out - f2 * middle
        out = g0 * middle + v0
        v0 = (g1 * middle + v1) - h1 * out
        v1 = g2 * middle - h2 * out
        z[i] = out
    state[0, 0], state[0, 1], state[1, 0], state[1, 1] = s0, s1, t0, t1
    next_state[0, 0], next_state[0, 1], next_state[1, 0], next_state[1, 1] = u0, u1, v0, v1


@lru_cache(maxsize=64)
def design(rate: int, low: float, high: float) -> tuple[Doubles, Doubles, int]:
    """Sections, their steady state, and the delay at 10 Hz, where a QRS has its energy."""
    sos = np.array([_butterworth(low / rate, highpass=True), _butterworth(high / rate)])
    phase_step = np.diff(np.unwrap(np.angle(_response(sos, np.array([8.0, 12.0]) / rate))))[0]
    return sos, _steady(sos), round(-rate * float(phase_step) / (2 * np.pi * 4.0))


def _butterworth(corner: float, highpass: bool = False) -> list[float]:
    """A second-order section (b0, b1, b2, 1, a1, a2); ``corner`` in cycles per sample.

    The analogue prototype by the bilinear transform, its corner prewarped. Written out here: with
    scipy's signal package a daemon starts most of a second later.
    """
    k = math.tan(math.pi * corner)
    norm = 1 + math.sqrt(2) * k + k * k
    b = [1.0, -2.0, 1.0] if highpass else [k * k, 2 * k * k, k * k]
    a = [1.0, 2 * (k * k - 1) / norm, (1 - math.sqrt(2) * k + k * k) / norm]
    return [each / norm for each in b] + a


def _response(sos: Doubles, cycles: Doubles) -> NDArray[np.complex128]:
    """The sections' response in a row at ``cycles`` per sample."""
    z = np.exp(-2j * np.pi * cycles)[:, None] ** np.arange(3)
    response: NDArray[np.complex128] = ((z @ sos[:, :3].T) / (z @ sos[:, 3:].T)).prod(axis=1)
    return response


def _steady(sos: Doubles) -> Doubles:
    """The state of each section under a constant input of 1 to the first."""
    states, level = [], 1.0
    for b0, b1, b2, _, a1, a2 in sos:
        out = (b0 + b1 + b2) / (1 + a1 + a2)
        states.append([level * (out - b0), level * (b2 - a2 * out)])
        level *= out
    return np.array(states)


class BandPass:
    """Butterworth high-pass and low-pass of second order each, in Hz, for samples at ``rate``.

    ``delay``: how many samples late a QRS comes out.
    """

    def __init__(self, rate: int, low: float, high: float) -> None:
        self._sos, self._steady, self.delay = design(rate, low, high)
        self._state = np.full((len(self._sos), 2), np.nan)

    def restart(self) -> None:
        """Forget the signal so far."""
        self._state.fill(np.nan)

    def push(self, x: Doubles) -> Doubles:
        """``x`` filtered, shape (n,)."""
        y = np.empty_like(x)
        run(x, y, self._sos, self._steady, self._state)
        return y
