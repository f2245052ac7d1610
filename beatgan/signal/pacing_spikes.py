"""Pacing spikes of one lead: where they are, and the signal without them.

A pacemaker's stimulus lasts 0.2 to 3 ms and leaves the line where it was; no wave of the heart is
over in 8 ms. Without its spike a captured beat is still there, and of one that was not captured
nothing is left. One sample at a time, lengths at 360 Hz.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from beatgan.jit import compiled
from beatgan.types import Bools, Doubles

MIN_MV = 0.15  # what is lower moves no detector
HIGH_MV = 4.0  # no QRS so high is as narrow as a spike that was sampled seldom
HALF_WIDTH = 3  # samples (8 ms) beside the peak by which a spike, however it was sampled, is over
LEVEL = 5  # samples beyond, whose median is the line before it, and after
MAX_REST, MAX_REST_HIGH = 0.3, 0.5  # of its height: what may be left of it at HALF_WIDTH
NEAR, MAX_REST_NEAR = 2, 0.4  # samples, and the same there, where it is not that high
MAX_STEP = 0.4  # of its height: how far the line may be moved; a following QRS may have begun
REACH = HALF_WIDTH + LEVEL  # samples on either side of the peak that decide
DELAY = REACH + HALF_WIDTH  # samples by which the signal comes out later
SPAN = REACH + DELAY  # latest samples kept
BEFORE, AFTER = 36, 12  # samples round an R peak in which its spike may lie
RING = 1024  # samples of past whose spikes are known: more than from a spike to its R peak's
RING_MASK = RING - 1  # confirmation, and a block; a power of two
STATE = np.dtype(
    [
        ("recent", "f8", (SPAN,)),  # latest samples, the newest last
        ("is_spike", "u1", (RING,)),  # 1 where the latest samples have the peak of a spike
    ]
)


class State(Protocol):
    """A record of dtype STATE."""

    recent: Doubles
    is_spike: NDArray[np.uint8]


@compiled
def clear(s: State) -> None:
    """All signal so far counts as lost."""
    s.recent[:] = np.nan
    s.is_spike[:] = 0


@compiled
def _median(x: Doubles, start: int) -> float:
    """The median of LEVEL samples from ``start`` on, none of them lost."""
    a, b, c, d, e = x[start], x[start + 1], x[start + 2], x[start + 3], x[start + 4]
    low = max(min(a, b), min(c, d))  # neither the least nor the largest of four
    high = min(max(a, b), max(c, d))
    return float(max(min(low, high), min(max(low, high), e)))


@compiled
def _is_spike(x: Doubles, peak: int, before: float, after: float) -> bool:
    """Whether ``peak`` is that of a spike on the line that goes from ``before`` to ``after``."""
    level = 0.5 * (before + after)
    height = abs(x[peak] - level)
    if not (height >= MIN_MV and abs(after - before) <= MAX_STEP * height):
        return False
    for i in range(peak - HALF_WIDTH, peak + HALF_WIDTH + 1):
        if abs(x[i] - level) > height:
            return False
    rest = max(abs(x[peak - HALF_WIDTH] - level), abs(x[peak + HALF_WIDTH] - level))
    move = 0.0
    for i in range(LEVEL):
        move = max(move, abs(x[peak - REACH + i] - before))
        move = max(move, abs(x[peak + HALF_WIDTH + 1 + i] - after))
    if height < HIGH_MV:
        near = max(abs(x[peak - NEAR] - level), abs(x[peak + NEAR] - level))
        return bool(max(rest, move) <= MAX_REST * height and near <= MAX_REST_NEAR * height)
    return bool(rest <= MAX_REST_HIGH * height and move <= MAX_REST * height)


@compiled
def _take_out(x: Doubles, peak: int) -> bool:
    """Where ``peak`` is that of a spike, put a straight line in its place; whether it is."""
    total = 0.0
    for i in range(peak - REACH, peak + REACH + 1):
        total += x[i]
    if np.isnan(total):
        return False
    before, after = _median(x, peak - REACH), _median(x, peak + HALF_WIDTH + 1)
    if not _is_spike(x, peak, before, after):
        return False
    for i in range(-HALF_WIDTH, HALF_WIDTH + 1):
        share = (i + HALF_WIDTH + 1) / (2 * HALF_WIDTH + 2)
        x[peak + i] = before + share * (after - before)
    return True


@compiled
def _may_be_spike(peak: float, before: float, after: float, left: float, right: float) -> bool:
    """What is asked before `_take_out`, which costs much: no spike's ``peak`` is less.

    ``before`` and ``after`` are the samples beside it, ``left`` and ``right`` those beyond the
    width of a spike.
    """
    high = abs(2 * peak - (left + right)) > MIN_MV
    extreme = (peak - before) * (peak - after) >= 0.0
    return high & extreme  # no branch: many samples are asked about at once


@compiled
def _find_candidates(known: Doubles, out: Bools) -> int:
    """Write for each new sample whether the one it decides on may be a spike's peak; how many."""
    middle, count = known[SPAN - REACH :], 0
    before, after = known[SPAN - REACH - 1 :], known[SPAN - REACH + 1 :]
    left, right = known[SPAN - REACH - HALF_WIDTH - 1 :], known[SPAN - REACH + HALF_WIDTH + 1 :]
    for k in range(out.size):
        out[k] = _may_be_spike(middle[k], before[k], after[k], left[k], right[k])
        count += out[k]
    return count


@compiled
def _forget_spikes(is_spike: NDArray[np.uint8], start: int, count: int) -> None:
    """No spike is known yet at ``count`` samples from ``start`` on."""
    first = start & RING_MASK
    before_end = min(count, RING - first)
    is_spike[first : first + before_end] = 0
    is_spike[: count - before_end] = 0


@compiled
def run(x: Doubles, y: Doubles, start: int, s: State) -> None:
    """Write to ``y`` the signal ``x`` (mV, NaN where lost) without spikes, DELAY samples later.

    ``x`` begins with sample ``start``.
    """
    known = np.empty(SPAN + x.size)
    new = known[SPAN:]
    for i in range(SPAN):
        known[i] = s.recent[i]
    for k in range(x.size):
        new[k] = x[k]
    candidates = np.empty(x.size, np.bool_)
    count = _find_candidates(known, candidates)
    _forget_spikes(s.is_spike, start - REACH, x.size)
    if count > 0:
        changed = False
        for k in range(x.size):
            peak = SPAN + k - REACH
            if changed:  # what was taken out may have been a candidate, or beside one
                _find_candidates(known[k : SPAN + k + 1], candidates[k : k + 1])
            if candidates[k] and _take_out(known, peak):
                changed = True
                s.is_spike[(start + k - REACH) & RING_MASK] = 1
    late = known[SPAN - DELAY :]
    for k in range(x.size):
        y[k] = late[k]
    latest = known[x.size :]
    for i in range(SPAN):
        s.recent[i] = latest[i]


@compiled
def spike_near(s: State, r_peak: int) -> int:
    """The last spike that may belong to the R peak at sample ``r_peak``, -1 for none."""
    return last_spike(s, r_peak - BEFORE, r_peak + AFTER + 1)


@compiled
def last_spike(s: State, start: int, stop: int) -> int:
    """The last spike from sample ``start`` to before ``stop``, -1 for none."""
    for i in range(stop - 1, start - 1, -1):
        if s.is_spike[i & RING_MASK]:
            return i
    return -1
