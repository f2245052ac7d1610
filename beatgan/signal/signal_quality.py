"""Signal quality, before any filter: unusable stretches become NaN and are announced.

What comes out is either signal worth filtering or NaN, so nothing downstream has to ask again.
Every condition is left later than it is entered, so that a loose electrode is one episode.
"""

import numpy as np

from beatgan.jit import compiled
from beatgan.types import Condition, Doubles, Ints, Record

GAP = 90  # samples (0.25 s at 360 Hz) lost in a row before a gap is announced
FLAT = 720  # samples (2 s) in a row within FLAT_MV before a flat line is announced
FLAT_MV = 0.01  # two steps of a 5 microvolt converter
RAIL = 72  # samples (0.2 s) in a row within FLAT_MV, at an extreme: an amplifier at its rail ...
RAIL_MV = 2.0  # ... where the extreme is so far from 0 that no ECG rests there
RECOVER = 180  # samples (0.5 s) in a row without a condition before it is over

CONDITIONS = (Condition.GAP, Condition.FLAT, Condition.SATURATED, Condition.NOISE)
IN_GAP, IN_FLAT, IN_SATURATED, IN_NOISE = 1, 2, 4, 8  # the same as bits

STATE = np.dtype(
    [
        ("lost", "i8"),  # lost samples in a row
        ("arrived", "i8"),  # samples in a row that were not lost
        ("still", "i8"),  # samples in a row within FLAT_MV of each other
        ("low", "f8"),  # their extremes
        ("high", "f8"),
        ("bottom", "f8"),  # extremes of all samples
        ("top", "f8"),
        ("stirred", "i8"),  # samples since a stuck line first moved, 0 while it does not
        ("ill", "i8"),  # bits of the conditions announced and not over
    ]
)
CHANGE = np.dtype(
    [("condition", "i8"), ("begins", "i8"), ("at", "i8"), ("known", "i8")]
)  # one announcement; `condition` is a bit
MOST_CHANGES = 8  # in one block: each takes RAIL samples or more, or ends another


@compiled
def begin(s: Record) -> None:
    """A signal of which nothing is known."""
    s.lost = 0
    s.arrived = 0
    s.still = 0
    s.stirred = 0
    s.ill = 0
    s.bottom = np.inf
    s.top = -np.inf


@compiled
def _announce(
    s: Record, changes: Record, count: int, condition: int, begins: bool, at: int, known: int
) -> int:
    """Write one change and return the new count."""
    s.ill = s.ill | condition if begins else s.ill & ~condition
    change = changes[count]
    change.condition = condition
    change.begins = begins
    change.at = at
    change.known = known
    return count + 1


@compiled
def _lose(s: Record, i: int, changes: Record, count: int) -> int:
    """Sample ``i`` is lost."""
    s.lost += 1
    s.arrived = 0
    s.still = 0
    s.stirred = 0
    stuck = s.ill & (IN_FLAT | IN_SATURATED)
    if stuck:  # of a line that is lost nobody can say that it is flat
        count = _announce(s, changes, count, stuck, False, i, i)
    if s.lost == GAP and not s.ill & IN_GAP:
        count = _announce(s, changes, count, IN_GAP, True, i - GAP + 1, i)
    return count


@compiled
def _measure(s: Record, value: float) -> None:
    """How long the line has not moved."""
    s.bottom = min(s.bottom, value)
    s.top = max(s.top, value)
    low = min(s.low, value) if s.still else value
    high = max(s.high, value) if s.still else value
    if high - low <= FLAT_MV:
        s.low = low
        s.high = high
        s.still += 1
    else:
        s.low = value
        s.high = value
        s.still = 1


@compiled
def _at_rail(s: Record) -> bool:
    """Whether the line rests at the highest or lowest value ever seen, far from 0."""
    above: bool = s.high >= max(RAIL_MV, s.top - FLAT_MV)
    below: bool = s.low <= min(-RAIL_MV, s.bottom + FLAT_MV)
    return above or below


@compiled
def _stick(s: Record, i: int, changes: Record, count: int) -> int:
    """Whether a line that moved until now has come to rest."""
    if s.still >= RAIL and _at_rail(s):
        return _announce(s, changes, count, IN_SATURATED, True, i - s.still + 1, i)
    if s.still >= FLAT:
        return _announce(s, changes, count, IN_FLAT, True, i - s.still + 1, i)
    return count


@compiled
def _stir(s: Record, i: int, changes: Record, count: int) -> int:
    """Whether a stuck line moves again, and not with a single jump."""
    if s.stirred or s.still == 1:
        s.stirred += 1
    if s.stirred < RECOVER:
        return count
    s.stirred = 0
    if s.still >= RECOVER // 2:
        return count
    stuck = s.ill & (IN_FLAT | IN_SATURATED)
    return _announce(s, changes, count, stuck, False, i - RECOVER + 1, i)


@compiled
def run(x: Doubles, start: int, s: Record, changes: Record, idle: Ints) -> int:
    """Make what is unusable of ``x`` NaN; write changes, return how many.

    ``x`` begins with sample ``start``. ``idle``, as long as ``x``, becomes for each sample how many
    in a row have carried nothing: been lost, or not moved.
    """
    count = 0
    for k in range(x.size):
        i = start + k
        if not np.isfinite(x[k]):
            x[k] = np.nan
            count = _lose(s, i, changes, count)
            idle[k] = s.lost
            continue
        s.lost = 0
        s.arrived += 1
        if s.arrived == RECOVER and s.ill & IN_GAP:
            count = _announce(s, changes, count, IN_GAP, False, i - RECOVER + 1, i)
        _measure(s, x[k])
        idle[k] = s.still
        if s.ill & (IN_FLAT | IN_SATURATED):
            count = _stir(s, i, changes, count)
        else:
            count = _stick(s, i, changes, count)
        if s.ill & (IN_FLAT | IN_SATURATED):
            x[k] = np.nan
    return count
