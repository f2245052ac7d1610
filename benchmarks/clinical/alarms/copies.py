"""Recordings made of a database's records, as WFDB files that any release reads."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from beatgan.types import Floats
from benchmarks.clinical.alarms.daemon_command import Source

GAIN = 2000.0  # units a millivolt, ...
LARGEST = 32_000  # ... fewer where they would not fit into 16 bits


def one_lead(path: Path, record: str, lead: str, folder: Path) -> Source:
    """The record at ``path`` with its ``lead`` alone, to the bit."""
    import wfdb

    whole = wfdb.rdrecord(str(path), physical=False)
    column = whole.sig_name.index(lead)
    copy = folder / f"{path.name}-{lead.replace('.', '_')}"
    wfdb.wrsamp(
        copy.name,
        fs=whole.fs,
        units=[whole.units[column]],
        sig_name=[lead],
        d_signal=whole.d_signal[:, [column]].astype(np.int64),
        fmt=["16"],
        adc_gain=[whole.adc_gain[column]],
        baseline=[whole.baseline[column]],
        write_dir=str(folder),
    )
    return Source(copy, record)


def written(
    name: str, record: str, fs: float, leads: Sequence[str], samples: Floats, folder: Path
) -> Source:
    """A recording of these ``samples`` (n, leads), millivolt, NaN where lost."""
    import wfdb

    size = np.nanmax(np.abs(samples), initial=1e-3)
    gain = min(GAIN, LARGEST / float(size))
    wfdb.wrsamp(
        name,
        fs=fs,
        units=["mV"] * len(leads),
        sig_name=list(leads),
        p_signal=samples.astype(np.float64),
        fmt=["16"] * len(leads),
        adc_gain=[gain] * len(leads),
        baseline=[0] * len(leads),
        write_dir=str(folder),
    )
    return Source(folder / name, record)
