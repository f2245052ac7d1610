"""A causal QRS detector. Push band-passed ECG, get R apexes; knows no lead, patient or clock.

The scheme is Hamilton & Tompkins' (IEEE Trans. Biomed. Eng. 33:1157, 1986) made causal: the mean of
the rectified 8-20 Hz band over 100 ms, its peaks held for 200 ms, a threshold between running
estimates of QRS and noise peaks, and a T-wave rule. Instead of their search-back, which confirms a
beat more than a second late, the threshold sinks while one is overdue. A T wave is dull for its own
height, not less steep than the QRS before it: so is a broad beat after a narrow one. In noise
the mean gives way to a matched filter; in clean signal an ectopic beat needs to be like no other.
A beat is confirmed less than 0.4 s after its apex. One sample at a time: no chunk, no boundary.
"""

import numpy as np

from beatgan.jit import compiled
from beatgan.signal import matched_filter
from beatgan.signal.filters import BandPass
from beatgan.types import Doubles, Record

RATE = 360  # Hz; the lengths below are samples at this rate
BAND_HZ = (8.0, 20.0)  # where a QRS stands out most from P, T and baseline
MEAN = 36
HOLD = 72  # a peak is one when nothing higher follows for this long
COMPLEX = 55  # a QRS lies within this far before the peak of its mean
LOOK_BACK, LOOK_AHEAD = 70, 10  # its apex too, but a pacing spike may stand before it
RISE_BACK = 28  # and no farther than this before the mean rose to half its peak
ALIKE = 0.5  # from this share of the larger on, an earlier opposite extreme draws the apex
T_WAVE = 130  # a peak this soon after a QRS may be its T wave ...
T_SHARPNESS = 0.22  # ... and is, where its steepness is less than this share of its extent
T_STEEPNESS = 0.3  # ... or than this share of that QRS's steepness
T_END = 160  # until here T waves, late ones of slow hearts too, set a threshold of their own
SHARE = 0.27  # of the way from noise to QRS level: the threshold while no beat is overdue
OVERDUE_SHARE = 0.10  # and when one has been overdue for half an interval
EARLY_NOISE = 3.0  # noise levels added for each interval that a peak comes before EARLY of one:
EARLY = 0.7  # where there is noise, most of what comes that early is noise
FLOOR_MV = 0.005  # no mean below this is a QRS
FORGET = 0.125  # weight of the newest value in running estimates
FIRST, QUICK = 8, 0.5  # and of the FIRST beats, as the very first may have been a P wave
SUNK, SINK = 0.25, 0.9  # and of what is below SUNK of the estimate: a burst of noise is over

STEP = 3  # samples between those that a second difference is taken of
LEAD_IN = (
    matched_filter.SHAPE + matched_filter.SLACK + 2 * STEP
)  # of signal before a peak whose shape is learnt
MATCHED_SHARE = 0.4  # the threshold's share of the QRS level where matching alone counts
LATEST = LOOK_BACK + HOLD  # from an apex to the sample that confirms it, at the most
RING = 256  # samples of past kept: more than LOOK_BACK + HOLD + MEAN; a power of two
LAST = RING - 1

STATE = np.dtype(
    [
        ("run", "i8"),  # samples since the last gap
        ("total", "f8"),  # sum of the MEAN latest rectified samples
        ("previous", "f8"),  # the height one sample ago
        ("peak", "f8"),  # the candidate: the highest rise of the height in the last HOLD samples
        ("peak_at", "i8"),  # its index, -1 for none
        ("qrs", "f8"),  # running height of QRS peaks
        ("t_wave", "f8"),  # running height of other peaks before T_END
        ("noise", "f8"),  # running height of other peaks that are no T waves
        ("rr", "f8"),  # running interval
        ("last", "i8"),  # the previous QRS peak, -1 for none since a gap
        ("steepness", "f8"),  # of the previous QRS
        ("beats", "i8"),
        ("usual", matched_filter.STATE),
        ("signal", "f4", (RING,)),
        ("rectified", "f4", (RING,)),
        ("means", "f4", (RING,)),
    ]
)
FOUND = np.dtype([("apex", "i8"), ("confirmed", "i8"), ("follows", "i8")])


@compiled
def begin(s: Record) -> None:
    """Make of a zeroed record of dtype STATE a signal of which nothing is known."""
    s.rr = 300.0
    s.peak_at = -1
    s.last = -1


@compiled
def _clear_signal(s: Record) -> None:
    """Forget the signal, keep what was learnt of the patient."""
    s.run = 0
    s.total = 0.0
    s.previous = 0.0
    s.peak = 0.0
    s.peak_at = -1
    s.last = -1
    s.rectified[:] = 0.0
    matched_filter.clear(s.usual)


@compiled
def _threshold(s: Record, since: int) -> float:
    """The height a peak must exceed, ``since`` samples after the last beat."""
    overdue = max(0.0, since / s.rr - 1.15) if s.last >= 0 else 0.0
    share = max(OVERDUE_SHARE, SHARE - (SHARE - OVERDUE_SHARE) * 2 * overdue)
    if overdue > 0.85:
        share = OVERDUE_SHARE * 0.5 ** (overdue - 0.85)
    share += s.usual.trust * (MATCHED_SHARE * 0.5**overdue - share)
    early = max(0.0, EARLY - since / s.rr) if s.last >= 0 else 0.0
    level: float = s.noise * (1 + EARLY_NOISE * early) + share * max(0.0, s.qrs - s.noise)
    if s.last >= 0 and since < T_END and s.usual.trust < 0.5:
        level = max(level, s.t_wave + share * max(0.0, s.qrs - s.t_wave))
    return max(FLOOR_MV, level)


@compiled
def _steepness(s: Record, start: int) -> float:
    """The largest rectified sample from ``start`` to the peak."""
    largest = 0.0
    for i in range(start, s.peak_at + 1):
        largest = max(largest, s.rectified[i & LAST])
    return largest


@compiled
def _extremes(s: Record, start: int, stop: int) -> tuple[int, int]:
    """The indices of the highest and the lowest sample from ``start`` to before ``stop``."""
    top = bottom = start
    high = low = s.signal[start & LAST]
    for i in range(start + 1, stop):
        value = s.signal[i & LAST]
        if value > high:
            top, high = i, value
        if value < low:
            bottom, low = i, value
    return top, bottom


@compiled
def _is_t_wave(s: Record, start: int, since: int, steepness: float) -> bool:
    """Whether the peak, ``since`` after a QRS, is too dull for one, broad ones included."""
    if s.last < 0 or since >= T_WAVE:
        return False
    top, bottom = _extremes(s, start, s.peak_at + 1)
    extent = s.signal[top & LAST] - s.signal[bottom & LAST]
    return bool(steepness < max(T_SHARPNESS * extent, T_STEEPNESS * s.steepness))


@compiled
def _rise(s: Record) -> int:
    """The index at which the mean rose to half its peak, at most LOOK_BACK before it."""
    i: int = s.peak_at
    half = 0.5 * s.means[i & LAST]
    while i > s.peak_at - LOOK_BACK and s.means[i & LAST] > half:
        i -= 1
    return i


@compiled
def _apex(s: Record, first: int) -> int:
    """The larger extreme of the QRS, or short of it towards an earlier one nearly as large.

    Of two alike now this is the larger, now that: the apex would jump from beat to beat. So the
    earlier, which cardiologists mostly mark, draws it the more the nearer it comes in height.
    """
    start = max(first, s.peak_at - LOOK_BACK, _rise(s) - RISE_BACK)
    top, bottom = _extremes(s, start, max(start, s.peak_at - LOOK_AHEAD) + 1)
    up, down = s.signal[top & LAST], -s.signal[bottom & LAST]
    alike = min(up, down) / max(up, down) if max(up, down) > 0 else 0.0
    drawn = max(0.0, (alike - ALIKE) / (1 - ALIKE))
    larger = top if up >= down else bottom
    return int(larger + drawn * (min(top, bottom) - larger) + 0.5)


@compiled
def _mean_peak(s: Record, first: int, now: int) -> float:
    """The highest mean near the peak, which matching may have put beside it."""
    highest = 0.0
    for i in range(
        max(first, s.peak_at - matched_filter.SLACK), min(now, s.peak_at + matched_filter.SLACK + 1)
    ):
        highest = max(highest, s.means[i & LAST])
    return highest


@compiled
def _learn_qrs(s: Record, steepness: float, since: int, height: float) -> None:
    """Take the peak, whose mean is ``height``, into the running estimates of a QRS."""
    since = matched_filter.between(s.usual, s.last, since)
    if s.last >= 0 and since < 2 * RATE:
        s.rr += FORGET * (min(max(since, 0.5 * s.rr), 1.6 * s.rr) - s.rr)
    if s.beats == 0:
        s.qrs = height
    weight = SINK if height < SUNK * s.qrs else QUICK if s.beats < FIRST else FORGET
    s.qrs += weight * (min(height, 2.5 * s.qrs) - s.qrs)
    s.beats += 1
    s.last = s.peak_at
    s.steepness = steepness


@compiled
def _learn_other(s: Record, since: int, t_wave: bool) -> None:
    """Take the peak into the running estimates of what is no QRS; a T wave tells no noise."""
    height = min(s.peak, s.qrs)
    if s.last >= 0 and since < T_END:
        s.t_wave += FORGET * (height - s.t_wave)
    if not t_wave:
        weight = QUICK if height < SUNK * s.noise else FORGET
        s.noise += weight * (height - s.noise)


@compiled
def _judge(s: Record, first: int, now: int, found: Record, count: int) -> int:
    """Decide whether the candidate peak is a QRS, from the samples ``first`` to before ``now``."""
    start = max(first, s.peak_at - COMPLEX)
    since = s.peak_at - s.last
    steepness = _steepness(s, start)
    t_wave = _is_t_wave(s, start, since, steepness)
    if s.peak > _threshold(s, since) and not t_wave:
        found[count].apex = _apex(s, first)
        found[count].confirmed = now
        found[count].follows = s.last >= 0
        count += 1
        if first + LEAD_IN <= s.peak_at < now - matched_filter.SLACK:
            matched_filter.learn(s.usual, s.peak_at)
        height = _mean_peak(s, first, now) if s.usual.trust > 0 else s.peak
        _learn_qrs(s, steepness, since, height)
    else:
        _learn_other(s, since, t_wave)
    s.peak = 0.0
    s.peak_at = -1
    return count


@compiled
def _remember(s: Record, i: int, band: float, sample: float) -> float:
    """Take sample ``i``; the mean of the rectified band."""
    value = np.float32(abs(band))
    s.total += np.float64(value) - np.float64(s.rectified[(i - MEAN) & LAST])
    s.rectified[i & LAST] = value
    s.signal[i & LAST] = sample
    if i & LAST == 0:  # what rounding a huge artefact has left in the running sum is forgotten
        s.total = np.float64(value)
        for j in range(RING - MEAN + 1, RING):
            s.total += s.rectified[j]
    mean: float = s.total * (1 / MEAN)
    s.means[i & LAST] = mean
    return mean


@compiled
def _height(s: Record, i: int, mean: float) -> float:
    """What is judged at ``i``: the mean, and in noise how like the usual QRS the signal is."""
    if s.run > 2 * STEP:
        before, middle = s.signal[(i - 2 * STEP) & LAST], s.signal[(i - STEP) & LAST]
        matched_filter.take(s.usual, i, s.signal[i & LAST] - 2 * middle + before)
    if s.usual.beats <= matched_filter.KNOWN:
        return mean
    matched_filter.listen(s.usual, mean, s.qrs, s.rr)
    if s.usual.trust == 0:
        return mean
    if s.run > LEAD_IN:
        matched_filter.watch(s.usual, i, mean, s.qrs, s.last, s.rr)
    return mean + float(s.usual.trust * (s.qrs * matched_filter.fit(s.usual, i) - mean))


@compiled
def run(band: Doubles, signal: Doubles, start: int, s: Record, found: Record) -> int:
    """Push samples ``start``, ``start + 1`` ... into ``s``; return how many beats that confirms.

    ``band`` is ``signal`` (mV) band-passed to BAND_HZ, both of shape (n,) at RATE, with NaN where
    lost; no beat is found in less than HOLD samples without. ``found``, of dtype FOUND and shape
    (2 * (n // HOLD + 1),) at least, gets the beats: the apex, the sample with which it became
    certain, LATEST later at the most, and whether the signal was whole since the apex before.
    """
    count = 0
    for k in range(band.size):
        i = start + k
        if np.isnan(band[k]):
            if s.peak_at >= 0 and s.run >= HOLD:  # no more will be known of it: decide now
                count = _judge(s, i - s.run, i, found, count)
            if s.run > 0:
                _clear_signal(s)
            continue
        s.run += 1
        height = _height(s, i, _remember(s, i, band[k], signal[k]))
        if height > s.previous and height > s.peak:
            s.peak = height
            s.peak_at = i
        s.previous = height
        if s.peak_at >= 0 and i - s.peak_at >= HOLD:
            count = _judge(s, i - s.run + 1, i, found, count)
    return count


class Detector:
    """R apexes of one lead's band-passed signal at ``RATE`` Hz; NaN marks lost samples."""

    def __init__(self) -> None:
        self._band = BandPass(RATE, *BAND_HZ)
        self._state = np.zeros(1, STATE)
        begin(self._state[0])

    def push(self, signal: Doubles, start: int) -> list[tuple[int, bool]]:
        """The apexes that ``signal``, whose first sample has index ``start``, confirms.

        Each is its index, and whether the signal was whole since the apex before it.
        """
        found = np.empty(2 * (signal.size // HOLD + 1), FOUND)
        count = run(self._band.push(signal), signal, start, self._state[0], found)
        return [(int(beat["apex"]), bool(beat["follows"])) for beat in found[:count]]
