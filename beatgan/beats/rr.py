"""The patient's recent RR intervals: how premature a beat is, and the rhythm that it ends.

One ectopic beat, or a run of them, moves the result little. Knows no waveform and no score.
"""

import numpy as np

from beatgan.beats.recent import append, count_below, in_order, known_values, median
from beatgan.jit import compiled
from beatgan.signal.qrs_detector import RATE
from beatgan.types import ASSUMED_RR_S, RHYTHM_INTERVALS, Doubles, Floats

LONG_QUANTILE = 0.9  # the quantile of recent RR intervals that counts as a whole one
REGULAR = 0.1  # of the logarithm of RR: what even a steady heart's intervals vary
MAX_LAG = 4  # beats after which a repeating rhythm repeats itself, at the most
MAX_LOG_RATIO = 1.5  # of an interval to the long one: what is beyond it tells no more


@compiled
def push(recent: Doubles, interval: float, rhythm: Floats) -> float:
    """How premature a beat is that comes ``interval`` samples after the one before; its rhythm.

    ``interval`` is NaN where it is unknown; the beat counts as on time then. ``recent``: natural
    logarithms of the intervals so far, the newest last, NaN where none is; the new one, if known,
    is appended. Writes ``rhythm``, see `Beat`.

    The result is ``max(0, log(long RR / RR)) / (REGULAR + irregularity)``, where the long RR is the
    90 % quantile of the recent ones: 0 for on time or late. A median would take a run of premature
    beats, or two beats of three, for the rhythm. The irregularity keeps fibrillating atria from
    being one alarm a beat.
    """
    newest = np.log(interval)
    unknown = np.isnan(newest)
    logs = known_values(recent)
    long = np.log(ASSUMED_RR_S * RATE) if unknown else newest
    if logs.size:
        long = in_order(logs, round(LONG_QUANTILE * (logs.size - 1)))
    _write_rhythm(logs, newest, long, rhythm)
    rhythm[RHYTHM_INTERVALS + 1] = 1 - logs.size / recent.size
    if unknown:
        return 0.0
    late: float = max(0.0, long - newest)
    irregular = _irregularity(logs)
    append(recent, newest)
    return late / (REGULAR + irregular)


@compiled
def _write_rhythm(logs: Doubles, newest: float, long: float, rhythm: Floats) -> None:
    """The intervals known before, ``logs``, and the ``newest`` one against the ``long`` one."""
    own = RHYTHM_INTERVALS - 1
    for k in range(RHYTHM_INTERVALS):
        at = logs.size - own + k
        ratio = 0.0
        if k == own and not np.isnan(newest):
            ratio = newest - long
        elif k < own and at >= 0:
            ratio = logs[at] - long
        rhythm[k] = min(max(ratio, -MAX_LOG_RATIO), MAX_LOG_RATIO)
    rhythm[RHYTHM_INTERVALS] = long - np.log(RATE)


@compiled
def _irregularity(logs: Doubles) -> float:
    """How far an interval typically is from the one that repeats it: a beat, or 2, 3, 4, earlier.

    So bigeminy and its kin, which repeat themselves, are regular; atrial fibrillation is not.
    """
    least = np.inf
    for lag in range(1, min(MAX_LAG, logs.size // 2) + 1):
        changes = np.empty(logs.size - lag)
        earlier, later = logs[: changes.size], logs[lag:]
        for i in range(changes.size):
            changes[i] = abs(later[i] - earlier[i])
        if count_below(changes, least) > (changes.size - 1) // 2:  # else its median is no less
            least = min(least, median(changes))
    return least if least < np.inf else 0.0
