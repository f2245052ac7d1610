"""From the times of samples to a rate and to which samples are lost. Knows no file.

Times as files have them are rounded, jitter, and stand still within a packet; their clock may be
set back a little. A sample is lost where the times behind a long step stay late, not where one of
them comes late.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from beatgan.errors import RecordError
from beatgan.types import MAX_FS, MIN_FS, Doubles

NEAR = 32  # rows on either side of a long step whose median tells whether time stays late
APART = 4  # rows at least between two holes that are told apart
SHARP = 0.25  # of a step: where times jitter by less, every long step may be a hole
SLOPE = 1024  # rows over which a first guess of the rate is made
SMALLEST_PACKET = 3  # rows
CERTAIN = 8.0  # robust deviations by which a step is no jitter
RESOLVED = 20_000  # long steps that may be jitter are looked at one by one up to so many
LONGEST_S = 3.2e9
SET_BACK_S = 1.0  # a clock that is corrected; more is another recording
CONTRADICTION = 0.005  # by which a rate that is stated may differ from the times'
STEADY_S = 1e-6  # jitter not worth a word
CRYSTAL = 2e-5  # a whole number of Hz as near as this is the rate


class Axis(NamedTuple):
    """The rate in Hz, each row's place among the samples, and what else was seen."""

    fs: float
    place: NDArray[np.int64]
    notes: tuple[str, ...]


def plausible_units(times: Doubles) -> list[float]:
    """The units in s, of s, ms, µs and ns, by which the rate is one that a stream can have."""
    step = _first_guess(times)
    return [u for u in (1.0, 1e-3, 1e-6, 1e-9) if MIN_FS <= 1 / (step * u or np.inf) <= MAX_FS]


def jitter(times: Doubles) -> float:
    """How unsteady the steps are, as a share of a step; infinite where time stands still."""
    steps = np.diff(times)
    typical = _first_guess(times)
    if not typical > 0:
        return float(np.inf)
    ordinary = np.sort(np.abs(steps - typical))[: max(1, len(steps) * 98 // 100)]
    return float(ordinary.mean() / typical)


def measure(path: Path, name: str, times: Doubles, lines: NDArray[np.int64]) -> Axis:
    """The axis of rows with these ``times``, in s, from the column ``name``.

    ``lines`` are the rows' lines in the file. Raises RecordError, which names the line, where the
    times go back for more than a correction of the clock, or where they do not move on.
    """
    if len(times) < 2:
        raise RecordError(f"{path}: fewer than two times in column '{name}'")
    if np.ptp(times) > LONGEST_S:
        raise RecordError(f"{path}: the times in column '{name}' reach over more than a century")
    step = _first_guess(times)
    if not step > 0:
        way = "go back" if step < 0 else "stand still"
        raise RecordError(f"{path}: the times in column '{name}' {way} from line to line")
    even, step, packet_s = _spread_packets(times, step)
    step = _refined(even, step)
    breaks, shifts = _breaks(even, step, packet_s)
    moved = np.zeros(len(times))
    moved[breaks + 1] = shifts
    step = _slope(even - np.cumsum(moved))
    deviation = float(np.std(times - np.cumsum(moved) - step * np.arange(len(times))))
    _check_back(path, name, breaks, shifts, lines)
    _check_order(path, times, breaks, shifts, lines)
    skipped = np.zeros(len(times), np.int64)
    lost = np.rint(np.cumsum(np.maximum(shifts, 0)) / step)  # together, or rounding would add up
    skipped[breaks + 1] = np.diff(lost, prepend=0).astype(np.int64)
    fs = _whole(1 / step, deviation, float(np.ptp(times)))
    back = np.flatnonzero(shifts < 0)
    shown = f"times jitter by {float(f'{deviation * 1000:.2g}'):g} ms"
    notes = [shown] if deviation > STEADY_S else []
    notes += [
        f"the clock was set back by {-shifts[k]:.3g} s at line {lines[breaks[k] + 1]}" for k in back
    ]
    return Axis(fs, np.arange(len(times)) + np.cumsum(skipped), tuple(notes))


def check_stated(path: Path, stated: float, measured: float, name: str) -> None:
    """Raise RecordError where a rate that the file states contradicts its times."""
    if abs(measured - stated) > CONTRADICTION * stated:
        raise RecordError(
            f"{path}: says {stated:g} Hz, but column '{name}' has {measured:.6g} samples a second; "
            "take away what is wrong"
        )


def _first_guess(times: Doubles) -> float:
    """The time between two samples, whatever the packets and the holes."""
    reach = min(SLOPE, max(1, (len(times) - 1) // 8))
    slopes = (times[reach:] - times[:-reach]) / reach
    wide = float(np.median(slopes)) if len(slopes) else 0.0
    steps = np.diff(times)
    usual = float(np.median(steps)) if len(steps) else 0.0
    alike = np.abs(steps - usual) < 0.02 * usual
    if alike.mean() > 0.5 and usual < 1.05 * wide:  # holes make ``wide`` longer, never shorter
        return float(steps[alike].mean())
    return wide


def _spread_packets(times: Doubles, step: float) -> tuple[Doubles, float, float]:
    """The times, those of a packet, which have one stamp or nearly, spread ahead of its last.

    And the time between two samples, and between two packets; 0 where there is none. Times that are
    rounded to more than three samples are packets, too.
    """
    ends = np.flatnonzero(np.append(np.abs(np.diff(times)) >= 0.5 * step, True))
    stamps, sizes = times[ends], np.diff(ends, prepend=-1)
    if len(ends) < 3 or np.median(sizes) < SMALLEST_PACKET:
        return times, step, 0.0
    step = float(np.median(np.diff(stamps) / sizes[1:]))
    of = np.searchsorted(ends, np.arange(len(times)))
    even = stamps[of] - step * (ends[of] - np.arange(len(times)))
    return even, step, float(np.median(np.diff(stamps)))


def _refined(times: Doubles, step: float) -> float:
    steps = np.diff(times)
    usual = np.abs(steps - step) < 0.5 * step
    return float(steps[usual].mean()) if usual.mean() > 0.8 else step


def _breaks(times: Doubles, step: float, packet_s: float) -> tuple[NDArray[np.int64], Doubles]:
    """The rows behind which time stays late or early, and by how much, in s."""
    steps = np.diff(times)
    scale = 1.4826 * float(np.median(np.abs(steps - step)))
    odd = np.abs(steps - step)
    certain = odd > max(1.5 * step, CERTAIN * scale, 1.5 * packet_s)
    candidates = np.flatnonzero((steps > 1.5 * step) | (steps < -0.5 * step))
    if len(candidates) > RESOLVED:
        candidates = np.flatnonzero(certain)
    sharp = candidates if scale < SHARP * step else np.flatnonzero(certain)
    fences = np.concatenate([[-1 - APART], sharp, [len(times) - 1 + APART]])
    late = times - step * np.arange(len(times))
    shifts = np.array([_shift(late, int(k), fences) for k in candidates])
    excess = steps[candidates] - step  # of two holes side by side each has its own
    beyond = np.abs(shifts) > np.abs(excess) + 0.5 * step
    shifts = np.where(beyond, excess, shifts)
    least = np.where(certain[candidates], 0.5 * step, max(0.75 * step, 1.5 * scale))
    least = np.maximum(least, 0.75 * packet_s)
    kept = np.abs(shifts) > least
    return candidates[kept], shifts[kept]


def _shift(late: Doubles, k: int, fences: NDArray[np.int64]) -> float:
    """By how much the rows behind ``k`` are later than those up to it, as far as the next fences.

    A fence as near as `APART` is no other hole: a sample came late, and the next one did not.
    """
    before = int(fences[np.searchsorted(fences, k - APART, "right") - 1])
    behind = int(fences[np.searchsorted(fences, k + APART)])
    begin, end = max(before + 1, k - NEAR + 1, 0), min(behind, k + NEAR, len(late) - 1)
    return float(np.median(late[k + 1 : end + 1]) - np.median(late[begin : k + 1]))


def _slope(times: Doubles) -> float:
    """Least squares: seconds a row."""
    rows = np.arange(len(times)) - (len(times) - 1) / 2
    return float(rows @ (times - times.mean()) / (rows @ rows))


def _whole(fs: float, deviation: float, seconds: float) -> float:
    """``fs``, or the whole number that it cannot be told from."""
    whole = max(1.0, float(np.rint(fs)))
    limit = max(2 * deviation / seconds if seconds else 0.0, CRYSTAL)
    return whole if abs(fs - whole) <= limit * whole else round(fs, 6)


def _check_order(
    path: Path, times: Doubles, breaks: NDArray[np.int64], shifts: Doubles, lines: NDArray[np.int64]
) -> None:
    """Raise RecordError where rows come behind a hole that they belong into."""
    holes = breaks[shifts > 0]
    for k in breaks[shifts < 0]:
        into = holes[(times[holes] < times[k + 1]) & (times[k + 1] < times[holes + 1])]
        if len(into):
            raise RecordError(
                f"{path}: line {lines[k + 1]} belongs behind line {lines[into[0]]}, by its time; "
                "sort the lines by time"
            )


def _check_back(
    path: Path, name: str, breaks: NDArray[np.int64], shifts: Doubles, lines: NDArray[np.int64]
) -> None:
    back = np.flatnonzero(shifts < 0)
    far = back[shifts[back] < -SET_BACK_S]
    if len(far):
        k = far[0]
        raise RecordError(
            f"{path}: line {lines[breaks[k] + 1]}: the time in column '{name}' goes back by "
            f"{-shifts[k]:.6g} s; cut the file there into two recordings"
        )
    if len(back) > max(3, len(lines) // 1000):
        raise RecordError(
            f"{path}: line {lines[breaks[back[0]] + 1]}: the time in column '{name}' goes back, "
            f"as at {len(back) - 1} other lines; sort the lines by time"
        )
