"""Features of ventricular fibrillation (VF) in the latest seconds of one lead; the latest beat.

From the filtered signal, whatever beats were detected in it: fibrillation has none, and a detector
finds some all the same. Knows no other lead, no clock and no alarm.
"""

from typing import Protocol

import numpy as np

from beatgan.jit import compiled
from beatgan.signal.qrs_detector import Detection
from beatgan.types import Doubles, Floats, Records

STATUS_INTERVAL = 45  # samples (0.125 s at 360 Hz) from one status to the next
PART = 90  # samples that are processed at once, ...
VF_INTERVAL = 180  # ... and after which the log odds of VF are computed anew
THIN = 3  # samples that are averaged to one of the thinned signal
BLOCK = PART // THIN  # thinned samples of a part
BLOCKS = 12  # parts of the analysed stretch: 3 s
LENGTH = BLOCK * BLOCKS
MAX_STATUSES = 3  # in one block of at most lead_pipeline.BLOCK samples
ENOUGH = 0.6  # share of the stretch that must not be lost
FAINT_MV = 0.15  # a stretch within this is no fibrillation, but asystole

# Fibrillation has no complexes, so that neither it nor its slope is peaked, and is nearly a sine,
# so that half a period later it is upside down (the leakage of Kuo & Dillman's VF filter, Computers
# in Cardiology 1978). The weights of these features come from the model file, as (5,) in the order
# of `VfCoefficients`, the offset last.
LOWEST, HIGHEST = -3.0, 6.0  # the log odds are clipped to this

UNFILTERED = (
    320  # samples of signal before the filters: from an R peak to its confirmation, and a block
)
MEAN = 7  # of these, by which the mains' hum is taken out
HALF = 27  # samples (75 ms) before and after an R peak, by which the height of a beat is measured
FAINT_BEAT_MV = 0.08  # what is lower is no beat ...
FAINT_BEAT = 0.2  # ... nor what is lower than this share of the usual beat
REST_AFTER = (36, 57)  # samples after an R peak: where the line is flat there, ...
LAST_BEAT = 0.5  # ... no beat is lower than this share of the usual one
FORGET = 0.125  # weight of the newest beat in the usual height
LATELY = (
    12  # parts (3 s) whose range, with the baseline, decides whether a beat could be hidden: ...
)
HIDDEN_SHARE = 0.8  # ... when it is this share of the usual beat

SUMS = 7  # of a part: count, |x|, x^2, x^4, |slope|, slope^2, slope^4
STATE = np.dtype(
    [
        ("signal", "f4", (LENGTH,)),  # thinned, the newest last
        ("sums", "f8", (BLOCKS, SUMS)),
        ("low", "f8", (BLOCKS,)),
        ("high", "f8", (BLOCKS,)),
        ("bottom", "f8", (LATELY,)),  # extremes of the latest parts before the filters
        ("top", "f8", (LATELY,)),
        (
            "unfiltered",
            "f4",
            (UNFILTERED,),
        ),  # before the filters, whose high-pass makes a bump of a step
        ("beat_height", "f8"),  # running height of a beat in millivolt, 0 before the first
        ("last_beat", "i8"),  # R peak of the latest that was high enough, -1 for none
    ]
)
STATUS = np.dtype(
    [
        (
            "vf_log_odds",
            "f8",
        ),  # NaN where not computed anew, or too much is lost
        ("last_beat", "i8"),  # the latest beat's R peak, as far as confirmed, -1 for none
        (
            "beat_could_be_hidden",
            "i8",
        ),  # 1 where the signal moves so much that a beat may hide in it
    ]
)  # every STATUS_INTERVAL samples


class State(Protocol):
    """A record of dtype STATE."""

    signal: Floats
    sums: Doubles
    low: Doubles
    high: Doubles
    bottom: Doubles
    top: Doubles
    unfiltered: Floats
    beat_height: float
    last_beat: int


class Status(Protocol):
    """A record of dtype STATUS."""

    vf_log_odds: float
    last_beat: int
    beat_could_be_hidden: int


@compiled
def begin(s: State) -> None:
    """A signal of which nothing is known."""
    s.last_beat = -1
    forget_signal(s)


@compiled
def forget_signal(s: State) -> None:
    """All signal so far counts as lost."""
    s.signal[:] = np.nan
    s.unfiltered[:] = np.nan
    s.sums[:] = 0.0
    s.low[:] = np.inf
    s.high[:] = -np.inf
    s.bottom[:] = np.inf
    s.top[:] = -np.inf


@compiled
def next_status(start: int) -> int:
    """The first sample with a status, at ``start`` or later."""
    return start + STATUS_INTERVAL - 1 - start % STATUS_INTERVAL


@compiled
def push_unfiltered(s: State, signal: Doubles) -> None:
    """Append ``signal`` in millivolt, as before the filters, at most a lead's block of it."""
    stay = UNFILTERED - signal.size
    for i in range(stay):
        s.unfiltered[i] = s.unfiltered[i + signal.size]
    for i in range(signal.size):
        s.unfiltered[stay + i] = signal[i]


@compiled
def run(
    s: State,
    weights: Doubles,
    history: Doubles,
    start: int,
    end: int,
    found: Records[Detection],
    delay: int,
    statuses: Records[Status],
) -> int:
    """Write the ``statuses`` due from sample ``start`` to before ``end``; return how many.

    ``history``: filtered signal in millivolt, up to before sample ``end``; ``found``: the R peaks
    confirmed by these samples, ``delay`` samples behind those before the filters.
    """
    count, added = 0, 0
    for sample in range(next_status(start), end, STATUS_INTERVAL):
        while added < found.size and found[added].confirmed <= sample:
            _add_r_peak(s, found[added].r_peak - delay, found[added].confirmed, end)
            added += 1
        if (sample + 1) % PART == 0:
            last = end - sample - 1
            push_part(s, history[history.size - last - PART : history.size - last])
            _update_extremes(s, s.unfiltered[UNFILTERED - last - PART : UNFILTERED - last])
        _write_status(s, weights, sample, statuses[count])
        count += 1
    for k in range(added, found.size):
        _add_r_peak(s, found[k].r_peak - delay, found[k].confirmed, end)
    return count


@compiled
def _write_status(s: State, weights: Doubles, sample: int, status: Status) -> None:
    """Write the status at a sample."""
    status.last_beat = s.last_beat
    status.beat_could_be_hidden = s.top.max() - s.bottom.min() >= HIDDEN_SHARE * s.beat_height
    status.vf_log_odds = vf_log_odds(s, weights) if (sample + 1) % VF_INTERVAL == 0 else np.nan


@compiled
def _add_r_peak(s: State, r_peak: int, confirmed: int, end: int) -> None:
    """An R peak was ``confirmed``: it counts as a beat unless it is far lower than usual.

    Its height is that above, or below, both ends of the stretch round it. So a step has none, such
    as the one with which the signal breaks off. A P or T wave there has some: so where the line is
    flat after an R peak, it must be higher. What came after it was confirmed, which lost signal
    can do early, must not matter: it may or may not have come in the same block.
    """
    middle, up_to = UNFILTERED - (end - r_peak), s.unfiltered[: UNFILTERED - (end - confirmed) + 1]
    before, after = _level(up_to, middle - HALF), _level(up_to, middle + HALF)
    low, high = _extremes(up_to, middle - HALF, middle + HALF)
    height = max(high - max(before, after), min(before, after) - low)
    if np.isnan(height):  # next to lost signal
        return
    low, high = _extremes(up_to, middle + REST_AFTER[0], middle + REST_AFTER[1])
    share = LAST_BEAT if high - low < FAINT_BEAT_MV else FAINT_BEAT
    if height >= max(FAINT_BEAT_MV, share * s.beat_height):
        s.last_beat = r_peak
    s.beat_height += (FORGET if s.beat_height else 1.0) * (height - s.beat_height)


@compiled
def _extremes(x: Floats, start: int, end: int) -> tuple[float, float]:
    """The lowest and the highest level about the samples from ``start`` to ``end``."""
    low = high = _level(x, start)
    for i in range(start + 1, end + 1):
        level = _level(x, i)
        low = min(low, level)
        high = max(high, level)
    return low, high


@compiled
def _level(x: Floats, middle: int) -> float:
    """The mean of MEAN samples of ``x`` about the ``middle`` one; NaN beyond its end."""
    if middle + MEAN // 2 >= x.size:
        return np.nan
    total = 0.0
    for i in range(middle - MEAN // 2, middle + MEAN // 2 + 1):
        total += x[i]
    return total / MEAN


@compiled
def push_part(s: State, signal: Doubles) -> None:
    """Process the samples of a part: thin them, and sum them up."""
    for i in range(LENGTH - BLOCK):
        s.signal[i] = s.signal[i + BLOCK]
    for b in range(BLOCKS - 1):
        s.sums[b] = s.sums[b + 1]
        s.low[b] = s.low[b + 1]
        s.high[b] = s.high[b + 1]
    for i in range(BLOCK):
        at = i * THIN
        s.signal[LENGTH - BLOCK + i] = (signal[at] + signal[at + 1] + signal[at + 2]) / THIN
    _sum_up(s, s.signal[LENGTH - BLOCK - 1 :])


@compiled
def _update_extremes(s: State, x: Floats) -> None:
    """The extremes of the newest part before the filters, ``x``."""
    low, high = np.inf, -np.inf
    for value in x:
        low = min(low, value)  # a comparison with NaN leaves it
        high = max(high, value)
    for b in range(LATELY - 1):
        s.bottom[b] = s.bottom[b + 1]
        s.top[b] = s.top[b + 1]
    s.bottom[LATELY - 1] = low
    s.top[LATELY - 1] = high


@compiled
def _sum_up(s: State, x: Floats) -> None:
    """The sums of the newest part, ``x[1:]``."""
    count, level, squares, fourths = 0, 0.0, 0.0, 0.0
    slope, slope_squares, slope_fourths = 0.0, 0.0, 0.0
    low, high = np.inf, -np.inf
    for i in range(1, x.size):
        value = float(x[i])
        if np.isnan(value):
            continue
        count += 1
        level += abs(value)
        squares += value**2
        fourths += value**4
        low = min(low, value)
        high = max(high, value)
        step = value - float(x[i - 1])
        if not np.isnan(step):
            slope += abs(step)
            slope_squares += step**2
            slope_fourths += step**4
    sums = (float(count), level, squares, fourths, slope, slope_squares, slope_fourths)
    for k in range(len(sums)):
        s.sums[BLOCKS - 1, k] = sums[k]
    s.low[BLOCKS - 1] = low
    s.high[BLOCKS - 1] = high


@compiled
def _leakage(x: Floats, half: int) -> float:
    """How far ``x`` is from being upside down ``half`` a period later: 0 for a sine, up to 1."""
    left, whole = 0.0, 0.0
    for i in range(half, x.size):
        both = x[i] + x[i - half]
        if not np.isnan(both):
            left += abs(both)
            whole += abs(x[i]) + abs(x[i - half])
    return left / whole if whole > 0 else 1.0


@compiled
def features(s: State) -> tuple[float, float, float, float]:
    """Those that `VfCoefficients` weighs, up to the latest part; NaN where too much is lost.

    Of a faint stretch all are NaN but the first, which is infinite.
    """
    count, level, squares, fourths = 0.0, 0.0, 0.0, 0.0
    slope, slope_squares, slope_fourths, most = 0.0, 0.0, 0.0, 0.0
    for b in range(BLOCKS):
        block = s.sums[b]
        count += block[0]
        level += block[1]
        squares += block[2]
        fourths += block[3]
        slope += block[4]
        slope_squares += block[5]
        slope_fourths += block[6]
        most = max(most, block[5])
    if count < ENOUGH * LENGTH:
        return np.nan, np.nan, np.nan, np.nan
    if s.high.max() - s.low.min() < FAINT_MV or slope_squares <= 0.0:
        return np.inf, np.nan, np.nan, np.nan
    half = int(np.pi * level / slope + 0.5)
    return (
        np.log(count * fourths / squares**2),
        _leakage(s.signal, max(1, min(half, LENGTH // 3))),
        np.log(count * slope_fourths / slope_squares**2),
        np.log(BLOCKS * most / slope_squares),
    )


@compiled
def vf_log_odds(s: State, weights: Doubles) -> float:
    """Log odds of ventricular fibrillation; NaN where too much of the signal is lost."""
    parts = features(s)
    if np.isnan(parts[0]):
        return np.nan
    if np.isinf(parts[0]):
        return LOWEST
    total = weights[4]
    for k in range(4):
        total += weights[k] * parts[k]
    odds: float = min(max(total, LOWEST), HIGHEST)
    return odds
