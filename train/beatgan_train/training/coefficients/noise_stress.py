"""nstdb's noises mixed into clean records, as PhysioNet's `nst` does it.

After five clean minutes, noise lies on two minutes of every four.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from beatgan.ec57.annotations import Reference
from beatgan.records import Recording
from beatgan.types import Bools, Doubles, Floats, Ints
from beatgan_train.data.beat_set import locate

CLEAN_S = 300  # at the beginning
STRETCH_S = 120  # of noise, and as long without
STRESSED = ("118", "119")  # the records that nstdb's 118e and 119e were made of
NOISY_S = (
    30.0  # that a noise lasts where noises of all kinds follow one another, clean between, ...
)
KINDS, SHARES = ("em", "ma", "bw"), (0.6, 0.25, 0.15)  # ... how often each comes, ...
MIXED_SNRS = (12, 6, 0, -6, -12)  # ... at which SNR, in dB, ...
ON_ALL_LEADS = 0.7  # ... and how often all leads have it
NOISE_FS = 360  # of nstdb
TINY = 1e-9
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


def with_noise(
    recording: Recording, mixed_in: Mapping[str, Doubles], rng: np.random.Generator
) -> Recording:
    """All leads, after some seconds, with noises of all kinds, each at an SNR of its own.

    Between two of them it is clean for as long as a noise lasts.
    Electrode motion most often, and mostly on all leads. Signal power is taken from the usual range
    of a second, so that no reference is needed.
    """
    fs, total = recording.fs, len(recording.samples)
    samples = np.nan_to_num(recording.samples.astype(np.float64))
    powers = [_usual_range(lead, fs) ** 2 / 8 for lead in samples.T]
    start, length = round(min(60.0, total / fs / 4) * fs), round(NOISY_S * fs)
    for at in range(start, total, 2 * length):
        kind, snr = rng.choice(KINDS, p=SHARES), rng.choice(MIXED_SNRS)
        every, one = rng.random() < ON_ALL_LEADS, rng.integers(samples.shape[1])
        for lead, power in enumerate(powers):
            if every or lead == one:
                noise = mixed_in[f"em{min(lead, 1)}" if kind == "em" else f"{kind}0"]
                part = samples[at : at + length, lead]
                part += _stretch(noise, len(part), fs, rng) * np.sqrt(power / 10 ** (snr / 10))
    return replace(recording, samples=samples.astype(np.float32))


def _usual_range(lead: Doubles, fs: float) -> float:
    """The median range of a second, the slow baseline taken out."""
    step, smooth = int(fs), np.full(int(0.3 * fs), 1 / int(0.3 * fs))
    seconds = (lead[at : at + step] for at in range(0, len(lead) - step + 1, step))
    return float(np.median([np.ptp(x - np.convolve(x, smooth, "same")) for x in seconds]))


def _stretch(noise: Doubles, count: int, fs: float, rng: np.random.Generator) -> Doubles:
    """So many samples at ``fs`` from somewhere in ``noise``, of which a usual second's is 1."""
    long = int(count * NOISE_FS / fs) + 2
    first = rng.integers(0, len(noise) - long)
    part = np.interp(np.arange(count) * NOISE_FS / fs, np.arange(long), noise[first : first + long])
    part -= part.mean()
    seconds = [part[at : at + int(fs)].std() for at in range(0, max(1, count - int(fs)), int(fs))]
    return np.asarray(part / (np.median(seconds) + TINY))
