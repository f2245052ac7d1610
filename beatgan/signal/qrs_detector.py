"""A causal QRS detector. Push band-passed ECG, get R peaks; knows no lead, patient or clock.

The scheme is Hamilton & Tompkins' (IEEE Trans. Biomed. Eng. 33:1157, 1986) made causal: the mean of
the rectified 8-20 Hz band over 100 ms, its peaks held for 200 ms, a threshold between running
estimates of QRS and noise peaks, and a T-wave rule. Instead of their search-back, which confirms a
beat more than a second late, the threshold sinks while one is overdue. A T wave is known by its low
steepness for its own height; a comparison with the QRS before it would reject a broad beat after a
narrow one. In noise a matched filter replaces the mean; in clean signal it has no weight, so that
an ectopic beat need not resemble any other. A beat is confirmed less than 0.4 s after its R peak.
One sample at a time, so that chunks leave no trace.
"""

from typing import Protocol

import numpy as np

from beatgan.jit import compiled
from beatgan.signal import matched_filter
from beatgan.signal.filters import BandPass
from beatgan.types import Doubles, Floats, Records

RATE = 360  # Hz; the lengths below are samples at this rate
BAND_HZ = (8.0, 20.0)  # where a QRS stands out most from P, T and baseline
MEAN = 36
HOLD = 72  # a peak is one when nothing higher follows for this long
QRS_BEFORE_PEAK = 55  # a QRS begins at most this far before the peak of its mean
LOOK_BACK, LOOK_AHEAD = 70, 10  # where its R peak is sought; a pacing spike may precede it
RISE_BACK = 28  # and no farther than this before the mean rose to half its peak
ALIKE = 0.5  # from this share of the larger on, an earlier opposite extreme moves the R peak
T_WAVE = 130  # a peak this soon after a QRS may be its T wave ...
T_SHARPNESS = 0.22  # ... and is, where its steepness is less than this share of its extent
T_STEEPNESS = 0.3  # ... or than this share of that QRS's steepness
T_LESS_SHARP = 0.80  # One as steep as a QRS is less sharp than the QRS before, by this, ...
CURVATURE = 4  # samples (11 ms) before and after a place, by which its curvature is taken
T_JITTER = 24  # ... follows it so constantly, in samples, ...
T_SHORTER = 1.25  # ... sooner by this than that QRS followed what was before it, ...
T_TIMES = 3  # ... and did so this often in a row
T_END = 160  # until here T waves, late ones of slow hearts too, set a threshold of their own
SHARE = 0.27  # of the way from noise to QRS level: the threshold while no beat is overdue
OVERDUE_SHARE = 0.10  # and when one has been overdue for half an interval
EARLY_NOISE = 3.0  # noise levels added for each interval that a peak comes before EARLY of one:
EARLY = 0.7  # where there is noise, most of what comes that early is noise
FLOOR_MV = 0.005  # no mean below this is a QRS
PROMINENCE = 1.25  # nor one that is not this far above the least mean near it: hum is even
PROMINENT = 5.0  # a rejected peak this far above it may have been a QRS, ...
OUTLIER = 8.0  # ... where a beat was the first, or so many times the level: an artefact, ...
DOUBTFUL = 1800  # ... after which the level is in doubt for so long (5 s);
RECOVERY = 330  # after so long without a beat then, rejected peaks show how high a QRS is, ...
RECOVERY_SHARE = 0.5  # ... of which this is the threshold
FORGET = 0.125  # weight of the newest value in running estimates
FIRST_BEATS, QUICK_FORGET = 8, 0.5  # the same for the first beats: the very first may be a P wave
FAR_BELOW, FAR_BELOW_FORGET = 0.25, 0.9  # and below this share of the estimate: a burst is over

TINY = 1e-9  # keeps ratios finite
STEP = 3  # samples between those that a second difference is taken of
LEAD_IN = (
    matched_filter.LENGTH + matched_filter.REACH + 2 * STEP
)  # samples of signal before a peak that the matched filter's template is formed from
MATCHED_SHARE = 0.4  # the threshold's share of the QRS level where matching alone counts
MAX_DELAY = LOOK_BACK + HOLD  # samples from an R peak to the one that confirms it, at most
RING = 256  # samples of past kept: more than LOOK_BACK + HOLD + MEAN; a power of two
RING_MASK = RING - 1

STATE = np.dtype(
    [
        ("samples_since_gap", "i8"),  # samples since the last gap
        ("rectified_sum", "f8"),  # sum of the MEAN latest rectified samples
        ("previous_signal", "f8"),  # the detection signal one sample ago
        ("peak", "f8"),  # the candidate: highest detection signal in the last HOLD samples
        ("peak_index", "i8"),  # its index, -1 for none
        ("qrs_level", "f8"),  # running height of QRS peaks of the detection signal
        ("t_wave_level", "f8"),  # running height of other peaks before T_END
        ("noise_level", "f8"),  # running height of other peaks that are no T waves
        ("rr_interval", "f8"),  # running, in samples
        ("last_peak", "i8"),  # the previous QRS peak, -1 for none since a gap
        ("qrs_steepness", "f8"),  # of the previous QRS
        ("qrs_sharpness", "f8"),  # its largest curvature as a share of its extent
        ("previous_interval", "i8"),  # samples from the QRS peak before the previous one to that
        ("doubtful_until", "i8"),  # a QRS from this index on ends doubt about the level, 0 for none
        ("rejected", "f8"),  # the highest prominent peak since, T waves apart, 0 for none
        ("t_interval", "f8"),  # running, from a QRS to the T wave that is as steep
        ("t_count", "i8"),  # QRS complexes in a row that had one
        ("t_seen", "i8"),  # 1 where the previous one had
        ("beat_count", "i8"),
        ("matched", matched_filter.STATE),
        ("signal", "f4", (RING,)),
        ("rectified", "f4", (RING,)),
        ("means", "f4", (RING,)),
    ]
)
DETECTION = np.dtype(
    [
        ("r_peak", "i8"),  # sample
        ("confirmed", "i8"),  # the sample with which it became certain
        ("contiguous", "i8"),  # 1 where no sample was lost since the R peak before
    ]
)


class State(Protocol):
    """A record of dtype STATE."""

    samples_since_gap: int
    rectified_sum: float
    previous_signal: float
    peak: float
    peak_index: int
    qrs_level: float
    t_wave_level: float
    noise_level: float
    rr_interval: float
    last_peak: int
    qrs_steepness: float
    qrs_sharpness: float
    previous_interval: int
    doubtful_until: int
    rejected: float
    t_interval: float
    t_count: int
    t_seen: int
    beat_count: int
    matched: matched_filter.State
    signal: Floats
    rectified: Floats
    means: Floats


class Detection(Protocol):
    """A record of dtype DETECTION."""

    r_peak: int
    confirmed: int
    contiguous: int


@compiled
def begin(s: State) -> None:
    """Make of a zeroed record of dtype STATE a signal of which nothing is known."""
    s.rr_interval = 300.0
    s.peak_index = -1
    s.last_peak = -1


@compiled
def _clear_signal(s: State) -> None:
    """Forget the signal; what is known of the patient stays."""
    s.samples_since_gap = 0
    s.rectified_sum = 0.0
    s.previous_signal = 0.0
    s.peak = 0.0
    s.peak_index = -1
    s.last_peak = -1
    s.previous_interval = 0
    s.rejected = 0.0
    s.t_seen = 0
    s.rectified[:] = 0.0
    matched_filter.clear(s.matched)


@compiled
def _threshold(s: State, since: int) -> float:
    """The height a peak must exceed, ``since`` samples after the last beat."""
    overdue = max(0.0, since / s.rr_interval - 1.15) if s.last_peak >= 0 else 0.0
    share = max(OVERDUE_SHARE, SHARE - (SHARE - OVERDUE_SHARE) * 2 * overdue)
    if overdue > 0.85:
        share = OVERDUE_SHARE * 0.5 ** (overdue - 0.85)
    share += s.matched.mf_weight * (MATCHED_SHARE * 0.5**overdue - share)
    early = max(0.0, EARLY - since / s.rr_interval) if s.last_peak >= 0 else 0.0
    level: float = s.noise_level * (1 + EARLY_NOISE * early) + share * max(
        0.0, s.qrs_level - s.noise_level
    )
    if s.last_peak >= 0 and since < T_END and s.matched.mf_weight < 0.5:
        level = max(level, s.t_wave_level + share * max(0.0, s.qrs_level - s.t_wave_level))
    if s.doubtful_until > 0 and since > RECOVERY and s.rejected > 0:
        level = min(level, RECOVERY_SHARE * s.rejected)
    return max(FLOOR_MV, level)


@compiled
def _steepness(s: State, start: int) -> float:
    """The largest rectified sample from ``start`` to the peak."""
    largest = 0.0
    for i in range(start, s.peak_index + 1):
        largest = max(largest, s.rectified[i & RING_MASK])
    return largest


@compiled
def _extremes(s: State, start: int, stop: int) -> tuple[int, int]:
    """The indices of the highest and the lowest sample from ``start`` to before ``stop``."""
    top = bottom = start
    high = low = s.signal[start & RING_MASK]
    for i in range(start + 1, stop):
        value = s.signal[i & RING_MASK]
        if value > high:
            top, high = i, value
        if value < low:
            bottom, low = i, value
    return top, bottom


@compiled
def _extent(s: State, start: int) -> float:
    """The largest sample less the smallest, from ``start`` to the peak."""
    top, bottom = _extremes(s, start, s.peak_index + 1)
    return float(s.signal[top & RING_MASK] - s.signal[bottom & RING_MASK])


@compiled
def _sharpness(s: State, start: int, extent: float) -> float:
    """The largest curvature from ``start`` to the peak, as a share of its ``extent``."""
    largest = 0.0
    for i in range(start + 2 * CURVATURE, s.peak_index + 1):
        before, after = s.signal[(i - 2 * CURVATURE) & RING_MASK], s.signal[i & RING_MASK]
        largest = max(largest, abs(before - 2 * s.signal[(i - CURVATURE) & RING_MASK] + after))
    return largest / max(extent, FLOOR_MV)


@compiled
def _is_t_wave(s: State, since: int, steepness: float, extent: float) -> bool:
    """Whether the peak, ``since`` after a QRS, is too little steep for one, be it broad."""
    if s.last_peak < 0 or since >= T_WAVE:
        return False
    return bool(steepness < max(T_SHARPNESS * extent, T_STEEPNESS * s.qrs_steepness))


@compiled
def _is_steep_t_wave(s: State, since: int, sharpness: float) -> bool:
    """Whether the peak, steep as it is, is what every QRS has had after it lately: a T wave.

    One by itself may be a ventricular beat. So is the second of each pair in bigeminy, but it comes
    later than T_WAVE. In a tachycardia each beat is as sharp as the one before.
    """
    if s.last_peak < 0 or since >= T_WAVE or sharpness >= T_LESS_SHARP * s.qrs_sharpness:
        return False
    if s.previous_interval > 0 and s.previous_interval < T_SHORTER * since:
        return False
    if abs(since - s.t_interval) <= T_JITTER:
        s.t_count = min(s.t_count + 1, 2 * T_TIMES)
        s.t_interval += FORGET * (since - s.t_interval)
    else:
        s.t_count = 1
        s.t_interval = since
    s.t_seen = 1
    return s.t_count > T_TIMES


@compiled
def _update_t_count(s: State, since: int) -> None:
    """A QRS was found ``since`` after the one before: had that a T wave as steep?"""
    if since < T_WAVE:
        return
    if not s.t_seen:
        s.t_count = max(0, s.t_count - 1)
    s.t_seen = 0


@compiled
def _least_mean(s: State, first: int, now: int) -> float:
    """The least mean from half a second before the peak to before ``now``."""
    least = np.inf
    for i in range(max(first, s.peak_index - RATE // 2), now):
        least = min(least, s.means[i & RING_MASK])
    return least


@compiled
def _rise(s: State) -> int:
    """The index at which the mean rose to half its peak, at most LOOK_BACK before it."""
    i: int = s.peak_index
    half = 0.5 * s.means[i & RING_MASK]
    while i > s.peak_index - LOOK_BACK and s.means[i & RING_MASK] > half:
        i -= 1
    return i


@compiled
def _locate_r_peak(s: State, first: int) -> int:
    """The larger extreme of the QRS, moved towards an earlier one that is nearly as large.

    Of two similar extremes now one is larger, now the other: the R peak would jump from beat to
    beat. So the earlier, which cardiologists mostly mark, moves it the more, the more similar they
    are in height.
    """
    start = max(first, s.peak_index - LOOK_BACK, _rise(s) - RISE_BACK)
    top, bottom = _extremes(s, start, max(start, s.peak_index - LOOK_AHEAD) + 1)
    up, down = s.signal[top & RING_MASK], -s.signal[bottom & RING_MASK]
    alike = min(up, down) / max(up, down) if max(up, down) > 0 else 0.0
    drawn = max(0.0, (alike - ALIKE) / (1 - ALIKE))
    larger = top if up >= down else bottom
    # The shift alone is a float: an index may be too large for one.
    return larger + int(np.floor(drawn * (min(top, bottom) - larger) + 0.5))


@compiled
def _mean_peak(s: State, first: int, now: int) -> float:
    """The highest mean near the peak, which the matched filter may have moved off it."""
    highest = 0.0
    for i in range(
        max(first, s.peak_index - matched_filter.REACH),
        min(now, s.peak_index + matched_filter.REACH + 1),
    ):
        highest = max(highest, s.means[i & RING_MASK])
    return highest


@compiled
def _update_qrs_level(s: State, steepness: float, since: int, height: float) -> None:
    """Take the peak, whose mean is ``height``, into the running estimates of the QRS."""
    since = matched_filter.corrected_interval(s.matched, s.last_peak, since)
    if s.last_peak >= 0 and since < 2 * RATE:
        s.rr_interval += FORGET * (
            min(max(since, 0.5 * s.rr_interval), 1.6 * s.rr_interval) - s.rr_interval
        )
    if s.beat_count < FIRST_BEATS and height > OUTLIER * s.qrs_level:
        s.doubtful_until = s.peak_index + DOUBTFUL
    elif s.peak_index < s.doubtful_until:
        s.noise_level = min(s.noise_level, RECOVERY_SHARE * height)
    else:
        s.doubtful_until = 0
    if s.beat_count == 0:
        s.qrs_level = height
    weight = (
        FAR_BELOW_FORGET
        if height < FAR_BELOW * s.qrs_level
        else QUICK_FORGET
        if s.beat_count < FIRST_BEATS
        else FORGET
    )
    s.qrs_level += weight * (min(height, 2.5 * s.qrs_level) - s.qrs_level)
    s.beat_count += 1
    if s.last_peak >= 0:
        s.previous_interval = s.peak_index - s.last_peak
    s.last_peak = s.peak_index
    s.qrs_steepness = steepness
    s.rejected = 0.0


@compiled
def _update_noise_level(s: State, since: int, t_wave: bool) -> None:
    """Take the peak into the running levels of other peaks; a T wave is no noise."""
    height = min(s.peak, s.qrs_level)
    if s.last_peak >= 0 and since < T_END:
        s.t_wave_level += FORGET * (height - s.t_wave_level)
    if not t_wave:
        weight = QUICK_FORGET if height < FAR_BELOW * s.noise_level else FORGET
        s.noise_level += weight * (height - s.noise_level)


@compiled
def _classify_peak(s: State, first: int, now: int, found: Records[Detection], count: int) -> int:
    """Decide whether the candidate peak is a QRS, from the samples ``first`` to before ``now``."""
    start = max(first, s.peak_index - QRS_BEFORE_PEAK)
    since = s.peak_index - s.last_peak
    steepness, extent = _steepness(s, start), _extent(s, start)
    sharpness = _sharpness(s, start, extent)
    t_wave = _is_t_wave(s, since, steepness, extent)
    height = _mean_peak(s, first, now) if s.matched.mf_weight > 0 else s.peak
    prominence = height / max(_least_mean(s, first, now), TINY)
    high = s.peak > _threshold(s, since) and prominence >= PROMINENCE
    if high and not t_wave and not _is_steep_t_wave(s, since, sharpness):
        found[count].r_peak = _locate_r_peak(s, first)
        found[count].confirmed = now
        found[count].contiguous = s.last_peak >= 0
        count += 1
        if first + LEAD_IN <= s.peak_index < now - matched_filter.REACH:
            matched_filter.update_template(s.matched, s.peak_index)
        _update_t_count(s, since)
        _update_qrs_level(s, steepness, since, height)
        s.qrs_sharpness = sharpness
    else:
        _update_noise_level(s, since, t_wave)
        if prominence >= PROMINENT and since >= T_END and not t_wave:
            s.rejected = max(s.rejected, s.peak)
    s.peak = 0.0
    s.peak_index = -1
    return count


@compiled
def _update_mean(s: State, i: int, band: float, sample: float) -> float:
    """Take sample ``i``; returns the mean of the rectified band."""
    value = np.float32(abs(band))
    s.rectified_sum += np.float64(value) - np.float64(s.rectified[(i - MEAN) & RING_MASK])
    s.rectified[i & RING_MASK] = value
    s.signal[i & RING_MASK] = sample
    if i & RING_MASK == 0:  # so that rounding errors of a huge artefact do not stay
        s.rectified_sum = np.float64(value)
        for j in range(RING - MEAN + 1, RING):
            s.rectified_sum += s.rectified[j]
    mean: float = s.rectified_sum * (1 / MEAN)
    s.means[i & RING_MASK] = mean
    return mean


@compiled
def _detection_signal(s: State, i: int, mean: float) -> float:
    """The detection signal at ``i``: the mean, and in noise the matched filter too."""
    if s.samples_since_gap > 2 * STEP:
        before, middle = s.signal[(i - 2 * STEP) & RING_MASK], s.signal[(i - STEP) & RING_MASK]
        matched_filter.push(s.matched, i, s.signal[i & RING_MASK] - 2 * middle + before)
    if s.matched.beat_count <= matched_filter.MIN_BEATS:
        return mean
    matched_filter.update_noise(s.matched, mean, s.qrs_level, s.rr_interval)
    if s.matched.mf_weight == 0:
        return mean
    if s.samples_since_gap > LEAD_IN:
        matched_filter.watch_rejected_peak(
            s.matched, i, mean, s.qrs_level, s.last_peak, s.rr_interval
        )
    return mean + float(
        s.matched.mf_weight * (s.qrs_level * matched_filter.match(s.matched, i) - mean)
    )


@compiled
def run(band: Doubles, signal: Doubles, start: int, s: State, found: Records[Detection]) -> int:
    """Push samples ``start``, ``start + 1`` ... into ``s``; return how many beats that confirms.

    ``band`` is ``signal`` (mV) band-passed to BAND_HZ, both of shape (n,) at RATE, with NaN where
    lost; no beat is found in less than HOLD samples without. ``found``, at least
    2 * (n // HOLD + 1) records, gets the beats, each confirmed at most MAX_DELAY samples late.
    """
    count = 0
    for k in range(band.size):
        i = start + k
        if np.isnan(band[k]):
            if s.peak_index >= 0 and s.samples_since_gap >= HOLD:  # no more will be known of it
                count = _classify_peak(s, i - s.samples_since_gap, i, found, count)
            if s.samples_since_gap > 0:
                _clear_signal(s)
            continue
        s.samples_since_gap += 1
        level = _detection_signal(s, i, _update_mean(s, i, band[k], signal[k]))
        if level > s.previous_signal and level > s.peak:
            s.peak = level
            s.peak_index = i
        s.previous_signal = level
        if s.peak_index >= 0 and i - s.peak_index >= HOLD:
            count = _classify_peak(s, i - s.samples_since_gap + 1, i, found, count)
    return count


class Detector:
    """R peaks of one lead's band-passed signal at ``RATE`` Hz; NaN marks lost samples."""

    def __init__(self) -> None:
        self._band = BandPass(RATE, *BAND_HZ)
        self._state = np.zeros(1, STATE)
        begin(self._state[0])

    def push(self, signal: Doubles, start: int) -> list[tuple[int, bool]]:
        """The R peaks that ``signal``, whose first sample has index ``start``, confirms.

        Each is its index, and whether no sample was lost since the R peak before it.
        """
        found = np.empty(2 * (signal.size // HOLD + 1), DETECTION)
        count = run(self._band.push(signal), signal, start, self._state[0], found)
        return [(int(beat["r_peak"]), bool(beat["contiguous"])) for beat in found[:count]]
