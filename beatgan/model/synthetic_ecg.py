"""A synthetic ECG: for a model's self-test and for tests. It belongs to no patient.

Each beat is a sum of Gaussian waves (P Q R S T), after the idea of McSharry et al., IEEE Trans.
Biomed. Eng. 50:289 (2003). Deterministic for a given seed.
"""

import numpy as np

from beatgan.types import Doubles, Floats

Waves = tuple[tuple[float, float, float], ...]

# wave: seconds from the R peak, width in seconds, height in millivolt
NORMAL: Waves = (
    (-0.17, 0.022, 0.12),
    (-0.03, 0.009, -0.12),
    (0.0, 0.011, 1.1),
    (0.03, 0.010, -0.22),
    (0.27, 0.045, 0.28),
)
VENTRICULAR: Waves = ((0.0, 0.034, 1.7), (0.09, 0.036, -0.8), (0.32, 0.060, -0.45))


def beat_times(seconds: float, seed: int = 0, bpm: float = 72.0, ectopic_every: int = 9) -> Doubles:
    """R peak times in s: slightly irregular, every ``ectopic_every``-th beat early (0: none)."""
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
    for count, r_peak in enumerate(beat_times(seconds, seed, bpm, ectopic_every), start=1):
        ectopic = ectopic_every > 0 and count % ectopic_every == 0
        _add_beat(ecg, t - r_peak, VENTRICULAR if ectopic else NORMAL)
    signal: Floats = ecg.astype(np.float32)
    return signal


def synthetic_alarms(fs: float, seed: int = 0) -> Floats:
    """About two minutes of one lead, in millivolt, that give an alarm of each family.

    40 s of sinus rhythm with ectopic beats; then a ventricular run, a pause, a wave like
    ventricular fibrillation, and noise in which no beat can be seen, each followed by sinus rhythm.
    """
    rng = np.random.default_rng(seed)
    signal: Floats = np.concatenate(
        [
            synthetic_ecg(40.0, fs, seed),
            _ventricular_run(5.0, fs),
            synthetic_ecg(8.0, fs, seed + 1, ectopic_every=0),
            np.zeros(int(6.0 * fs)),
            synthetic_ecg(8.0, fs, seed + 2, ectopic_every=0),
            _fibrillation(12.0, fs),
            synthetic_ecg(10.0, fs, seed + 3, ectopic_every=0),
            0.5 * rng.normal(size=int(12.0 * fs)),
            synthetic_ecg(10.0, fs, seed + 4, ectopic_every=0),
        ]
    ).astype(np.float32)
    return signal + 0.01 * rng.normal(size=signal.size).astype(np.float32)


def _ventricular_run(seconds: float, fs: float) -> Doubles:
    """Ventricular beats at 150 a minute, briefer than the single ones: closer to the decision."""
    t = np.arange(int(seconds * fs)) / fs
    ecg = np.zeros(t.size)
    for r_peak in np.arange(0.4, seconds - 0.4, 0.4):
        _add_beat(ecg, (t - r_peak) / 0.65, VENTRICULAR)
    return ecg


def _fibrillation(seconds: float, fs: float) -> Doubles:
    """A wave of about 5 Hz whose rate and amplitude wander."""
    t = 2 * np.pi * np.arange(int(seconds * fs)) / fs
    amplitude = 0.6 + 0.18 * np.sin(0.43 * t)
    return np.asarray(amplitude * np.sin(4.7 * t + 0.8 * np.sin(0.31 * t)))


def _add_beat(ecg: Doubles, t: Doubles, waves: Waves) -> None:
    """Add one beat's ``waves`` to ``ecg``; ``t`` is the time in s since its R peak."""
    for offset, width, height in waves:
        ecg += height * np.exp(-0.5 * ((t - offset) / width) ** 2)
