"""The patient's usual QRS as a matched filter, for the detector to trust where there is noise.

Sees second differences of one lead, which electrode motion hardly has; knows no apex, no threshold.
The filter is the matched one of radar (Turin, IRE Trans. Inf. Theory 6:311, 1960). One sample at a
time. Lengths are in samples at the detector's rate.
"""

import numpy as np

from beatgan.compiled import compiled
from beatgan.types import Record

SHAPE = 64  # samples of the usual QRS, up to the peak that the detector tells
SLACK = 10  # it may be learnt from this far beside that peak
KNOWN = 8  # beats after which it counts
QUIET = 0.37  # the share of samples below the levels that tell noise
DRIFT = 0.0007  # how much of the QRS's these levels move in a sample
NOISY, NOISIER = 0.12, 0.23  # of the QRS's height: matching begins to count, counts most
MOST = 0.98  # its share in a candidate's height then
HISS, HISSIER = 0.15, 0.6  # of the QRS's power: it begins to lose its say, has lost it
LARGEST = 1.3  # times the usual QRS: no fit is better
FORGET, LEAST = 0.1, 0.01  # weight of a beat just like the usual, and of any
RING = 256  # second differences kept: more than SHAPE and the wait for a beat; a power of two
LAST = RING - 1

STATE = np.dtype(
    [
        ("power", "f8"),  # sum of the squares of the SHAPE latest second differences
        ("quiet", "f8"),  # QUIET of the heights lie below
        ("hiss", "f8"),  # QUIET of the powers lie below
        ("trust", "f8"),  # the share of matching in a candidate's height, 0 in clean signal
        ("beats", "i8"),  # that the usual QRS was learnt from
        ("usual_power", "f8"),  # sum of the squares of the usual QRS
        ("usual", "f4", (SHAPE,)),
        ("fits", "f4", (2 * SLACK + 1,)),
        ("bends", "f4", (2 * RING,)),  # the latest second differences, twice: no run is broken
    ]
)


@compiled
def clear(s: Record) -> None:
    """Forget the signal, keep the usual QRS and how noisy it was."""
    s.power = 0.0
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
def listen(s: Record, height: float, qrs: float) -> None:
    """Learn how noisy it is from a ``height`` of the detector's, of which ``qrs`` is a beat's.

    Low quantiles of height and power, as neither beats nor how they are judged move them much.
    Muscle noise is as sharp as a QRS: there the shape tells less than the height does.
    """
    s.quiet += DRIFT * qrs * (QUIET if height > s.quiet else QUIET - 1)
    s.hiss += DRIFT * s.usual_power * (QUIET if s.power > s.hiss else QUIET - 1)
    s.trust = 0.0
    if s.quiet > NOISY * qrs:
        noisy = (s.quiet / qrs - NOISY) / (NOISIER - NOISY)
        sharp = (s.hiss / s.usual_power - HISS) / (HISSIER - HISS)
        s.trust = min(MOST, noisy) * min(1.0, max(0.0, 1 - sharp))


@compiled
def fit(s: Record, i: int) -> float:
    """How like the usual QRS is what ends at ``i``: its size, of that of the usual, times cosine.

    0 for what is unlike, 1 for the usual QRS, LARGEST at the most.
    """
    start = (i - SHAPE + 1) & LAST
    a = b = c = d = np.float32(0)  # four sums run beside one another
    for j in range(0, SHAPE, 8):  # every second sample tells all below 90 Hz
        a += s.bends[start + j] * s.usual[j]
        b += s.bends[start + j + 2] * s.usual[j + 2]
        c += s.bends[start + j + 4] * s.usual[j + 4]
        d += s.bends[start + j + 6] * s.usual[j + 6]
    size = 2 * max(0.0, np.float64(a + b + c + d)) / s.usual_power
    cosine = size * np.sqrt(s.usual_power / (s.power + 1e-9))
    return float(min(LARGEST, size * cosine))


@compiled
def _best_lag(s: Record, start: int) -> int:
    """How far after ``start``, an index into the ring, the usual QRS fits best."""
    for lag in range(2 * SLACK + 1):
        s.fits[lag] = 0.0
    for j in range(SHAPE):
        for lag in range(2 * SLACK + 1):
            s.fits[lag] += s.usual[j] * s.bends[start + lag + j]
    return int(np.argmax(s.fits)) if s.beats > 0 else SLACK


@compiled
def learn(s: Record, peak_at: int) -> None:
    """Take the QRS that ends near ``peak_at`` into the usual one: the less, the less it is alike.

    The SHAPE + SLACK samples before it and the SLACK after it must be of one piece of signal.
    """
    start = (peak_at - SHAPE - SLACK + 1) & LAST
    lag = _best_lag(s, start)
    power = 1e-12
    for j in range(start + lag, start + lag + SHAPE):
        power += s.bends[j] * s.bends[j]
    alike = max(0.0, s.fits[lag]) / np.sqrt(power * max(s.usual_power, 1e-12))
    weight = max(LEAST, FORGET * alike * alike * alike, 1 / (s.beats + 1))
    s.usual_power = 1e-12
    for j in range(SHAPE):
        s.usual[j] += weight * (s.bends[start + lag + j] - s.usual[j])
        s.usual_power += s.usual[j] * s.usual[j]
    s.beats += 1
