"""Signal quality, before any filter: unusable stretches become NaN and are announced.

What comes out is either signal worth filtering or NaN, so nothing downstream has to check again.
Every condition is left later than it is entered, so that a loose electrode is one episode.
"""

from typing import Protocol

import numpy as np

from beatgan.jit import compiled
from beatgan.signal import mains_hum
from beatgan.types import Condition, Doubles, Ints, Records

GAP = 90  # samples (0.25 s at 360 Hz) lost in a row before a gap is announced
FLAT = 720  # samples (2 s) in a row within FLAT_MV before a flat line is announced
FLAT_MV = 0.01  # two steps of a 5 microvolt converter
SATURATION = 72  # samples (0.2 s) in a row within FLAT_MV, at an extreme of the signal, ...
SATURATION_MV = 2.0  # ... so far from 0 that no ECG rests there: an amplifier is saturated
RECOVERY = 180  # samples (0.5 s) in a row without a condition before it is over

CONDITIONS = (Condition.GAP, Condition.FLAT, Condition.SATURATED, Condition.NOISE)
IN_GAP, IN_FLAT, IN_SATURATED, IN_NOISE = 1, 2, 4, 8  # the same as bits
IN_HUM = 16  # nothing but the mains' hum, which is reported as noise

STATE = np.dtype(
    [
        ("lost_run", "i8"),  # lost samples in a row
        ("present_run", "i8"),  # samples in a row that were not lost
        ("flat_run", "i8"),  # samples in a row within FLAT_MV of each other
        ("low", "f8"),  # their extremes
        ("high", "f8"),
        ("lowest", "f8"),  # extremes of all samples
        ("highest", "f8"),
        ("moving_run", "i8"),  # samples since a flat line first moved, 0 while it does not
        ("hum", mains_hum.STATE),
        ("conditions", "i8"),  # bits of the conditions announced and not over
    ]
)
CHANGE = np.dtype(
    [
        ("condition", "i8"),  # a bit
        ("begins", "i8"),  # 1 where it begins, 0 where it ends
        ("sample", "i8"),  # where it did
        ("known", "i8"),  # the sample with which that was known
        ("range_mv", "f8"),  # of the hum that begins, peak to peak
    ]
)
MAX_CHANGES = 36  # in one block: each takes mains_hum.BLOCK samples or more, or ends another


class State(Protocol):
    """A record of dtype STATE."""

    lost_run: int
    present_run: int
    flat_run: int
    low: float
    high: float
    lowest: float
    highest: float
    moving_run: int
    hum: mains_hum.State
    conditions: int


class Change(Protocol):
    """A record of dtype CHANGE."""

    condition: int
    begins: int
    sample: int
    known: int
    range_mv: float


@compiled
def begin(s: State) -> None:
    """A signal of which nothing is known."""
    s.lost_run = 0
    s.present_run = 0
    s.flat_run = 0
    s.moving_run = 0
    s.conditions = 0
    mains_hum.begin(s.hum, False)
    s.lowest = np.inf
    s.highest = -np.inf


@compiled
def go_on(s: State, conditions: int) -> None:
    """A signal of which is known only that it was in these ``conditions`` when last looked at."""
    s.conditions = conditions & ~IN_NOISE
    if conditions & (IN_FLAT | IN_SATURATED):  # its first sample is no movement
        s.flat_run = 1
        s.low = np.inf
        s.high = -np.inf
    mains_hum.begin(s.hum, conditions & IN_HUM != 0)


@compiled
def _announce(
    s: State,
    changes: Records[Change],
    count: int,
    condition: int,
    begins: bool,
    at: int,
    known: int,
) -> int:
    """Write one change and return the new count."""
    s.conditions = s.conditions | condition if begins else s.conditions & ~condition
    change = changes[count]
    change.condition = condition
    change.begins = begins
    change.sample = at
    change.known = known
    return count + 1


@compiled
def _lost_sample(s: State, i: int, changes: Records[Change], count: int) -> int:
    """Sample ``i`` is lost."""
    s.lost_run += 1
    s.present_run = 0
    s.flat_run = 0
    s.moving_run = 0
    mains_hum.begin(s.hum, False)
    flat = s.conditions & (IN_FLAT | IN_SATURATED | IN_HUM)
    if flat:  # a line that is lost is not known to be flat
        count = _announce(s, changes, count, flat, False, i, i)
    if s.lost_run == GAP and not s.conditions & IN_GAP:
        count = _announce(s, changes, count, IN_GAP, True, i - GAP + 1, i)
    return count


@compiled
def _update_flat_run(s: State, value: float) -> None:
    """Update how long the line has not moved."""
    s.lowest = min(s.lowest, value)
    s.highest = max(s.highest, value)
    low = min(s.low, value) if s.flat_run else value
    high = max(s.high, value) if s.flat_run else value
    if high - low <= FLAT_MV:
        s.low = low
        s.high = high
        s.flat_run += 1
    else:
        s.low = value
        s.high = value
        s.flat_run = 1


@compiled
def _is_saturated(s: State) -> bool:
    """Whether the line rests at the highest or lowest value ever seen, far from 0."""
    above: bool = s.high >= max(SATURATION_MV, s.highest - FLAT_MV)
    below: bool = s.low <= min(-SATURATION_MV, s.lowest + FLAT_MV)
    return above or below


@compiled
def _enter_flat(s: State, i: int, changes: Records[Change], count: int) -> int:
    """Announce a flat or saturated line where the signal has rested for long enough."""
    if s.flat_run >= SATURATION and _is_saturated(s):
        return _announce(s, changes, count, IN_SATURATED, True, i - s.flat_run + 1, i)
    if s.flat_run >= FLAT:
        return _announce(s, changes, count, IN_FLAT, True, i - s.flat_run + 1, i)
    return count


@compiled
def _leave_flat(s: State, i: int, changes: Records[Change], count: int) -> int:
    """Announce the end of a flat line where it moves again, and not with a single jump."""
    if s.moving_run or s.flat_run == 1:
        s.moving_run += 1
    if s.moving_run < RECOVERY:
        return count
    s.moving_run = 0
    if s.flat_run >= RECOVERY // 2:
        return count
    flat = s.conditions & (IN_FLAT | IN_SATURATED)
    return _announce(s, changes, count, flat, False, i - RECOVERY + 1, i)


@compiled
def _hum_changed(s: State, i: int, changes: Records[Change], count: int) -> int:
    """With sample ``i`` hum has become all there is, or has stopped being so."""
    if s.hum.only_hum:
        changes[count].range_mv = 2 * np.sqrt(2) * s.hum.rms
        first = i - mains_hum.AFTER * mains_hum.BLOCK + 1
        return _announce(s, changes, count, IN_HUM, True, first, i)
    if s.conditions & IN_HUM:
        return _announce(s, changes, count, IN_HUM, False, i, i)
    return count


@compiled
def run(x: Doubles, start: int, s: State, changes: Records[Change], no_change_run: Ints) -> int:
    """Make what is unusable of ``x`` NaN; write changes, return how many.

    ``x`` begins with sample ``start``. ``no_change_run``, as long as ``x``, becomes
    for each sample how many in a row have carried nothing: were lost, or did not move.
    """
    count = 0
    for k in range(x.size):
        i = start + k
        if not np.isfinite(x[k]):
            x[k] = np.nan
            count = _lost_sample(s, i, changes, count)
            no_change_run[k] = s.lost_run
            continue
        s.lost_run = 0
        s.present_run += 1
        if s.present_run == RECOVERY and s.conditions & IN_GAP:
            count = _announce(s, changes, count, IN_GAP, False, i - RECOVERY + 1, i)
        _update_flat_run(s, x[k])
        no_change_run[k] = s.flat_run
        if s.conditions & (IN_FLAT | IN_SATURATED):
            count = _leave_flat(s, i, changes, count)
        else:
            count = _enter_flat(s, i, changes, count)
        if mains_hum.push(s.hum, x[k]):
            count = _hum_changed(s, i, changes, count)
        if s.conditions & (IN_FLAT | IN_SATURATED | IN_HUM):
            x[k] = np.nan
    return count
