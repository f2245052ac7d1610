"""What a recording is, and which of a file's signals are ECG leads. Knows no file format."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beatgan.errors import RecordError
from beatgan.types import Floats

MILLIVOLT = {"nv": 1e-6, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "mv": 1.0, "v": 1e3}  # casefolded
ECG = re.compile(r"ecg|ekg|^(ml?)?(i{1,3}|av[rlf]|v[1-9]?r?)$|^(mcl|cm|cc|ml|d)\d$|^v[xyz]$", re.I)
OTHER = re.compile(
    r"noise|resp|pleth|ppg|spo2|\bart\b|abp|nibp|^bp|cvp|pap|icp|eeg|emg|eog|temp|flow|trig|marker",
    re.I,
)


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A whole recording: ``samples`` has shape (n, len(leads)), millivolt, NaN where lost.

    ``fs`` is in Hz. ``start_ns`` is the UNIX time of the first sample in ns, 0 where unknown; the
    file formats carry no time zone, so their clock is read as UTC. ``left_out`` says which signals
    of the file are not among the leads, and why.
    """

    name: str
    fs: float
    leads: tuple[str, ...]
    samples: Floats
    start_ns: int = 0
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Signal:
    """What a file says of one of its signals before any sample is read."""

    name: str
    unit: str
    fs: float


def assemble(
    path: Path,
    signals: Sequence[Signal],
    read: Callable[[list[int]], Sequence[NDArray[Any]]],
    start_ns: int = 0,
) -> Recording:
    """The recording made of those ``signals`` that are ECG leads.

    ``read`` is given their indices and returns one array for each, in the signal's own unit.
    Raises RecordError where no lead is usable.
    """
    chosen, left_out = choose(signals)
    columns: list[Floats] = []
    leads: list[str] = []
    for index, raw in zip(chosen, read(chosen) if chosen else [], strict=True):
        column = _millivolt(raw, signals[index].unit)
        if np.isnan(column).all():
            left_out.append(f"{signals[index].name} (no valid sample)")
            continue
        columns.append(column)
        leads.append(_unique(lead_name(signals[index].name), leads))
    if not columns:
        raise RecordError(f"{path}: no usable ECG lead; found {'; '.join(left_out) or 'no signal'}")
    fs = max(signals[index].fs for index in chosen)
    if not (np.isfinite(fs) and fs > 0):
        raise RecordError(f"{path}: the sampling rate is {fs:g} Hz")
    samples = np.stack(columns, axis=1)
    return Recording(path.stem, fs, tuple(leads), samples, start_ns, tuple(left_out))


def choose(signals: Sequence[Signal]) -> tuple[list[int], list[str]]:
    """The indices of the ECG leads, and for every other signal why it is none.

    A lead is a voltage that does not name itself as something else; where some names are those of
    ECG leads, only these. Leads slower than the fastest are left out, not interpolated.
    """
    reasons: dict[int, str] = {}
    for i, signal in enumerate(signals):
        if signal.unit.strip().casefold() not in MILLIVOLT:
            reasons[i] = f"unit {signal.unit.strip() or 'missing'}, no voltage"
        elif OTHER.search(signal.name):
            reasons[i] = "not an ECG, by its name"
    left = [i for i in range(len(signals)) if i not in reasons]
    if named := [i for i in left if ECG.search(lead_name(signals[i].name))]:
        reasons |= {i: "not an ECG lead's name" for i in left if i not in named}
        left = named
    fastest = max((signals[i].fs for i in left), default=0.0)
    reasons |= {i: f"{signals[i].fs:g} Hz" for i in left if signals[i].fs != fastest}
    chosen = [i for i in left if i not in reasons]
    return chosen, [f"{signals[i].name} ({reasons[i]})" for i in sorted(reasons)]


def lead_name(name: str) -> str:
    """The bare name of a lead: EDF's "ECG II" is II."""
    name = name.strip()
    return re.sub(r"^(ecg|ekg)\s+(?=\S)", "", name, flags=re.I) or name


def nanoseconds(start: datetime) -> int:
    """UNIX time in ns, exactly; a time without a zone is read as UTC."""
    if start.tzinfo is None:
        start = start.replace(tzinfo=UTC)
    return (start - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1) * 1000


@contextmanager
def faults_of(path: Path, reader: str) -> Iterator[None]:
    """Whatever a foreign ``reader`` raises over the file ``path`` becomes a RecordError."""
    try:
        yield
    except RecordError:
        raise
    except ImportError as error:
        raise RecordError(
            f"{path}: {reader} is not installed; pip install 'beatgan[records]'"
        ) from error
    # wfdb raises whatever its parsing trips over, plain Exception included. Nothing is swallowed:
    # the cause stays attached.
    except Exception as error:
        raise RecordError(f"{path}: unreadable ({type(error).__name__}: {error})") from error


def _millivolt(raw: NDArray[Any], unit: str) -> Floats:
    """A copy in millivolt, NaN wherever the value is not finite."""
    column = np.array(raw, dtype=np.float32)
    column *= np.float32(MILLIVOLT[unit.strip().casefold()])
    column[~np.isfinite(column)] = np.nan
    return column


def _unique(name: str, taken: Sequence[str]) -> str:
    """``name``, numbered where another lead already bears it."""
    count = sum(other == name or other.startswith(f"{name}-") for other in taken)
    return f"{name}-{count + 1}" if name in taken else name
