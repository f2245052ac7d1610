"""A synthetic ECG: for a model's self-test and for tests. It belongs to no patient.

Each beat is a sum of Gaussian waves (P Q R S T), after the idea of McSharry et al., IEEE Trans.
Biomed. Eng. 50:289 (2003). Deterministic for a given seed.
"""

import numpy as np

from beatgan.types import Doubles, Floats

# wave: seconds from the apex, width in seconds, height in millivolt
NORMAL = ((-0.17, 0.022, 0.12), (-0.03, 0.009, -0.12), (0.0, 0.011, 1.1), (0.03, 0.010, -0.22),
          (0.27, 0.045, 0.28))  # fmt: skip
VENTRICULAR = ((0.0, 0.034, 1.7), (0.09, 0.036, -0.8), (0.32, 0.060, -0.45))


def beat_times(seconds: float, seed: int = 0, bpm: float = 72.0, ectopic_every: int = 9) -> Doubles:
    """Apex times in s: slightly irregular, every ``ectopic_every``-th beat early (0: none)."""
    rng = np.random.default_rng(seed)
    times, now, count = [], 0.6, 0
    while now < seconds:
        times.append(now)
        count += 1
        early = ectopic_every > 0 and count % ectopic_every == ectopic_every - 1
        pause = ectopic_every > 0 and count > 1 and count % ectopic_every == 0
        now += 60 / bpm * (0.62 if early else 1.35 if pause else 1) * (1 + 0.02 * rng.normal())
    return np.array(times)


def synthetic_ecg(
    seconds: float,
    fs: float,
    seed: int = 0,
    bpm: float = 72.0,
    ectopic_every: int = 9,
    noise_mv: float = 0.01,
) -> Floats:
    """One lead, shape (seconds * fs,), in millivolt, with its beats at ``beat_times``."""
    rng = np.random.default_rng(seed + 1)
    t = np.arange(int(seconds * fs)) / fs
    ecg = noise_mv * rng.normal(size=t.size) + 0.05 * np.sin(2 * np.pi * 0.23 * t)
    for count, apex in enumerate(beat_times(seconds, seed, bpm, ectopic_every), start=1):
        ectopic = ectopic_every > 0 and count % ectopic_every == 0
        for offset, width, height in VENTRICULAR if ectopic else NORMAL:
            ecg += height * np.exp(-0.5 * ((t - apex - offset) / width) ** 2)
    signal: Floats = ecg.astype(np.float32)
    return signal
