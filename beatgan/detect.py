"""A causal QRS detector. Push band-passed ECG, get R apexes; knows no lead, patient or clock.

The scheme is Hamilton & Tompkins' (IEEE Trans. Biomed. Eng. 33:1157, 1986) made causal: the mean of
the rectified 8-20 Hz band over 100 ms, its peaks held for 200 ms, a threshold between running
estimates of QRS and noise peaks, and a T-wave rule. Instead of their search-back, which confirms
a beat more than a second late, the threshold sinks while a beat is overdue. A T wave is told by its
own shape, dull for its height, and not by being less steep than the QRS before it: so is a broad
beat after a narrow one. A beat is confirmed less than 0.4 s after its apex. One sample at a time:
no chunk, so no chunk boundary.
"""

import numpy as np

from beatgan.compiled import compiled
from beatgan.filters import BandPass
from beatgan.types import Bools, Doubles, Ints, Record

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
RING = 256  # samples of past kept: more than LOOK_BACK + HOLD + MEAN

STATE = np.dtype(
    [
        ("total", "f8"),  # sum of the MEAN latest rectified samples
        ("run", "i8"),  # samples since the last gap
        ("previous", "f8"),  # the mean one sample ago
        ("peak", "f8"),  # the candidate: the highest rise of the mean in the last HOLD samples
        ("peak_at", "i8"),  # its index, -1 for none
        ("qrs", "f8"),  # running height of QRS peaks
        ("t_wave", "f8"),  # running height of other peaks before T_END
        ("noise", "f8"),  # running height of other peaks that are no T waves
        ("rr", "f8"),  # running interval
        ("last", "i8"),  # the previous QRS peak, -1 for none since a gap
        ("steepness", "f8"),  # of the previous QRS
        ("beats", "i8"),
        ("signal", "f8", (RING,)),
        ("rectified", "f8", (RING,)),
        ("means", "f8", (RING,)),
    ]
)


@compiled
def _clear_signal(s: Record) -> None:
    """Forget the signal, keep what was learnt of the patient."""
    s.total = 0.0
    s.run = 0
    s.previous = 0.0
    s.peak = 0.0
    s.peak_at = -1
    s.last = -1
    for i in range(RING):
        s.rectified[i] = 0.0


@compiled
def _threshold(s: Record, since: int) -> float:
    """The height a peak must exceed, ``since`` samples after the last beat."""
    overdue = since / s.rr - 1.15 if s.last >= 0 else 0.0
    share = SHARE
    if overdue > 0:
        share = max(OVERDUE_SHARE, SHARE - (SHARE - OVERDUE_SHARE) * 2 * overdue)
    if overdue > 0.85:
        share = OVERDUE_SHARE * 0.5 ** (overdue - 0.85)
    early = max(0.0, EARLY - since / s.rr) if s.last >= 0 else 0.0
    level: float = s.noise * (1 + EARLY_NOISE * early) + share * max(0.0, s.qrs - s.noise)
    if s.last >= 0 and since < T_END:
        level = max(level, s.t_wave + share * max(0.0, s.qrs - s.t_wave))
    return max(FLOOR_MV, level)


@compiled
def _steepness(s: Record, start: int) -> float:
    """The largest rectified sample from ``start`` to the peak."""
    largest = 0.0
    for i in range(start, s.peak_at + 1):
        largest = max(largest, s.rectified[i % RING])
    return largest


@compiled
def _extremes(s: Record, start: int, stop: int) -> tuple[int, int]:
    """The indices of the highest and the lowest sample from ``start`` to before ``stop``."""
    top = start
    bottom = start
    for i in range(start + 1, stop):
        if s.signal[i % RING] > s.signal[top % RING]:
            top = i
        if s.signal[i % RING] < s.signal[bottom % RING]:
            bottom = i
    return top, bottom


@compiled
def _is_t_wave(s: Record, start: int, since: int, steepness: float) -> bool:
    """Whether the peak, ``since`` after a QRS, is too dull for one, broad ones included."""
    if s.last < 0 or since >= T_WAVE:
        return False
    top, bottom = _extremes(s, start, s.peak_at + 1)
    extent = s.signal[top % RING] - s.signal[bottom % RING]
    dull: bool = steepness < max(T_SHARPNESS * extent, T_STEEPNESS * s.steepness)
    return dull


@compiled
def _rise(s: Record) -> int:
    """The index at which the mean rose to half the peak, at most LOOK_BACK before it."""
    i: int = s.peak_at
    while i > s.peak_at - LOOK_BACK and s.means[i % RING] > 0.5 * s.peak:
        i -= 1
    return i


@compiled
def _apex(s: Record, first: int) -> int:
    """The larger extreme of the QRS, or short of it towards an earlier one nearly as large.

    Of an R and an S of nearly one height now this is the larger, now that: the apex would jump
    from beat to beat. So the earlier, which is what cardiologists mostly mark, draws it the more
    the nearer it comes to the later in height.
    """
    start = max(first, s.peak_at - LOOK_BACK, _rise(s) - RISE_BACK)
    top, bottom = _extremes(s, start, max(start, s.peak_at - LOOK_AHEAD) + 1)
    up, down = s.signal[top % RING], -s.signal[bottom % RING]
    alike = min(up, down) / max(up, down) if max(up, down) > 0 else 0.0
    drawn = max(0.0, (alike - ALIKE) / (1 - ALIKE))
    larger = top if up >= down else bottom
    return int(larger + drawn * (min(top, bottom) - larger) + 0.5)


@compiled
def _learn_qrs(s: Record, steepness: float, since: int) -> None:
    """Take the peak into the running estimates of a QRS."""
    if s.last >= 0 and since < 2 * RATE:
        s.rr += FORGET * (min(max(since, 0.5 * s.rr), 1.6 * s.rr) - s.rr)
    if s.beats == 0:
        s.qrs = s.peak
    s.qrs += FORGET * (min(s.peak, 2.5 * s.qrs) - s.qrs)
    s.beats += 1
    s.last = s.peak_at
    s.steepness = steepness


@compiled
def _learn_other(s: Record, since: int, t_wave: bool) -> None:
    """Take the peak into the running estimates of what is no QRS.

    T waves come with every beat, and say nothing of what else may be taken for a QRS.
    """
    height = min(s.peak, s.qrs)
    if s.last >= 0 and since < T_END:
        s.t_wave += FORGET * (height - s.t_wave)
    if not t_wave:
        s.noise += FORGET * (height - s.noise)


@compiled
def _judge(s: Record, first: int, apexes: Ints, follows: Bools, found: int) -> int:
    """Decide whether the candidate peak is a QRS; ``first``: the oldest sample since a gap."""
    start = max(first, s.peak_at - COMPLEX)
    since = s.peak_at - s.last
    steepness = _steepness(s, start)
    t_wave = _is_t_wave(s, start, since, steepness)
    if s.peak > _threshold(s, since) and not t_wave:
        apexes[found] = _apex(s, first)
        follows[found] = s.last >= 0
        found += 1
        _learn_qrs(s, steepness, since)
    else:
        _learn_other(s, since, t_wave)
    s.peak = 0.0
    s.peak_at = -1
    return found


@compiled
def _run(
    band: Doubles, signal: Doubles, start: int, s: Record, apexes: Ints, follows: Bools
) -> int:
    """Push samples ``start``, ``start + 1`` ...; write confirmed apexes, return how many."""
    found = 0
    for k in range(band.size):
        i = start + k
        if np.isnan(band[k]):
            if s.peak_at >= 0:  # nothing more will be known of the candidate: decide now
                found = _judge(s, i - s.run, apexes, follows, found)
            if s.run > 0:
                _clear_signal(s)
            continue
        s.run += 1
        value = abs(band[k])
        s.total += value - (s.rectified[(i - MEAN) % RING] if s.run > MEAN else 0.0)
        s.rectified[i % RING] = value
        s.signal[i % RING] = signal[k]
        mean = s.total / MEAN
        s.means[i % RING] = mean
        if mean > s.previous and mean > s.peak:
            s.peak = mean
            s.peak_at = i
        s.previous = mean
        if s.peak_at >= 0 and i - s.peak_at >= HOLD:
            found = _judge(s, i - s.run + 1, apexes, follows, found)
    return found


class Detector:
    """R apexes of one lead's band-passed signal at ``RATE`` Hz; NaN marks lost samples."""

    latest = LOOK_BACK + HOLD  # samples from an apex to its confirmation, at the most

    def __init__(self) -> None:
        self._band = BandPass(RATE, *BAND_HZ)
        self._state = np.zeros(1, STATE)
        self._state["rr"] = 300.0
        self._state["peak_at"] = self._state["last"] = -1

    def push(self, signal: Doubles, start: int) -> list[tuple[int, bool]]:
        """The apexes that ``signal``, whose first sample has index ``start``, confirms.

        Each is its index, and whether the signal was whole since the apex before it.
        """
        apexes = np.empty(signal.size + 1, np.int64)
        follows = np.empty(signal.size + 1, np.bool_)
        band = self._band.push(signal)
        count = _run(band, signal, start, self._state[0], apexes, follows)
        return [(int(apexes[i]), bool(follows[i])) for i in range(count)]
