"""Which of the waves that a lead's detector found are beats, and whether one could be hidden.

A detector must not miss a beat, so it finds P waves, artefacts and pacing spikes, too. Here each is
held against the usual height of a beat, in the signal before the filters, whose high-pass makes a
bump of a step. Knows no other lead, no clock and no alarm. Lengths at 360 Hz.
"""

from typing import Protocol

import numpy as np

from beatgan.jit import compiled
from beatgan.signal import pacing_spikes
from beatgan.signal.latest_samples import BLOCK
from beatgan.types import Doubles, Floats

UNFILTERED = 192 + BLOCK  # samples of signal kept: from an R peak to its confirmation, and a block
MEAN = 7  # of these, by which the mains' hum is taken out
HALF = 27  # samples (75 ms) before and after an R peak, by which the height of a beat is measured
FAINT_BEAT_MV = 0.08  # what is lower is no beat ...
FAINT_BEAT = 0.2  # ... nor what is lower than this share of the usual beat
REST_AFTER = (36, 57)  # samples after an R peak: where the line is flat there, ...
LAST_BEAT = 0.5  # ... no beat is lower than this share of the usual one

# The usual height, which an artefact that was taken for a beat may have made too large.
FORGET = 0.125  # weight of the newest wave in it
MAX_RISE = 1.5  # of it: a single wave counts for no more
STEADY_WITHIN = 2.0  # factor within which a wave is of about the usual height, ...
STEADY, MAX_STEADY = 6, 20  # ... and how many of these more than others make it sure, at most
SURE_BEAT_MV = 0.25  # before that, no P wave is so high, ...
FIRST_WAVES = 8  # ... and these may have been an artefact, whatever follows
ALIKE_BEATS = 3  # so many low waves in a row that are steep and of one height are beats, ...
ALIKE = 1.5  # ... where each is within this factor of the one before
SHARP = 0.47  # of its height: the swing of a narrow QRS; that of a P wave is less

# A swing is a difference of two means, see `_swings`.
STEEP = 6  # samples (17 ms) of each mean
CAPTURED_SWING = 0.12  # of the usual height: what follows a pacing spike is a beat, ...
MIN_CAPTURED_MV = 0.06  # ... where it is this, too, ...
RETURN = 0.4  # ... and goes back by this share of it
AFTER_SPIKE = 8  # samples (22 ms) after which a pacing spike's own decay is nearly over
SPIKE_DECAY = 36  # samples (0.1 s) after it in which what it leaves may be steep
MIN_SWING_MV = 0.12  # a QRS that was not found has such a swing, ...
SWING_OVER_USUAL = 4.0  # ... and so many times what the median part has;
HIDDEN_SWINGS = 2  # so many among the latest parts are beats

PART = 90  # samples whose extremes are taken at once
LATELY = 12  # parts (3 s) whose range, with the baseline, decides whether a beat could be hidden:
HIDDEN_SHARE = 0.8  # when it is this share of the usual height

STATE = np.dtype(
    [
        ("unfiltered", "f4", (UNFILTERED,)),  # the latest, in millivolt, without pacing spikes ...
        ("unfiltered_size", "i8"),  # ... and how many these are
        ("bottom", "f8", (LATELY,)),  # the lowest sample of each of the latest parts
        ("top", "f8", (LATELY,)),  # the highest
        ("swing", "f8", (LATELY,)),  # the largest
        ("beat_height", "f8"),  # the usual one, a running mean in millivolt, 0 before the first
        ("previous_height", "f8"),  # that of the latest wave, whatever it was
        ("low_height", "f8"),  # that of the latest steep wave that was too low for a beat
        ("low_count", "i8"),  # how many in a row were alike
        ("wave_count", "i8"),  # how many waves there were, up to FIRST_WAVES
        ("steady_count", "i8"),  # waves of about the usual height, less the others
        ("last_beat", "i8"),  # R peak of the latest that was high enough, -1 for none
    ]
)


class State(Protocol):
    """A record of dtype STATE."""

    unfiltered: Floats
    unfiltered_size: int
    bottom: Doubles
    top: Doubles
    swing: Doubles
    beat_height: float
    previous_height: float
    low_height: float
    low_count: int
    wave_count: int
    steady_count: int
    last_beat: int


@compiled
def begin(s: State) -> None:
    """A signal of which nothing is known."""
    s.last_beat = -1
    forget_signal(s)


@compiled
def forget_signal(s: State) -> None:
    """All signal so far counts as lost."""
    s.unfiltered[:] = np.nan
    s.unfiltered_size = UNFILTERED
    s.bottom[:] = np.inf
    s.top[:] = -np.inf
    s.swing[:] = 0.0


@compiled
def push_part(s: State, spikes: pacing_spikes.State, sample: int, end: int) -> None:
    """Take the extremes and the swing of the part that ends with ``sample``.

    ``end``: index after the latest sample pushed. A part with a pacing spike, or after one, has no
    swing, as the spike may leave a steep decay; nor extremes, unless they are a beat's.
    """
    spikes_until = sample + 1 - pacing_spikes.DELAY
    first = spikes_until - PART - SPIKE_DECAY
    paced = pacing_spikes.last_spike(spikes, first, spikes_until) >= 0
    x = s.unfiltered[: s.unfiltered_size - (end - sample - 1)]
    steep = x[x.size - PART - 2 * STEEP :]
    low, high = np.inf, -np.inf
    if not paced or _is_beat_like(s, steep):
        for value in x[x.size - PART :]:
            low = min(low, value)  # a comparison with NaN leaves it
            high = max(high, value)
    for b in range(LATELY - 1):
        s.bottom[b] = s.bottom[b + 1]
        s.top[b] = s.top[b + 1]
        s.swing[b] = s.swing[b + 1]
    s.bottom[LATELY - 1] = low
    s.top[LATELY - 1] = high
    s.swing[LATELY - 1] = 0.0 if paced else max(*_swings(steep))


@compiled
def could_be_hidden(s: State) -> bool:
    """Whether the signal moves so much, or has such waves, that a beat may hide in it."""
    moves_much = s.top.max() - s.bottom.min() >= HIDDEN_SHARE * s.beat_height
    return moves_much or _has_hidden_beats(s)


@compiled
def _has_hidden_beats(s: State) -> bool:
    """Whether there were steep waves lately that stand out like QRS complexes."""
    least = max(MIN_SWING_MV, SWING_OVER_USUAL * np.median(s.swing))
    count, before = 0, False
    for swing in s.swing:
        count += swing >= least and not before
        before = swing >= least
    return count >= HIDDEN_SWINGS


@compiled
def add_r_peak(
    s: State, spikes: pacing_spikes.State, r_peak: int, confirmed: int, end: int
) -> None:
    """A wave's R peak was ``confirmed``: it is a beat unless it is far lower than usual.

    Its height is that above, or below, both ends of the stretch round it. So a step has none, such
    as the one with which the signal breaks off. A P or T wave there has some: so where the line is
    flat after an R peak, it must be higher. What came after it was confirmed, which lost signal
    can do early, must not matter: it may or may not have come in the same block.
    """
    up_to = s.unfiltered[: s.unfiltered_size - (end - confirmed) + 1]
    middle = _place(s, r_peak, end)
    spike = pacing_spikes.spike_near(spikes, r_peak)
    if spike >= 0:
        middle = _largest_after(up_to, _place(s, spike, end))
    before, after = _level(up_to, middle - HALF), _level(up_to, middle + HALF)
    low, high = _extremes(up_to, middle - HALF, middle + HALF)
    height = max(high - max(before, after), min(before, after) - low)
    if np.isnan(height):  # next to lost signal
        return
    low, high = _extremes(up_to, middle + REST_AFTER[0], middle + REST_AFTER[1])
    share = LAST_BEAT if high - low < FAINT_BEAT_MV else FAINT_BEAT
    if height < FAINT_BEAT_MV:
        is_beat = False
    elif height >= share * s.beat_height:
        is_beat = True
        s.low_count = 0
    else:
        swing = max(*_swings(up_to[middle - HALF - STEEP : middle + HALF + STEEP]))
        is_beat = _is_low_beat(s, height, swing)
    if is_beat:
        s.last_beat = r_peak
    _update_beat_height(s, height)


@compiled
def _is_low_beat(s: State, height: float, swing: float) -> bool:
    """Whether a wave too low for a beat is one, and the usual height not that of a beat.

    So it is after an artefact that was taken for beats: several low waves are alike, or there were
    no alike beats yet. P waves without a QRS are not so steep.
    """
    if swing < SHARP * height and (s.steady_count >= STEADY or height < SURE_BEAT_MV):
        return False
    if s.steady_count < STEADY and (height >= SURE_BEAT_MV or s.wave_count < FIRST_WAVES):
        return True
    alike = s.low_height / ALIKE <= height <= s.low_height * ALIKE
    s.low_count = s.low_count + 1 if alike and s.low_count > 0 else 1
    s.low_height = height
    if s.low_count < ALIKE_BEATS:
        return False
    s.low_count = 0
    s.beat_height = height
    return True


@compiled
def _update_beat_height(s: State, height: float) -> None:
    """Take the height of a wave into the usual height: a single high one hardly counts."""
    if s.beat_height == 0.0:
        s.beat_height = height
    s.wave_count = min(s.wave_count + 1, FIRST_WAVES)
    steady = s.beat_height / STEADY_WITHIN <= height <= s.beat_height * STEADY_WITHIN
    s.steady_count = min(s.steady_count + 1, MAX_STEADY) if steady else max(s.steady_count - 1, 0)
    most = max(MAX_RISE * s.beat_height, s.previous_height)
    s.beat_height += FORGET * (min(height, most) - s.beat_height)
    s.previous_height = height


@compiled
def is_captured(s: State, spike: int, confirmed: int, end: int) -> bool:
    """Whether a beat follows the pacing spike at ``spike``, by what was known by ``confirmed``.

    ``end``: index after the latest sample pushed. Where too little of the signal is left to say
    so, it counts as one.
    """
    start = _place(s, spike, end) + AFTER_SPIKE
    after = s.unfiltered[max(0, start) : s.unfiltered_size - (end - confirmed) + 1]
    return after.size < 4 * STEEP or _is_beat_like(s, after)


@compiled
def _is_beat_like(s: State, x: Floats) -> bool:
    """Whether ``x``, after a pacing spike, has a beat.

    A beat rises and falls; what the spike leaves behind decays to one side.
    """
    least = max(MIN_CAPTURED_MV, CAPTURED_SWING * s.beat_height)
    rise, fall = _swings(x)
    return bool(max(rise, fall) >= least and min(rise, fall) >= RETURN * least)


@compiled
def _place(s: State, sample: int, end: int) -> int:
    """Where ``sample`` is in the unfiltered signal, which ends before ``end``, and is late."""
    return s.unfiltered_size - (end - sample) + pacing_spikes.DELAY


@compiled
def _largest_after(x: Floats, spike: int) -> int:
    """The place of the largest departure from the level at ``spike`` among the samples after it."""
    level, largest, place = _level(x, spike - HALF), -1.0, spike
    for i in range(spike + AFTER_SPIKE, min(spike + AFTER_SPIKE + HALF, x.size - HALF)):
        away = abs(_level(x, i) - level)
        if away > largest:
            largest, place = away, i
    return place


@compiled
def _swings(x: Floats) -> tuple[float, float]:
    """How far ``x`` rises and falls: the largest differences of the means of STEEP samples and of
    the STEEP before, of either sign."""
    rise = fall = 0.0
    if x.size < 2 * STEEP:
        return rise, fall
    change = 0.0
    for i in range(STEEP):
        change += float(x[STEEP + i]) - float(x[i])
    for i in range(2 * STEEP, x.size + 1):
        rise, fall = max(rise, change), max(fall, -change)  # a comparison with NaN leaves it
        if i < x.size:
            change += float(x[i]) - 2 * float(x[i - STEEP]) + float(x[i - 2 * STEEP])
    return rise / STEEP, fall / STEEP


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
