"""Signal quality, before any filter: unusable stretches become NaN and are announced.

What comes out is either signal worth filtering or NaN, so nothing downstream has to ask again.
"""

import numpy as np

from beatgan.compiled import compiled
from beatgan.types import Condition, Doubles, Record

GAP = 90  # samples (0.25 s at 360 Hz) lost in a row before a gap is announced
FLAT = 720  # samples (2 s) in a row within FLAT_MV before a flat line is announced
FLAT_MV = 0.01  # two steps of a 5 microvolt converter

CONDITIONS = (Condition.GAP, Condition.FLAT)
STATE = np.dtype(
    [
        ("lost", "i8"),  # lost samples in a row
        ("still", "i8"),  # samples in a row within FLAT_MV of each other
        ("low", "f8"),  # their extremes
        ("high", "f8"),
        ("gap", "i8"),  # 1 while announced
        ("flat", "i8"),
    ]
)
CHANGE = np.dtype(
    [("condition", "i8"), ("begins", "i8"), ("at", "i8"), ("known", "i8")]
)  # one announcement; `condition` indexes CONDITIONS


@compiled
def _announce(changes: Record, count: int, condition: int, begins: int, at: int, known: int) -> int:
    """Write one change and return the new count."""
    change = changes[count]
    change.condition = condition
    change.begins = begins
    change.at = at
    change.known = known
    return count + 1


@compiled
def _run(x: Doubles, y: Doubles, start: int, s: Record, changes: Record) -> int:
    """Copy ``x`` to ``y`` with NaN for what is unusable; write changes, return how many."""
    count = 0
    for k in range(x.size):
        i = start + k
        y[k] = x[k]
        if np.isnan(x[k]):
            if s.flat:
                s.flat = 0
                count = _announce(changes, count, 1, 0, i, i)
            s.still = 0
            s.lost += 1
            if s.lost == GAP:
                s.gap = 1
                count = _announce(changes, count, 0, 1, i - GAP + 1, i)
            continue
        s.lost = 0
        if s.gap:
            s.gap = 0
            count = _announce(changes, count, 0, 0, i, i)
        low = min(s.low, x[k]) if s.still else x[k]
        high = max(s.high, x[k]) if s.still else x[k]
        if high - low <= FLAT_MV:
            s.low = low
            s.high = high
            s.still += 1
        else:
            s.low = x[k]
            s.high = x[k]
            s.still = 1
            if s.flat:
                s.flat = 0
                count = _announce(changes, count, 1, 0, i, i)
        if s.still == FLAT:
            s.flat = 1
            count = _announce(changes, count, 1, 1, i - FLAT + 1, i)
        if s.flat:
            y[k] = np.nan
    return count


class Gate:
    """Lets usable signal through, turns the rest into NaN, and tells when that changes."""

    def __init__(self) -> None:
        self._state = np.zeros(1, STATE)

    def push(
        self, x: Doubles, start: int
    ) -> tuple[Doubles, list[tuple[Condition, bool, int, int]]]:
        """The gated signal and its changes: condition, begins, where it did so, known at."""
        y = np.empty_like(x)
        changes = np.zeros(x.size // 2 + 2, CHANGE)
        count = _run(x, y, start, self._state[0], changes)
        return y, [
            (CONDITIONS[int(c["condition"])], bool(c["begins"]), int(c["at"]), int(c["known"]))
            for c in changes[:count]
        ]
