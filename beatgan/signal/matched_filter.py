"""The patient's usual QRS as a matched filter, for the detector to trust where there is noise.

Sees second differences of one lead, which electrode motion hardly has; knows no apex, no threshold.
The filter is the matched one of radar (Turin, IRE Trans. Inf. Theory 6:311, 1960). A QRS that
changes is not lost to it: peaks that the detector denied teach a rival shape, which counts too
once several were alike, as noise is not. One sample at a time, lengths at the detector's rate.
"""

import numpy as np

from beatgan.jit import compiled
from beatgan.types import Floats, Record

SHAPE = 64  # samples of the usual QRS, up to the peak that the detector tells
SLACK = 10  # it may be learnt from this far beside that peak
KNOWN = 8  # beats after which it counts
QUIET = 0.37  # the share of samples below the levels that tell noise
DRIFT = 0.0007  # how much of the QRS's these levels move in a sample
NOISY, NOISIER = 0.12, 0.23  # of the QRS's height: matching begins to count, counts most
MOST = 0.98  # its share in a candidate's height then
HISS, HISSIER = 0.15, 0.6  # of the QRS's power: it begins to lose its say, has lost it
SPAN = 256  # samples, of which the lowest height stays the same from one to the next ...
CALM, RESTLESS = 0.012, 0.025  # ... but for this much of the QRS's: noise begins, is certain
LEAP = 0.1  # no change counts for more
CHANGED = 0.2  # the weight of the newest change
UNEQUAL, ALIKE = 0.5, 0.75  # beats this alike have a shape that tells nothing yet, tells all
FAST, SLOW = 160, 200  # intervals: QRS complexes fill the shorter, nothing tells noise from them
LARGEST = 1.3  # times the usual QRS: no fit is better
FORGET, LEAST = 0.1, 0.01  # weight of a beat just like the usual, and of any
LIKE = 0.82  # what is less alike is another shape
ENOUGH = 4  # votes by which the rival is a QRS
TALL = 0.4  # of the QRS's height: from here on a denied peak has a vote
BESIDE, SOON = 45, 130  # so near a beat it is that beat's, so soon after one its T wave
WAIT = 108  # after which every beat beside a peak is known
OVERDUE = 3.0  # intervals without a beat, but with a tall peak: matching is in doubt
FAITH = 0.93  # what a beat leaves of the doubt
HALFWAY = 0.1  # of an interval: the farthest a peak lies from the middle that halves it
RING = 256  # second differences kept: more than SHAPE and the wait for a beat; a power of two
LAST = RING - 1

STATE = np.dtype(
    [
        ("power", "f8"),  # sum of the squares of the SHAPE latest second differences
        ("quiet", "f8"),  # QUIET of the heights lie below
        ("hiss", "f8"),  # QUIET of the powers lie below
        ("heard", "i8"),  # samples of this span
        ("lowest", "f8"),  # its lowest height
        ("before", "f8"),  # that of the span before, 0 for none
        ("unrest", "f8"),  # how much these change
        ("trust", "f8"),  # the share of matching in a candidate's height, 0 in clean signal
        ("likeness", "f8"),  # how alike beats are
        ("doubt", "f8"),  # that matching finds the beats, 0 to 1
        ("former", "f8"),  # the height that was watched before
        ("tall", "f8"),  # the highest height since the last was judged: it may have been denied
        ("tall_at", "i8"),  # its index
        ("denied", "i8"),  # that of the latest denied peak
        ("beats", "i8"),  # that the usual QRS was learnt from
        ("votes", "i8"),  # for the rival
        ("usual_power", "f8"),  # sum of the squares of the usual QRS
        ("rival_power", "f8"),
        ("usual", "f4", (SHAPE,)),
        ("rival", "f4", (SHAPE,)),
        ("fits", "f4", (2 * SLACK + 1,)),
        ("bends", "f4", (2 * RING,)),  # the latest second differences, twice: no run is broken
    ]
)


@compiled
def clear(s: Record) -> None:
    """Forget the signal, keep the usual QRS and how noisy it was."""
    s.power = 0.0
    s.heard = 0
    s.before = 0.0
    s.tall = 0.0
    for i in range(2 * RING):
        s.bends[i] = 0.0


@compiled
def take(s: Record, i: int, bend: float) -> None:
    """Take the second difference ``bend`` (mV) that ends at index ``i``."""
    at, old = i & LAST, s.bends[(i - SHAPE) & LAST]
    new = np.float32(bend)
    s.power += np.float64(new) * new - np.float64(old) * old
    s.bends[at] = new
    s.bends[at + RING] = new
    if at == 0:  # what rounding a huge artefact has left in the running sum is forgotten
        s.power = 0.0
        for j in range(RING - SHAPE + 1, RING + 1):
            s.power += np.float64(s.bends[j]) * s.bends[j]


@compiled
def _change(s: Record, height: float, qrs: float) -> None:
    """Learn how much the lowest height changes: from beat to beat it hardly does without noise."""
    if s.heard == 0 or height < s.lowest:
        s.lowest = height
    s.heard += 1
    if s.heard == SPAN:
        if s.before > 0:
            change = min(abs(s.lowest - s.before), LEAP * qrs)
            s.unrest += CHANGED * (change - s.unrest)
        s.before = s.lowest
        s.heard = 0


@compiled
def _trust(s: Record, qrs: float, interval: float) -> float:
    """Matching's share: no more than each sign that noise is there, and shape tells, allows.

    A high level between beats alone is none: broad beats of a fast heart have it too.
    """
    noisy = (s.quiet / qrs - NOISY) / (NOISIER - NOISY)
    restless = (s.unrest / qrs - CALM) / (RESTLESS - CALM)
    alike = (s.likeness - UNEQUAL) / (ALIKE - UNEQUAL)
    slow = (interval - FAST) / (SLOW - FAST)
    sharp = (s.hiss / s.usual_power - HISS) / (HISSIER - HISS)
    least = min(MOST, noisy, restless, alike, slow, 1 - s.doubt)
    return float(max(0.0, least) * min(1.0, max(0.0, 1 - sharp)))


@compiled
def listen(s: Record, height: float, qrs: float, interval: float) -> None:
    """Learn how noisy it is from a ``height``, of which ``qrs`` is a beat's, ``interval`` apart.

    Low quantiles of height and power, as neither beats nor how they are judged move them much.
    Muscle noise is as sharp as a QRS: there the shape tells less than the height does.
    """
    _change(s, height, qrs)
    s.quiet += DRIFT * qrs * (QUIET if height > s.quiet else QUIET - 1)
    s.hiss += DRIFT * s.usual_power * (QUIET if s.power > s.hiss else QUIET - 1)
    s.trust = _trust(s, qrs, interval) if s.quiet > NOISY * qrs else 0.0


@compiled
def _fit(s: Record, shape: Floats, power: float, i: int) -> float:
    """How like ``shape``, of that ``power``, is what ends at ``i``."""
    start = (i - SHAPE + 1) & LAST
    a = b = c = d = np.float32(0)  # four sums run beside one another
    for j in range(0, SHAPE, 8):  # every second sample tells all below 90 Hz
        a += s.bends[start + j] * shape[j]
        b += s.bends[start + j + 2] * shape[j + 2]
        c += s.bends[start + j + 4] * shape[j + 4]
        d += s.bends[start + j + 6] * shape[j + 6]
    size = 2 * max(0.0, np.float64(a + b + c + d)) / power
    cosine = size * np.sqrt(power / (s.power + 1e-9))
    return float(min(LARGEST, size * cosine))


@compiled
def fit(s: Record, i: int) -> float:
    """How like a QRS is what ends at ``i``: its size, of that of the QRS, times cosine.

    0 for what is unlike, 1 for the usual QRS or a rival with votes enough, LARGEST at the most.
    """
    best = _fit(s, s.usual, s.usual_power, i)
    if s.votes >= ENOUGH:
        best = max(best, _fit(s, s.rival, s.rival_power, i))
    return best


@compiled
def _compare(s: Record, shape: Floats, power: float, start: int) -> tuple[int, float]:
    """How far after ``start``, an index into the ring, ``shape`` fits best; the cosine there."""
    for lag in range(2 * SLACK + 1):
        s.fits[lag] = 0.0
    for j in range(SHAPE):
        for lag in range(2 * SLACK + 1):
            s.fits[lag] += shape[j] * s.bends[start + lag + j]
    best = int(np.argmax(s.fits))
    own = 1e-12
    for j in range(start + best, start + best + SHAPE):
        own += s.bends[j] * s.bends[j]
    return best, max(0.0, s.fits[best]) / np.sqrt(own * max(power, 1e-12))


@compiled
def _blend(s: Record, shape: Floats, start: int, weight: float) -> float:
    """Draw ``shape`` towards what starts at ``start`` of the ring; its power now."""
    power = 1e-12
    for j in range(SHAPE):
        shape[j] += weight * (s.bends[start + j] - shape[j])
        power += shape[j] * shape[j]
    return power


@compiled
def _exchange(s: Record) -> None:
    """The rival is the usual QRS from now on, and the other way round."""
    for j in range(SHAPE):
        s.usual[j], s.rival[j] = s.rival[j], s.usual[j]
    s.usual_power, s.rival_power = s.rival_power, s.usual_power


@compiled
def _vote(s: Record, start: int) -> float:
    """Take what is unlike the usual QRS for or against the rival: how like a known one it is."""
    lag, alike = _compare(s, s.rival, s.rival_power, start)
    known = alike if s.votes >= ENOUGH else 0.0
    if s.votes > 0 and alike > LIKE:
        s.rival_power = _blend(s, s.rival, start + lag, max(FORGET, 1 / (s.votes + 1)))
        s.votes = min(s.votes + 1, ENOUGH + 1)
        if s.votes == ENOUGH:
            _exchange(s)
    elif s.votes > 1:
        s.votes -= 1
    else:
        s.votes = 1
        s.rival_power = _blend(s, s.rival, start + SLACK, 1.0)
    return float(known)


@compiled
def _start(peak_at: int) -> int:
    """Where in the ring the signal starts that may be of the QRS which ends near ``peak_at``."""
    return (peak_at - SHAPE - SLACK + 1) & LAST


@compiled
def learn(s: Record, peak_at: int) -> None:
    """Take the QRS that ends near ``peak_at`` into the usual one: the less, the less it is alike.

    The SHAPE + SLACK samples before it and the SLACK after it must be of one piece of signal.
    """
    start = _start(peak_at)
    lag, alike = _compare(s, s.usual, s.usual_power, start)
    lag = lag if s.beats > 0 else SLACK
    weight = max(LEAST, FORGET * alike * alike * alike, 1 / (s.beats + 1))
    s.usual_power = _blend(s, s.usual, start + lag, weight)
    if s.beats > KNOWN and alike < LIKE:
        alike = max(alike, _vote(s, start))
    s.likeness += max(FORGET, 1 / (s.beats + 1)) * (alike - s.likeness)
    s.beats += 1


@compiled
def _deny(s: Record, since: int, interval: float) -> None:
    """Take a tall peak that was no beat, ``since`` after the last one (-1 for none)."""
    s.denied = s.tall_at
    start = _start(s.tall_at)
    if _compare(s, s.usual, s.usual_power, start)[1] < LIKE:
        _vote(s, start)
    if since > OVERDUE * interval:
        s.doubt = 1.0


@compiled
def watch(s: Record, i: int, height: float, qrs: float, last: int, interval: float) -> None:
    """Follow the ``height`` at ``i``: a peak that was denied may be a QRS that has changed.

    Of beats the height is ``qrs``, the latest at ``last`` (-1 for none). Signal that one could be
    learnt from is whole before ``i``.
    """
    if height > s.former and height > s.tall:
        s.tall = height
        s.tall_at = i
    s.former = height
    if s.tall > 0 and i - s.tall_at >= WAIT:
        since = s.tall_at - last if last >= 0 else -1
        beside = last >= 0 and -BESIDE <= since < SOON
        told = i - s.tall_at == WAIT  # else it is from before the signal was clean
        if told and s.tall > TALL * qrs and not beside:
            _deny(s, since, interval)
        s.tall = 0.0


@compiled
def between(s: Record, last: int, since: int) -> int:
    """The interval to a beat ``since`` after the ``last``: half, where one was denied halfway."""
    s.doubt *= FAITH
    apart = abs(s.denied - last - 0.5 * since)
    return since // 2 if s.denied > last and apart < HALFWAY * since else since
