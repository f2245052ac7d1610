"""Two synthetic leads of one heart, for the tests of what does with several leads."""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pytest

from beatgan.model.synthetic_ecg import beat_times, synthetic_ecg
from beatgan.types import Doubles, Floats

TwoLeads = Callable[[float, float], Floats]

# The second lead's waves, as in beatgan.model.synthetic_ecg: upside down, and its apex 6 ms later.
NORMAL = ((-0.17, 0.022, 0.10), (-0.02, 0.010, 0.25), (0.006, 0.012, -0.9), (0.032, 0.010, 0.20),
          (0.27, 0.045, -0.20))  # fmt: skip
VENTRICULAR = ((0.008, 0.036, -1.3), (0.10, 0.040, 0.6), (0.33, 0.060, 0.35))


def _add(ecg: Doubles, fs: float, apex: float, waves: Sequence[tuple[float, ...]]) -> None:
    for offset, width, height in waves:
        first = max(0, int((apex + offset - 6 * width) * fs))
        t = np.arange(first, min(ecg.size, int((apex + offset + 6 * width) * fs))) / fs
        ecg[first : first + t.size] += height * np.exp(-0.5 * ((t - apex - offset) / width) ** 2)


@cache
def _two_leads(seconds: float, fs: float) -> Floats:
    first = synthetic_ecg(seconds, fs)
    second = 0.01 * np.random.default_rng(7).normal(size=first.size)
    for count, apex in enumerate(beat_times(seconds), start=1):
        _add(second, fs, apex, NORMAL if count % 9 else VENTRICULAR)
    return np.stack([first, second.astype(np.float32)], axis=1)


@pytest.fixture(scope="session")
def two_leads() -> TwoLeads:
    """A factory of ECG of so many seconds at so many Hz, shape (n, 2), in millivolt; yours."""
    return lambda seconds, fs: _two_leads(seconds, fs).copy()
