"""What a recording is, and which of a file's signals are ECG leads. Knows no file format."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beatgan.errors import RecordError
from beatgan.lead_names import is_lead, is_other, lead_name
from beatgan.types import MAX_TIME_NS, MIN_TIME_NS, Floats

# Casefolded. The sign for micro as Latin-1, which no ASCII format allows, is read as U+FFFD.
MILLIVOLT = {
    **dict.fromkeys(("nv", "nanovolt"), 1e-6),
    **dict.fromkeys(("uv", "µv", "μv", "\ufffdv", "microvolt"), 1e-3),
    **dict.fromkeys(("mv", "millivolt"), 1.0),
    **dict.fromkeys(("v", "volt"), 1e3),
}
UNCALIBRATED = ("", "nu", "adu", "au", "a.u.", "counts", "raw", "n/a", "none")  # casefolded
SWING_MV = 2.0  # within SWING_S: a usual one in DS1, whose records have 1.3 to 4.2
SWING_S = 2.0
YEAR_NS = 365.2425 * 86_400e9


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A whole recording: ``samples`` has shape (n, len(leads)), millivolt, NaN where lost.

    ``fs`` is in Hz. ``start_ns`` is the UNIX time of the first sample in ns, 0 where unknown; the
    file formats carry no time zone, so their clock is read as UTC. ``left_out`` says which signals
    of the file are not among the leads, and why. ``scaled`` are leads that came without a voltage
    and were given a usual size.
    """

    name: str
    fs: float
    leads: tuple[str, ...]
    samples: Floats
    start_ns: int = 0
    left_out: tuple[str, ...] = ()
    scaled: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Any]:
        """Its samples and its rate: ``ecg, fs = recording``."""
        return iter((self.samples, self.fs))


def only(recording: Recording, lead: str) -> Recording:
    """``recording`` with one of its leads, by name whatever its case.

    Raises RecordError naming the leads there are.
    """
    names = [name.upper() for name in recording.leads]
    if lead.upper() not in names:
        found = ", ".join(recording.leads)
        raise RecordError(f"{recording.name}: there is no lead {lead!r}; it has {found}")
    column = names.index(lead.upper())
    samples = recording.samples[:, column : column + 1]
    return replace(recording, leads=(recording.leads[column],), samples=samples)


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
    raw = dict(zip(chosen, map(_finite, read(chosen) if chosen else []), strict=True))
    for index, fault in _faults(raw).items():
        left_out.append(f"{signals[index].name} ({fault})")
        del raw[index]
    if not raw:
        raise RecordError(f"{path}: no usable ECG lead; found {'; '.join(left_out) or 'no signal'}")
    fs = max(signals[index].fs for index in raw)
    if not (np.isfinite(fs) and fs > 0):
        raise RecordError(f"{path}: the sampling rate is {fs:g} Hz")
    names = _distinct(signals[index].name for index in raw)
    samples = np.stack([_millivolt(raw[i], signals[i].unit, fs) for i in raw], axis=1)
    if not MIN_TIME_NS <= start_ns <= MAX_TIME_NS - round(len(samples) * 1e9 / fs):
        raise RecordError(
            f"{path}: begins in the year {1970 + start_ns / YEAR_NS:.0f}; "
            "a recording lies within the years 1678 to 2261"
        )
    scaled = [n for n, i in zip(names, raw, strict=True) if not _is_voltage(signals[i].unit)]
    return Recording(path.stem, fs, names, samples, start_ns, tuple(left_out), tuple(scaled))


def choose(signals: Sequence[Signal]) -> tuple[list[int], list[str]]:
    """The indices of the ECG leads, and for every other signal why it is none.

    A lead is a voltage that does not name itself as something else; where some names are those of
    ECG leads, only these. Such a name needs no calibrated unit (WFDB's "nu", a blank in an EDF
    file), but calibrated leads win. Leads slower than the fastest are left out, not interpolated.
    """
    reasons: dict[int, str] = {}
    for i, signal in enumerate(signals):
        named = is_lead(signal.name) and _unit(signal) in UNCALIBRATED
        if not (_is_voltage(signal.unit) or named):
            reasons[i] = f"unit {signal.unit.strip() or 'missing'}, no voltage"
        elif is_other(signal.name):
            reasons[i] = "not an ECG, by its name"
    ways: Sequence[tuple[str, Callable[[Signal], bool]]] = (
        ("not an ECG lead's name", lambda signal: is_lead(signal.name)),
        ("not calibrated, others are", lambda signal: _is_voltage(signal.unit)),
    )
    for reason, wanted in ways:
        left = [i for i in range(len(signals)) if i not in reasons]
        if any(wanted(signals[i]) for i in left):
            reasons |= {i: reason for i in left if not wanted(signals[i])}
    left = [i for i in range(len(signals)) if i not in reasons]
    fastest = max((signals[i].fs for i in left), default=0.0)
    reasons |= {i: f"{signals[i].fs:g} Hz" for i in left if signals[i].fs != fastest}
    chosen = [i for i in left if i not in reasons]
    return chosen, [f"{signals[i].name} ({reasons[i]})" for i in sorted(reasons)]


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


def _unit(signal: Signal) -> str:
    return signal.unit.strip().casefold()


def _is_voltage(unit: str) -> bool:
    return unit.strip().casefold().removesuffix("s") in MILLIVOLT


def _finite(raw: NDArray[Any]) -> Floats:
    """A copy with NaN wherever the value is not finite."""
    column = np.array(raw, dtype=np.float32)
    column[~np.isfinite(column)] = np.nan
    return column


def _faults(raw: Mapping[int, Floats]) -> dict[int, str]:
    """Why a lead is of no use: without a sample, or still from end to end while another is not."""
    reach = {i: float(np.nanmax(x) - np.nanmin(x)) for i, x in raw.items() if not np.isnan(x).all()}
    lives = any(reach.values())
    empty = {i: "no valid sample" for i in raw if i not in reach}
    return empty | {i: "never changes" for i, change in reach.items() if lives and not change}


def _millivolt(column: Floats, unit: str, fs: float) -> Floats:
    """``column`` in millivolt; without a voltage as its unit, as large as an ECG usually is."""
    if _is_voltage(unit):
        return column * np.float32(MILLIVOLT[unit.strip().casefold().removesuffix("s")])
    swing = median_swing(column, fs)
    return column * np.float32(SWING_MV / swing if swing else 1.0)


def median_swing(column: Floats, fs: float) -> float:
    """The median difference between the extremes of each SWING_S seconds; 0 where unknown."""
    length = max(1, round(SWING_S * fs))
    blocks = (column[k : k + length] for k in range(0, len(column), length))
    swings = [np.nanmax(b) - np.nanmin(b) for b in blocks if not np.isnan(b).all()]
    return float(np.median(swings)) if swings else 0.0


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    """The leads' bare names, numbered where several bear the same."""
    taken: list[str] = []
    for name in map(lead_name, names):
        count = sum(other == name or other.startswith(f"{name}-") for other in taken)
        taken.append(f"{name}-{count + 1}" if name in taken else name)
    return tuple(taken)
