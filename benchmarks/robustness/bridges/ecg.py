"""What the devices send: minutes with every kind of alarm, no two seconds of which are the same."""

import numpy as np

from beatgan.types import Floats
from benchmarks.robustness.kills_source import FS, pathological_ecg

NOISE_MV = 0.001  # so that a second of it is found in one place only


def device_ecg(seconds: float, seed: int) -> Floats:
    """One lead, mV, at FS Hz; begins elsewhere in the minute for each ``seed``."""
    count = round(seconds * FS)
    minute = np.roll(pathological_ecg(), 7_000 * seed)
    whole = np.resize(minute, count)
    noise = np.random.default_rng(seed).normal(scale=NOISE_MV, size=count)
    return np.asarray(whole + noise, np.float32)


def place_of(part: Floats, whole: Floats) -> int:
    """Where in ``whole`` the beginning ``part`` lies. Raises ValueError where it does not."""
    known = np.flatnonzero(np.isfinite(part))
    if not len(known):
        raise ValueError("nothing but lost samples")
    for start in np.flatnonzero(whole == part[known[0]]) - known[0]:
        if start >= 0 and np.array_equal(whole[start : start + len(part)], part, equal_nan=True):
            return int(start)
    raise ValueError("not what the device sent")
