"""An array in the caller's hands as a recording; what must be guessed is refused."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from beatgan.errors import UsageError
from beatgan.lead_names import is_other
from beatgan.playback.chunks import check
from beatgan.records.recording import Recording, median_swing, nanoseconds
from beatgan.types import MAX_LEADS, Floats

NAME = "ecg"  # of an array, where it is given none
LARGEST_MV = 50.0  # the median swing of what may be an ECG in mV; usual are 1 to 5


def recording_of(
    ecg: Any,
    fs: float | None,
    leads: Sequence[str] | str | None,
    name: str | None,
    start: datetime | None,
) -> Recording:
    """``ecg`` as a recording, see `beatgan.score`; a Recording is returned as it is.

    Raises UsageError, saying what was expected.
    """
    if isinstance(ecg, Recording):
        if not (fs is None and leads is None and name is None and start is None):
            raise UsageError("a recording has its fs, leads, name and start: leave them out")
        check(ecg)
        return ecg
    if isinstance(ecg, str | Path):
        raise UsageError(f"{ecg}: read it first: score(read({str(ecg)!r}))")
    if fs is None:
        raise UsageError("fs, the samples a second, is missing: score(ecg, fs)")
    samples = samples_of(ecg)
    names = _leads(leads, ecg, samples.shape[1])
    begun = 0 if start is None else nanoseconds(start)
    recording = Recording(name or NAME, float(fs), names, samples, begun)
    check(recording)
    swing = max(median_swing(column, recording.fs) for column in samples.T)
    if swing > LARGEST_MV:
        raise UsageError(
            f"the signal swings by {swing:.0f}: an ECG in millivolt by 1 to 5. Give it in mV: "
            "microvolt divided by 1000, counts by the counts a millivolt"
        )
    return recording


def samples_of(ecg: Any) -> Floats:
    """``ecg`` of shape (n,) or (n, leads) as (n, leads) in 32 bits, NaN where it is not finite.

    Raises UsageError where it has another shape or is no numbers.
    """
    try:
        samples = np.array(ecg, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise UsageError(f"expected an array of numbers, in mV: {error}") from None
    if samples.ndim == 1:
        samples = samples[:, np.newaxis]
    if samples.ndim != 2 or not samples.size:
        raise UsageError(f"expected shape (n,) or (n, leads), got {np.shape(ecg)}")
    if samples.shape[1] > MAX_LEADS:
        raise UsageError(
            f"shape {samples.shape} has {samples.shape[1]} leads, at most {MAX_LEADS} can be: "
            "time runs along the first axis; is the array to be transposed?"
        )
    samples[~np.isfinite(samples)] = np.nan
    return samples


def _leads(leads: Sequence[str] | str | None, ecg: Any, count: int) -> tuple[str, ...]:
    """The leads' names: those given, a table's columns, or ECG, ECG-2 and so on."""
    if leads is None:
        columns = getattr(ecg, "columns", ())
        names = [str(each) for each in columns if isinstance(each, str)]
        if others := [name for name in names if is_other(name)]:
            raise UsageError(f"the column {others[0]!r} is no ECG lead by its name: leave it out")
        if len(names) != count:
            names = ["ECG", *(f"ECG-{k}" for k in range(2, count + 1))]
    else:
        names = [leads] if isinstance(leads, str) else [str(each) for each in leads]
    if len(names) != count:
        raise UsageError(f"{len(names)} leads ({', '.join(names)}) for {count} columns")
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"{twice[0]} is the name of two leads")
    return tuple(names)
