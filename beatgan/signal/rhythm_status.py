"""The status of one lead's rhythm, every eighth of a second: is there a beat, is it fibrillation?

Knows no other lead, no clock and no alarm.
"""

from typing import Protocol

import numpy as np

from beatgan.jit import compiled
from beatgan.signal import latest_beat, pacing_spikes, vf_features
from beatgan.signal.latest_samples import BLOCK
from beatgan.signal.qrs_detector import Detection
from beatgan.types import Doubles, Records

STATUS_INTERVAL = 45  # samples (0.125 s at 360 Hz) from one status to the next
MAX_STATUSES = BLOCK // STATUS_INTERVAL + 1  # in one block

STATE = np.dtype([("vf", vf_features.STATE), ("beats", latest_beat.STATE)])
STATUS = np.dtype(
    [
        ("vf_log_odds", "f8"),  # NaN where not computed anew, or too much is lost
        ("last_beat", "i8"),  # the latest beat's R peak, as far as confirmed, -1 for none
        ("beat_height", "f8"),  # the usual one, in millivolt
        ("beat_could_be_hidden", "i8"),  # 1 where a beat may hide in what the signal does
    ]
)


class State(Protocol):
    """A record of dtype STATE."""

    vf: vf_features.State
    beats: latest_beat.State


class Status(Protocol):
    """A record of dtype STATUS."""

    vf_log_odds: float
    last_beat: int
    beat_height: float
    beat_could_be_hidden: int


@compiled
def begin(s: State) -> None:
    """A signal of which nothing is known."""
    vf_features.begin(s.vf)
    latest_beat.begin(s.beats)


@compiled
def forget_signal(s: State) -> None:
    """All signal so far counts as lost."""
    vf_features.begin(s.vf)
    latest_beat.forget_signal(s.beats)


@compiled
def next_status(start: int) -> int:
    """The first sample with a status, at ``start`` or later."""
    return start + STATUS_INTERVAL - 1 - start % STATUS_INTERVAL


@compiled
def run(
    s: State,
    spikes: pacing_spikes.State,
    weights: Doubles,
    history: Doubles,
    start: int,
    end: int,
    found: Records[Detection],
    delay: int,
    statuses: Records[Status],
) -> int:
    """Write the ``statuses`` due from sample ``start`` to before ``end``; return how many.

    ``history``: filtered signal in millivolt, up to before sample ``end``; ``found``: the R peaks
    confirmed by these samples, ``delay`` samples behind those before the filters.
    """
    count, added = 0, 0
    for sample in range(next_status(start), end, STATUS_INTERVAL):
        while added < found.size and found[added].confirmed <= sample:
            _add_r_peak(s, spikes, found[added], delay, end)
            added += 1
        if (sample + 1) % vf_features.PART == 0:
            stop = history.size - (end - sample - 1)
            vf_features.push_part(s.vf, history[stop - vf_features.PART : stop])
        if (sample + 1) % latest_beat.PART == 0:
            latest_beat.push_part(s.beats, spikes, sample, end)
        _write_status(s, weights, sample, statuses[count])
        count += 1
    for k in range(added, found.size):
        _add_r_peak(s, spikes, found[k], delay, end)
    return count


@compiled
def _add_r_peak(
    s: State, spikes: pacing_spikes.State, found: Detection, delay: int, end: int
) -> None:
    latest_beat.add_r_peak(s.beats, spikes, found.r_peak - delay, found.confirmed, end)


@compiled
def _write_status(s: State, weights: Doubles, sample: int, status: Status) -> None:
    """Write the status at a sample."""
    status.last_beat = s.beats.last_beat
    status.beat_height = s.beats.beat_height
    status.beat_could_be_hidden = latest_beat.could_be_hidden(s.beats)
    is_due = (sample + 1) % vf_features.VF_INTERVAL == 0
    status.vf_log_odds = vf_features.vf_log_odds(s.vf, weights) if is_due else np.nan
