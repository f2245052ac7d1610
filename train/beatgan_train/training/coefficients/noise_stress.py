"""nstdb's noises mixed into clean records, as PhysioNet's `nst` does it.

After five clean minutes, noise lies on two minutes of every four.
"""

from pathlib import Path

import numpy as np

from beatgan.records import Recording
from beatgan.types import Bools, Doubles, Floats, Ints
from beatgan_train.data.beat_set import locate
from beatgan_train.ec57.annotations import Reference

CLEAN_S = 300  # at the beginning
STRETCH_S = 120  # of noise, and as long without
STRESSED = ("118", "119")  # the records that nstdb's 118e and 119e were made of
SHIFT = 9973  # samples by which the noise of one record is ahead of the next one's


def in_noise(sample: Ints, fs: float) -> Bools:
    """Which samples lie in the stretches to which `nst` adds noise."""
    since = sample / fs - CLEAN_S
    return np.asarray((since >= 0) & (since % (2 * STRETCH_S) < STRETCH_S))


def noises(data: Path) -> dict[str, Doubles]:
    """The first halves of nstdb's noises: electrode motion on both channels, muscle, wander."""
    import wfdb  # read_recording takes no noise for an ECG

    found: dict[str, Doubles] = {}
    for name, channel in (("em", 0), ("em", 1), ("ma", 0), ("bw", 0)):
        raw = wfdb.rdrecord(str(locate(data, name)), physical=False).d_signal[:, channel]
        half = raw[: len(raw) // 2].astype(np.float64)
        found[f"{name}{channel}"] = half - half.mean()
    return found


def gain(ecg: Doubles, reference: Reference, noise: Doubles, snr: float) -> float:
    """What `nst` multiplies ``noise`` by: signal power is the QRS's squared height over 8."""
    fs, half = int(reference.fs), int(0.05 * reference.fs)
    peaks = reference.sample[(reference.sample > half) & (reference.sample < len(ecg) - half)]
    heights = np.array([np.ptp(ecg[a - half : a + half + 1]) for a in peaks[:300]])
    rms = noise[: 300 * fs].reshape(300, fs).std(axis=1)
    power = _trimmed_mean(heights) ** 2 / 8
    return float(np.sqrt(power / 10 ** (snr / 10)) / _trimmed_mean(rms))


def _trimmed_mean(values: Doubles) -> float:
    """The mean without the smallest and the largest 5 %, as PhysioNet's `sigamp` takes it."""
    cut = int(0.05 * len(values))
    return float(np.sort(values)[cut : len(values) - cut].mean())


def mixed(
    recording: Recording, column: int, reference: Reference, noise: Doubles, snr: float
) -> Recording:
    """One lead of ``recording``, with ``noise`` at ``snr`` (dB) in the noisy stretches."""
    ecg = np.nan_to_num(recording.samples[:, column].astype(np.float64))
    where = np.flatnonzero(in_noise(np.arange(len(ecg)), recording.fs))
    ecg[where] += gain(ecg, reference, noise, snr) * np.resize(noise, where.size)
    samples: Floats = ecg.astype(np.float32)[:, None]
    return Recording(recording.name, recording.fs, (recording.leads[column],), samples)
