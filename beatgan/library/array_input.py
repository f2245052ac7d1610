"""An array in the caller's hands as a recording; what must be guessed is refused."""

from collections.abc import Iterable, Sequence, Set
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from beatgan.errors import UsageError
from beatgan.lead_names import is_other
from beatgan.playback.chunks import check
from beatgan.records.column_names import column
from beatgan.records.recording import Recording, median_swing, nanoseconds
from beatgan.types import MAX_LEADS, Floats

NAME = "ecg"  # of an array, where it is given none
RISES, LOOKED_AT = 100, 5000  # samples in which a signal but rises; no ECG does
RATE_TOLERANCE = 0.005  # by which a table's own times may differ from the rate
SMALLEST_MV = 0.02  # that one moves by from end to end, unless it is flat
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
    for lead, values in zip(names, samples.T, strict=True):
        if _only_rises(values):
            raise UsageError(
                f"{lead} rises from each sample to the next, as a time or a counter does: "
                "leave it out"
            )
    begun = begin_ns(start)
    recording = Recording(name or NAME, rate(fs), names, samples, begun)
    check(recording)
    _check_unit(recording)
    _check_index(ecg, recording)
    return recording


def _check_unit(recording: Recording) -> None:
    """Raise UsageError where the samples can be no millivolt."""
    samples = recording.samples
    swing = max(median_swing(values, recording.fs) for values in samples.T)
    if swing > LARGEST_MV:
        raise UsageError(
            f"the signal swings by {swing:.0f}: an ECG in millivolt by 1 to 5. Give it in mV: "
            "microvolt divided by 1000, counts by the counts a millivolt"
        )
    known = samples[~np.isnan(samples)]
    reach = float(known.max() - known.min()) if known.size else 0.0
    if 0 < reach < SMALLEST_MV:
        raise UsageError(
            f"the signal moves by {reach:.2g} in all: an ECG in millivolt swings by 1 to 5. "
            "Give it in mV: volt times 1000"
        )


def _check_index(ecg: Any, recording: Recording) -> None:
    """Raise UsageError where a table's own times, its index, say another length than its rate."""
    times = np.asarray(getattr(ecg, "index", ()) if hasattr(ecg, "iloc") else ())
    if times.dtype.kind not in "mM" or len(times) < 2:
        return
    lasts = float((times[-1] - times[0]) / np.timedelta64(1, "ns")) / 1e9
    expected = (len(times) - 1) / recording.fs
    if abs(lasts - expected) > RATE_TOLERANCE * expected + 1.5 / recording.fs:
        raise UsageError(
            f"the index lasts {lasts:g} s, {len(times)} samples at {recording.fs:g} Hz last "
            f"{expected:g}: another rate, or samples are missing; reindex, with NaN where they are"
        )


def samples_of(ecg: Any) -> Floats:
    """``ecg`` of shape (n,) or (n, leads) as (n, leads) in 32 bits, NaN where it is not finite.

    Raises UsageError where it has another shape or is no numbers.
    """
    try:
        if isinstance(ecg, np.ma.MaskedArray):
            ecg = np.where(np.ma.getmaskarray(ecg), np.nan, ecg.data)
        given = np.asarray(ecg)
        if given.dtype.kind in "bcmM":
            raise TypeError(f"these are {given.dtype}")
        with np.errstate(over="ignore"):  # what is beyond a float is lost
            samples = np.array(given, dtype=np.float32)
    except (TypeError, ValueError, RuntimeError) as error:  # torch: a tensor with gradients
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


def samples_of_leads(ecg: Any, leads: Sequence[str]) -> Floats:
    """`samples_of` a signal that has these leads. Raises UsageError where it has others, too."""
    samples = samples_of(ecg)
    if samples.shape[1] != len(leads):
        raise UsageError(f"{samples.shape[1]} columns for the leads {', '.join(leads)}")
    return samples


def rate(fs: Any) -> float:
    """``fs`` as a number. Raises UsageError where it is none."""
    try:
        return float(fs)
    except (TypeError, ValueError):
        raise UsageError(f"fs: expected a number of samples a second, got {fs!r}") from None


def begin_ns(start: datetime | None) -> int:
    """``start`` as UNIX time in ns, 0 where it is None. Raises UsageError where it is no time."""
    if start is None:
        return 0
    if not isinstance(start, datetime) or start != start:  # pandas' NaT is a datetime
        raise UsageError(f"start: expected a datetime, got {start!r}")
    return nanoseconds(start)


def lead_names(leads: Iterable[str] | str) -> tuple[str, ...]:
    """``leads`` in their order. Raises UsageError where they have none, or one comes twice."""
    if isinstance(leads, str):
        return (leads,)
    if not isinstance(leads, Iterable) or isinstance(leads, Set):
        raise UsageError(f"leads: expected names in the columns' order, got {leads!r}")
    names = tuple(map(str, leads))
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"{twice[0]} is the name of two leads")
    return names


def _only_rises(values: Floats) -> bool:
    """Whether it is higher at each of many samples, as no ECG is."""
    steps = np.diff(values[:LOOKED_AT])
    return len(steps) >= RISES and bool((steps > 0).all())


def _leads(leads: Sequence[str] | str | None, ecg: Any, count: int) -> tuple[str, ...]:
    """The leads' names: those given, a table's columns, or ECG, ECG-2 and so on."""
    if leads is None:
        columns = getattr(ecg, "columns", ())
        names = [str(each) for each in columns if isinstance(each, str)]
        if others := [name for name in names if is_other(name) or _is_no_signal(name)]:
            raise UsageError(f"the column {others[0]!r} is no ECG lead by its name: leave it out")
        if len(names) != count:
            names = ["ECG", *(f"ECG-{k}" for k in range(2, count + 1))]
        leads = names
    found = lead_names(leads)
    if len(found) != count:
        raise UsageError(f"{len(found)} leads ({', '.join(found)}) for {count} columns")
    return found


def _is_no_signal(heading: str) -> bool:
    """Whether a table's column is a time or a counter by its heading."""
    return column(heading).kind != "signal"
