"""The patient's own recent normal: a running reference beat, usual distance and RR intervals.

All resist contamination: one ectopic beat, or a run of them, moves them little. Nothing here knows
scores, so what the model says never feeds back into what it is shown.
"""

import numpy as np

from beatgan.beats.window import CORE, core
from beatgan.jit import compiled
from beatgan.types import Doubles

USUAL_SHARE = 0.3  # of the usual distance that is forgiven
USUAL_DISTANCE = -3.5  # of a clean signal; assumed until one beat was compared
LEAST_USUAL, MOST_USUAL = -6.0, -1.5  # beyond, the usual is not believed: noise, or all ectopic
LONG = 0.9  # the quantile of recent RR intervals that counts as a whole one
REGULAR = 0.1  # of the logarithm of RR: what even a steady heart's intervals vary
REPEATS = 4  # beats after which a repeating rhythm repeats itself, at the most


@compiled
def move(shape: Doubles, window: Doubles, weight: float, bound: float, before: int) -> None:
    """Move the reference ``shape`` towards ``window``, both in millivolt.

    By the share ``weight``, and at most by that share of ``bound`` standard deviations of its core
    at any tick: Huber's location, made recursive. A running median was tried on DS1: it separated
    beats no better, for forty times the memory.
    """
    limit = bound * np.sqrt(core(shape, before, np.empty(CORE)) / CORE)
    for i in range(shape.size):
        shape[i] += weight * min(max(window[i] - shape[i], -limit), limit)


@compiled
def beyond_usual(recent: Doubles, distance: float) -> float:
    """``distance`` less a share of what was usual, the median of the ``recent`` ones; keep it.

    So noise is no anomaly. Trusted in part only: where most beats are ectopic, they are the usual.
    """
    usual = _median(_known(recent))
    _shift(recent, distance)
    known = USUAL_DISTANCE if np.isnan(usual) else usual
    return distance - USUAL_SHARE * min(max(known, LEAST_USUAL), MOST_USUAL)


@compiled
def prematurity(recent: Doubles, interval: int) -> float:
    """How premature a beat is that comes ``interval`` samples after the one before; keep it.

    ``recent``: natural logarithms of the intervals so far, the newest last, NaN where none is.
    It is ``max(0, log(long RR / RR)) / (REGULAR + irregularity)``, where the long RR is the 90 %
    quantile of the recent ones: 0 for on time or late. A median would take a run of premature
    beats, or two beats of three, for the rhythm. The irregularity keeps fibrillating atria from
    being one alarm a beat.
    """
    newest = np.log(interval)
    late, irregular = 0.0, 0.0
    logs = _known(recent)
    if logs.size:
        irregular = _irregularity(logs)
        late = max(0.0, _sorted(logs)[round(LONG * (logs.size - 1))] - newest)
    _shift(recent, newest)
    return late / (REGULAR + irregular)


@compiled
def _shift(values: Doubles, newest: float) -> None:
    """Drop the oldest of ``values`` and append ``newest``."""
    for i in range(values.size - 1):
        values[i] = values[i + 1]
    values[values.size - 1] = newest


@compiled
def _known(values: Doubles) -> Doubles:
    """What is known of ``values``, which begin with NaN while there are too few."""
    unknown = 0
    while unknown < values.size and np.isnan(values[unknown]):
        unknown += 1
    return values[unknown:]


@compiled
def _sorted(values: Doubles) -> Doubles:
    """A copy in ascending order. For some tens of values insertion is as fast as it gets."""
    ordered = np.empty(values.size)
    for i in range(values.size):
        j = i
        while j > 0 and ordered[j - 1] > values[i]:
            ordered[j] = ordered[j - 1]
            j -= 1
        ordered[j] = values[i]
    return ordered


@compiled
def _median(values: Doubles) -> float:
    """The median of some values; NaN if there are none."""
    if values.size == 0:
        return np.nan
    ordered, middle = _sorted(values), values.size // 2
    return float(0.5 * (ordered[middle] + ordered[values.size - 1 - middle]))


@compiled
def _irregularity(logs: Doubles) -> float:
    """How far an interval typically is from the one that repeats it: a beat, or 2, 3, 4, earlier.

    So bigeminy and its kin, which repeat themselves, are regular; atrial fibrillation is not.
    """
    least = np.inf
    for lag in range(1, min(REPEATS, logs.size // 2) + 1):
        changes = np.empty(logs.size - lag)
        for i in range(changes.size):
            changes[i] = abs(logs[i + lag] - logs[i])
        least = min(least, _median(changes))
    return least if least < np.inf else 0.0
