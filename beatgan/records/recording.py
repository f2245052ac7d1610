"""What a recording is, and which of a file's signals are ECG leads. Knows no file format."""

import warnings
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
UNCALIBRATED = (  # casefolded
    *("", "nu", "adu", "au", "a.u.", "n/a", "none"),
    *("adc", "count", "counts", "digit", "digits", "lsb", "raw"),
)
SWING_MV = 2.0  # within SWING_S: a usual one in DS1, whose records have 1.3 to 4.2
SWING_S = 2.0
SLOWEST, FASTEST = 1e-3, 1e7  # Hz that any recorder of anything has
EPOCH = datetime.fromtimestamp(0, UTC)
YEAR_NS = 365.2425 * 86_400e9
LOST_LIMIT = 100_000_000  # values that stand for lost samples: 400 MB, a day of 4 leads at 290 Hz


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A whole recording: ``samples`` has shape (n, len(leads)), millivolt, NaN where lost.

    ``fs`` is in Hz. ``start_ns`` is the UNIX time of the first sample in ns, 0 where unknown; a
    clock without a time zone is read as UTC. ``left_out`` says which signals of the file are not
    among the leads, and why. ``scaled`` are leads that came without a voltage and were given a
    usual size.

    The rest says how the file was understood, for a person: its ``format``, where the rate is from,
    the unit each lead had in the file, and what else there is to know. It is empty where the
    samples come from no file. None of it, and no field, bears anything of the patient.
    """

    name: str
    fs: float
    leads: tuple[str, ...]
    samples: Floats
    start_ns: int = 0
    left_out: tuple[str, ...] = ()
    scaled: tuple[str, ...] = ()
    format: str = ""
    rate_from: str = ""
    units: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """A file's name need not be text; what is said, sent and written of it must be."""
        text = self.name.encode("utf-8", "backslashreplace").decode()
        object.__setattr__(self, "name", text)

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
    units = recording.units[column : column + 1]
    return replace(recording, leads=(recording.leads[column],), samples=samples, units=units)


def gaps(samples: Floats) -> list[tuple[int, int]]:
    """The stretches in which no lead has a sample: (first, length), both in samples."""
    lost = np.isnan(samples).all(axis=1)
    edges = np.flatnonzero(np.diff(lost, prepend=False, append=False))
    return [(int(a), int(b - a)) for a, b in edges.reshape(-1, 2)]


def check_lost(path: Path, lost: float, leads: int, fs: float) -> None:
    """Raise RecordError where ``lost`` samples of each lead would fill the memory."""
    if lost * leads > LOST_LIMIT:
        raise RecordError(
            f"{path}: {lost / fs / 3600:.0f} hours without samples, more than can be filled; "
            "cut it there into several recordings"
        )


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
    *,
    format: str,
    rate_from: str = "header",
    notes: Sequence[str] = (),
) -> Recording:
    """The recording made of those ``signals`` that are ECG leads.

    ``read`` is given their indices and returns one array for each, in the signal's own unit.
    ``format``, ``rate_from`` and ``notes`` become the recording's. Raises RecordError where no lead
    is usable.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what is beyond a float is lost
        return _assembled(path, signals, read, start_ns, format, rate_from, notes)


def _assembled(
    path: Path,
    signals: Sequence[Signal],
    read: Callable[[list[int]], Sequence[NDArray[Any]]],
    start_ns: int,
    format: str,
    rate_from: str,
    notes: Sequence[str],
) -> Recording:
    chosen, left_out = choose(signals)
    raw = dict(zip(chosen, map(_finite, read(chosen) if chosen else []), strict=True))
    for index, fault in _faults(raw).items():
        left_out.append(f"{signals[index].name} ({fault})")
        del raw[index]
    if not raw:
        raise RecordError(f"{path}: no usable ECG lead; found {'; '.join(left_out) or 'no signal'}")
    fs = max(signals[index].fs for index in raw)
    if not SLOWEST <= fs <= FASTEST:
        raise RecordError(f"{path}: the sampling rate is {fs:g} Hz")
    names = _distinct(signals[index].name for index in raw)
    samples = np.stack([_millivolt(raw[i], signals[i].unit, fs) for i in raw], axis=1)
    if not MIN_TIME_NS <= start_ns <= MAX_TIME_NS - round(len(samples) * 1e9 / fs):
        raise RecordError(
            f"{path}: begins in the year {1970 + start_ns / YEAR_NS:.0f}; "
            "a recording lies within the years 1678 to 2261"
        )
    scaled = [n for n, i in zip(names, raw, strict=True) if not _is_voltage(signals[i].unit)]
    return Recording(
        path.stem,
        fs,
        names,
        samples,
        start_ns,
        tuple(left_out),
        tuple(scaled),
        format,
        rate_from,
        tuple(signals[i].unit.strip() or "none" for i in raw),
        tuple(notes),
    )


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
    return (start - EPOCH) // timedelta(microseconds=1) * 1000


@contextmanager
def faults_of(path: Path, reader: str) -> Iterator[None]:
    """Whatever a foreign ``reader`` raises over the file ``path`` becomes a RecordError.

    What it says, and warns of, is not passed on: it may quote what the file tells of a patient.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except RecordError:
        raise
    except ImportError:
        raise RecordError(
            f"{path}: {reader} is not installed; pip install 'beatgan[records]'"
        ) from None
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror or 'unreadable'}") from None
    # The readers raise whatever their parsing trips over, plain Exception included.
    except Exception as error:  # noqa: BLE001
        raise RecordError(f"{path}: unreadable, {reader} fails ({type(error).__name__})") from None


def _unit(signal: Signal) -> str:
    return signal.unit.strip().casefold()


def in_millivolt(unit: str) -> float | None:
    """How many millivolt the unit is; None where it is no voltage."""
    return MILLIVOLT.get(unit.strip().casefold().removesuffix("s"))


def _is_voltage(unit: str) -> bool:
    return in_millivolt(unit) is not None


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
    if (factor := in_millivolt(unit)) is not None:
        return column * np.float32(factor)
    swing = median_swing(column, fs)
    return column * np.float32(SWING_MV / swing if swing else 1.0)


def median_swing(column: Floats, fs: float) -> float:
    """The median difference between the extremes of each `SWING_S` seconds; 0 where unknown."""
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
