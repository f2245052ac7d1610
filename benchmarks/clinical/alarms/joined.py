"""A short recording as a longer stream: the same again and again, joined between two beats.

The first copy is whole, with the recording's own beginning. The others begin between the first two
beats; every copy ends between the last two, at the same phase of the RR interval. So the interval
across a join lies between the two that were cut. The trend from the one place to the other is taken
off, so that a join is no step. Beats are found by sleepecg's detector, which is none of ours: what
is measured does not change what it is measured with.
"""

import numpy as np

from beatgan.records import Recording
from beatgan.types import Floats
from benchmarks.clinical.beats import sleepecg

PHASE = 0.6  # of an RR interval, where it is cut: between T and P
LEVEL_S = 0.04  # around the cut, whose median is the level there
LEAST_BEATS = 4


def joined(recording: Recording, seconds: float) -> Floats | None:
    """Samples (n, 1) of a one-lead recording, so long; None where too few beats are found."""
    peaks = sleepecg(recording)
    if len(peaks) < LEAST_BEATS:
        return None
    begin, end = (round(a + PHASE * (b - a)) for a, b in (peaks[:2], peaks[-2:]))
    samples = _without_trend(recording.samples, begin, end, round(LEVEL_S * recording.fs))
    once, again = samples[:end], samples[begin:end]
    wanted = round(seconds * recording.fs)
    copies = max(0, -(-(wanted - len(once)) // len(again)))
    return np.concatenate([once, *[again] * copies])[:wanted]


def _without_trend(samples: Floats, begin: int, end: int, reach: int) -> Floats:
    """The same, but as high at ``end`` as at ``begin``."""
    low, high = (
        np.median(samples[max(0, place - reach) : place + reach + 1], axis=0)
        for place in (begin, end)
    )
    share = np.clip((np.arange(len(samples)) - begin) / (end - begin), 0, 1)
    return (samples - share[:, None] * (high - low)).astype(np.float32)
