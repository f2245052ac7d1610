"""The bundled excerpts of the MIT-BIH Arrhythmia Database: two minutes each, two leads.

The last, the `SAMPLE`, is five minutes of one lead: 300 s of record 208, MLII, at 360 Hz.

They are WFDB records, which are read here without ``wfdb``: it need not be installed for a demo.
Licence and citation lie beside them.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from beatgan.errors import RecordError
from beatgan.records.recording import Recording

FOLDER = Path(__file__).parent / "excerpts"
SAMPLE = "sample"
EXCERPTS = (
    "tachycardia-in-fibrillation",
    "ventricular-tachycardia",
    "ventricular-flutter",
    "bigeminy",
    "paced",
    "noise",
    "normal",
    SAMPLE,
)


class Excerpt(NamedTuple):
    """A recording; where it is from, and what its annotators marked in it, in words."""

    recording: Recording
    source: str
    annotated: str


def read(name: str) -> Excerpt:
    """The excerpt of this name, one of `EXCERPTS`, in millivolt.

    Raises RecordError where the package lacks it.
    """
    try:
        header = (FOLDER / f"{name}.hea").read_text("ascii")
        packed = np.fromfile(FOLDER / f"{name}.dat", np.uint8)
    except OSError as error:
        raise RecordError(f"{name}: the bundled excerpt is missing: {error}") from error
    record, *signals, source, annotated = header.splitlines()
    leads = tuple(signal.split()[8] for signal in signals)
    gain, zero = (np.array([s.split()[k] for s in signals], np.float32) for k in (2, 4))
    samples = (_unpacked(packed).reshape(-1, len(leads)) - zero) / gain
    recording = Recording(name, float(record.split()[2]), leads, samples.astype(np.float32))
    return Excerpt(recording, source.removeprefix("# "), annotated.removeprefix("# annotated: "))


def _unpacked(packed: NDArray[np.uint8]) -> NDArray[np.int16]:
    """WFDB's format 212, two samples of 12 bits in three bytes; shape (pairs, 2)."""
    low, middle, high = packed.reshape(-1, 3).T.astype(np.int16)
    both = np.stack([low | (middle & 15) << 8, high | (middle >> 4) << 8], axis=1)
    return (both ^ 2048) - np.int16(2048)  # the 12th bit is the sign
