"""The patient's usual QRS as a matched filter, which the detector weighs in where there is noise.

Works on second differences of one lead, which electrode motion hardly has; knows no R peak and no
threshold. The matched filter is Turin's (IRE Trans. Inf. Theory 6:311, 1960). A QRS that changes is
not lost: peaks that the detector rejected form an alternate template, which counts too once several
were similar, as noise is not. One sample at a time, lengths at the detector's rate.
"""

from typing import Protocol

import numpy as np

from beatgan.jit import compiled
from beatgan.types import Floats

LENGTH = 64  # samples of the template, which ends at the peak of the detection signal
REACH = 10  # it may be aligned this far beside that peak
MIN_BEATS = 8  # beats after which it counts
FLOOR_QUANTILE = 0.37  # the share of samples below the noise floor and the noise power
FLOOR_STEP = 0.0007  # how much of the QRS level these move in a sample
NOISY_FROM, NOISY_FULL = 0.12, 0.23  # floor / QRS level where matching begins to count, and fully
MAX_WEIGHT = 0.98  # its share in the detection signal then
POWER_FROM, POWER_FULL = 0.15, 0.6  # noise power / QRS power where it counts less, and no more
SPAN = 256  # samples whose lowest detection signal is compared with that of the span before
VARIATION_FROM, VARIATION_FULL = 0.012, 0.025  # its change / QRS level: noise begins, is certain
MAX_CHANGE = 0.1  # of the QRS level: no change counts for more
VARIATION_FORGET = 0.2  # the weight of the newest change
SIMILAR_FROM, SIMILAR_FULL = 0.5, 0.75  # similarity of beats where the shape begins to count, fully
INTERVAL_FROM, INTERVAL_FULL = 160, 200  # RR intervals: in shorter ones QRS complexes hide noise
MAX_MATCH = 1.3  # times the template: no match is better
FORGET, MIN_FORGET = 0.1, 0.01  # weight of a beat just like the template, and of any beat
SAME_SHAPE = 0.82  # what is less similar is another shape
ALTERNATE_BEATS = 4  # similar peaks after which the alternate template counts as a QRS
CANDIDATE_SHARE = 0.4  # of the QRS level: from here on a rejected peak is taken into account
NEAR_BEFORE, NEAR_AFTER = 45, 130  # so near a beat it is part of it, so soon after one its T wave
DECIDED_AFTER = 108  # samples after which every beat beside a peak is known
OVERDUE = 3.0  # intervals without a beat, but with a high peak: matching is in doubt
DOUBT_DECAY = 0.93  # what a beat leaves of the doubt
MIDDLE_SHARE = 0.1  # of an interval: the farthest a peak lies from the middle that halves it
RING = 256  # second differences held: more than LENGTH and DECIDED_AFTER; a power of two
RING_MASK = RING - 1

STATE = np.dtype(
    [
        ("latest_power", "f8"),  # sum of the squares of the LENGTH latest second differences
        ("noise_floor", "f8"),  # running FLOOR_QUANTILE of the detection signal
        ("noise_power", "f8"),  # running FLOOR_QUANTILE of `latest_power`
        ("span_count", "i8"),  # samples of this span
        ("span_floor", "f8"),  # its lowest detection signal
        ("previous_floor", "f8"),  # that of the span before, 0 for none
        ("floor_variation", "f8"),  # running change from one to the next
        ("mf_weight", "f8"),  # the matched filter's share in the detection signal, 0 where clean
        ("similarity", "f8"),  # running similarity of beats to the template, a cosine
        ("mf_doubt", "f8"),  # that matching finds the beats, 0 to 1
        ("previous_signal", "f8"),  # the detection signal one sample ago
        ("candidate", "f8"),  # its highest peak that is not decided on yet
        ("candidate_index", "i8"),
        ("last_rejected", "i8"),  # index of the latest rejected peak
        ("beat_count", "i8"),  # that the template was formed from
        ("alternate_count", "i8"),  # similar peaks in the alternate template
        ("template_power", "f8"),  # sum of the template's squares
        ("alternate_power", "f8"),
        ("template", "f4", (LENGTH,)),
        ("alternate_template", "f4", (LENGTH,)),
        ("correlations", "f4", (2 * REACH + 1,)),  # scratch
        ("second_diff", "f4", (2 * RING,)),  # the latest, twice: no stretch wraps round
    ]
)


class State(Protocol):
    """A record of dtype STATE."""

    latest_power: float
    noise_floor: float
    noise_power: float
    span_count: int
    span_floor: float
    previous_floor: float
    floor_variation: float
    mf_weight: float
    similarity: float
    mf_doubt: float
    previous_signal: float
    candidate: float
    candidate_index: int
    last_rejected: int
    beat_count: int
    alternate_count: int
    template_power: float
    alternate_power: float
    template: Floats
    alternate_template: Floats
    correlations: Floats
    second_diff: Floats


@compiled
def clear(s: State) -> None:
    """Forget the signal; the template and how noisy it was stay."""
    s.latest_power = 0.0
    s.span_count = 0
    s.previous_floor = 0.0
    s.candidate = 0.0
    for i in range(2 * RING):
        s.second_diff[i] = 0.0


@compiled
def push(s: State, i: int, diff: float) -> None:
    """Take the second difference ``diff`` (mV) that ends at index ``i``."""
    at, old = i & RING_MASK, s.second_diff[(i - LENGTH) & RING_MASK]
    new = np.float32(diff)
    s.latest_power += np.float64(new) * new - np.float64(old) * old
    s.second_diff[at] = new
    s.second_diff[at + RING] = new
    if at == 0:  # so that rounding errors of a huge artefact do not stay
        s.latest_power = 0.0
        for j in range(RING - LENGTH + 1, RING + 1):
            s.latest_power += np.float64(s.second_diff[j]) * s.second_diff[j]


@compiled
def _update_floor_variation(s: State, signal: float, qrs: float) -> None:
    """Update how much the lowest detection signal changes: without noise it hardly does."""
    if s.span_count == 0 or signal < s.span_floor:
        s.span_floor = signal
    s.span_count += 1
    if s.span_count == SPAN:
        if s.previous_floor > 0:
            change = min(abs(s.span_floor - s.previous_floor), MAX_CHANGE * qrs)
            s.floor_variation += VARIATION_FORGET * (change - s.floor_variation)
        s.previous_floor = s.span_floor
        s.span_count = 0


@compiled
def _weight(s: State, qrs: float, interval: float) -> float:
    """The matched filter's share: the least that each sign of noise, or of a known shape, allows.

    A high level between beats alone is no sign: broad beats of a fast heart have it too.
    """
    noisy = (s.noise_floor / qrs - NOISY_FROM) / (NOISY_FULL - NOISY_FROM)
    varying = (s.floor_variation / qrs - VARIATION_FROM) / (VARIATION_FULL - VARIATION_FROM)
    similarity = (s.similarity - SIMILAR_FROM) / (SIMILAR_FULL - SIMILAR_FROM)
    slow = (interval - INTERVAL_FROM) / (INTERVAL_FULL - INTERVAL_FROM)
    sharp = (s.noise_power / s.template_power - POWER_FROM) / (POWER_FULL - POWER_FROM)
    least = min(MAX_WEIGHT, noisy, varying, similarity, slow, 1 - s.mf_doubt)
    return float(max(0.0, least) * min(1.0, max(0.0, 1 - sharp)))


@compiled
def update_noise(s: State, signal: float, qrs: float, interval: float) -> None:
    """Update the noise estimates from the detection ``signal`` of one sample.

    ``qrs`` is the level of QRS peaks, ``interval`` the running RR interval in samples. The
    estimates are low quantiles, which neither beats nor how they are classified move much. Muscle
    noise is as sharp as a QRS: there matching counts less than the detection signal.
    """
    _update_floor_variation(s, signal, qrs)
    s.noise_floor += (
        FLOOR_STEP * qrs * (FLOOR_QUANTILE if signal > s.noise_floor else FLOOR_QUANTILE - 1)
    )
    s.noise_power += (
        FLOOR_STEP
        * s.template_power
        * (FLOOR_QUANTILE if s.latest_power > s.noise_power else FLOOR_QUANTILE - 1)
    )
    s.mf_weight = _weight(s, qrs, interval) if s.noise_floor > NOISY_FROM * qrs else 0.0


@compiled
def _match(s: State, shape: Floats, power: float, i: int) -> float:
    """How well what ends at ``i`` matches ``shape``, whose sum of squares is ``power``."""
    start = (i - LENGTH + 1) & RING_MASK
    a = b = c = d = np.float32(0)  # four sums, so that none waits for another
    for j in range(0, LENGTH, 8):  # every second sample suffices below 90 Hz
        a += s.second_diff[start + j] * shape[j]
        b += s.second_diff[start + j + 2] * shape[j + 2]
        c += s.second_diff[start + j + 4] * shape[j + 4]
        d += s.second_diff[start + j + 6] * shape[j + 6]
    size = 2 * max(0.0, np.float64(a + b + c + d)) / power
    cosine = size * np.sqrt(power / (s.latest_power + 1e-9))
    return float(min(MAX_MATCH, size * cosine))


@compiled
def match(s: State, i: int) -> float:
    """How well what ends at ``i`` matches a QRS: its size relative to the template, times cosine.

    0 for no match, 1 for the template or an alternate one that counts, at most MAX_MATCH.
    """
    best = _match(s, s.template, s.template_power, i)
    if s.alternate_count >= ALTERNATE_BEATS:
        best = max(best, _match(s, s.alternate_template, s.alternate_power, i))
    return best


@compiled
def _best_lag(s: State, shape: Floats, power: float, start: int) -> tuple[int, float]:
    """How far after ``start``, an index into the ring, ``shape`` matches best; the cosine there."""
    for lag in range(2 * REACH + 1):
        s.correlations[lag] = 0.0
    for j in range(LENGTH):
        for lag in range(2 * REACH + 1):
            s.correlations[lag] += shape[j] * s.second_diff[start + lag + j]
    best = int(np.argmax(s.correlations))
    own = 1e-12
    for j in range(start + best, start + best + LENGTH):
        own += s.second_diff[j] * s.second_diff[j]
    return best, max(0.0, s.correlations[best]) / np.sqrt(own * max(power, 1e-12))


@compiled
def _blend(s: State, shape: Floats, start: int, weight: float) -> float:
    """Move ``shape`` towards what starts at ``start`` of the ring; returns its new power."""
    power = 1e-12
    for j in range(LENGTH):
        shape[j] += weight * (s.second_diff[start + j] - shape[j])
        power += shape[j] * shape[j]
    return power


@compiled
def _swap_templates(s: State) -> None:
    """The alternate template becomes the template, and the other way round."""
    for j in range(LENGTH):
        s.template[j], s.alternate_template[j] = s.alternate_template[j], s.template[j]
    s.template_power, s.alternate_power = s.alternate_power, s.template_power


@compiled
def _count_alternate(s: State, start: int) -> float:
    """Compare what is unlike the template with the alternate one, and update that.

    Returns its similarity to the alternate template, 0 while that does not count.
    """
    lag, similarity = _best_lag(s, s.alternate_template, s.alternate_power, start)
    known = similarity if s.alternate_count >= ALTERNATE_BEATS else 0.0
    if s.alternate_count > 0 and similarity > SAME_SHAPE:
        s.alternate_power = _blend(
            s, s.alternate_template, start + lag, max(FORGET, 1 / (s.alternate_count + 1))
        )
        s.alternate_count = min(s.alternate_count + 1, ALTERNATE_BEATS + 1)
        if s.alternate_count == ALTERNATE_BEATS:
            _swap_templates(s)
    elif s.alternate_count > 1:
        s.alternate_count -= 1
    else:
        s.alternate_count = 1
        s.alternate_power = _blend(s, s.alternate_template, start + REACH, 1.0)
    return float(known)


@compiled
def _window_start(peak_index: int) -> int:
    """Where in the ring the QRS that ends near ``peak_index`` can start at the earliest."""
    return (peak_index - LENGTH - REACH + 1) & RING_MASK


@compiled
def update_template(s: State, peak_index: int) -> None:
    """Take the QRS that ends near ``peak_index`` into the template, weighted by its similarity.

    The LENGTH + REACH samples before it and the REACH after it must be free of gaps.
    """
    start = _window_start(peak_index)
    lag, similarity = _best_lag(s, s.template, s.template_power, start)
    lag = lag if s.beat_count > 0 else REACH
    weight = max(MIN_FORGET, FORGET * similarity * similarity * similarity, 1 / (s.beat_count + 1))
    s.template_power = _blend(s, s.template, start + lag, weight)
    if s.beat_count > MIN_BEATS and similarity < SAME_SHAPE:
        similarity = max(similarity, _count_alternate(s, start))
    s.similarity += max(FORGET, 1 / (s.beat_count + 1)) * (similarity - s.similarity)
    s.beat_count += 1


@compiled
def _reject(s: State, since: int, interval: float) -> None:
    """A high peak was rejected as a beat, ``since`` samples after the last beat (-1 for none)."""
    s.last_rejected = s.candidate_index
    start = _window_start(s.candidate_index)
    if _best_lag(s, s.template, s.template_power, start)[1] < SAME_SHAPE:
        _count_alternate(s, start)
    if since > OVERDUE * interval:
        s.mf_doubt = 1.0


@compiled
def watch_rejected_peak(
    s: State, i: int, signal: float, qrs: float, last: int, interval: float
) -> None:
    """Follow the detection ``signal`` at ``i``: a rejected peak may be a QRS that has changed.

    ``qrs`` is the level of QRS peaks, ``last`` the index of the latest (-1 for none). The signal
    before ``i`` must be free of gaps for as long as `update_template` needs.
    """
    if signal > s.previous_signal and signal > s.candidate:
        s.candidate = signal
        s.candidate_index = i
    s.previous_signal = signal
    if s.candidate > 0 and i - s.candidate_index >= DECIDED_AFTER:
        since = s.candidate_index - last if last >= 0 else -1
        beside = last >= 0 and -NEAR_BEFORE <= since < NEAR_AFTER
        in_noise = i - s.candidate_index == DECIDED_AFTER  # else it is from before the noise began
        if in_noise and s.candidate > CANDIDATE_SHARE * qrs and not beside:
            _reject(s, since, interval)
        s.candidate = 0.0


@compiled
def corrected_interval(s: State, last: int, since: int) -> int:
    """The RR interval of a beat ``since`` after ``last``: half where one between was rejected."""
    s.mf_doubt *= DOUBT_DECAY
    apart = abs(s.last_rejected - last - 0.5 * since)
    return since // 2 if s.last_rejected > last and apart < MIDDLE_SHARE * since else since
