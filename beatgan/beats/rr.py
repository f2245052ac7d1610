"""The patient's recent RR intervals, and how premature a beat is compared with them.

One ectopic beat, or a run of them, moves the result little. Knows no waveform and no score.
"""

import numpy as np

from beatgan.beats.recent import append, known_values, median, sorted_copy
from beatgan.jit import compiled
from beatgan.types import Doubles

LONG_QUANTILE = 0.9  # the quantile of recent RR intervals that counts as a whole one
REGULAR = 0.1  # of the logarithm of RR: what even a steady heart's intervals vary
MAX_LAG = 4  # beats after which a repeating rhythm repeats itself, at the most


@compiled
def prematurity(recent: Doubles, interval: int) -> float:
    """How premature a beat is that comes ``interval`` samples after the one before.

    ``recent``: natural logarithms of the intervals so far, the newest last, NaN where none is; the
    new one is appended. The result is ``max(0, log(long RR / RR)) / (REGULAR + irregularity)``,
    where the long RR is the 90 % quantile of the recent ones: 0 for on time or late. A median would
    take a run of premature beats, or two beats of three, for the rhythm. The irregularity keeps
    fibrillating atria from being one alarm a beat.
    """
    newest = np.log(interval)
    late, irregular = 0.0, 0.0
    logs = known_values(recent)
    if logs.size:
        irregular = _irregularity(logs)
        late = max(0.0, sorted_copy(logs)[round(LONG_QUANTILE * (logs.size - 1))] - newest)
    append(recent, newest)
    return late / (REGULAR + irregular)


@compiled
def _irregularity(logs: Doubles) -> float:
    """How far an interval typically is from the one that repeats it: a beat, or 2, 3, 4, earlier.

    So bigeminy and its kin, which repeat themselves, are regular; atrial fibrillation is not.
    """
    least = np.inf
    for lag in range(1, min(MAX_LAG, logs.size // 2) + 1):
        changes = np.empty(logs.size - lag)
        for i in range(changes.size):
            changes[i] = abs(logs[i + lag] - logs[i])
        least = min(least, median(changes))
    return least if least < np.inf else 0.0
