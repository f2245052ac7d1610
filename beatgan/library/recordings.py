"""Recordings to be scored: those on disk, and the one that the package brings."""

from pathlib import Path

from beatgan.records import SAMPLE, Recording, read_recording


def read(path: str | Path) -> Recording:
    """The ECG leads of a recording in any format that is read, in mV: ``ecg, fs = read(path)``.

    `beatgan.score` takes the whole of it. Raises RecordError, which names the file, and what is
    wrong with it or what must be said of it.
    """
    return read_recording(path)


def sample() -> Recording:
    """Five minutes of MIT-BIH record 208, lead MLII, 360 Hz: ``ecg, fs = sample()``."""
    return read_recording(SAMPLE)
