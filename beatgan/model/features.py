"""What networks see of a beat's timing and shape: rows of numbers, in training and serving alike.

Compiled, row by row: a row's bits depend on that row alone.
"""

from collections.abc import Sequence
from math import log

import numpy as np

from beatgan.beats.rr import MAX_LOG_RATIO
from beatgan.jit import compiled
from beatgan.spec import PreprocessSpec
from beatgan.types import RHYTHM_INTERVALS, RHYTHM_SIZE, Doubles, Floats

PAST_SIZE = RHYTHM_SIZE - 1  # a rhythm without the beat's own interval
TIMING_SIZE = RHYTHM_SIZE + 1  # a rhythm and how premature the beat is in it
TIMING_WITH_NEXT_SIZE = TIMING_SIZE + 1  # and the next interval
MAX_PREMATURITY, PREMATURITY_UNIT = 8.0, 4.0  # what is beyond tells no more; what it is divided by


BEFORE, AFTER = 92, 132  # samples of a window round the R peak that a class is told by, ...
POOLED = 4  # ... the means of so many in a row
POINTS = (BEFORE + AFTER) // POOLED
SHAPE_SIZE = 3 * POINTS + 1  # window, template, their difference, and the distance
AMPLITUDE, DIFFERENCE = np.float32(4), np.float32(2)  # what these are divided by
FURTHEST = 100.0  # no distance, a logarithm, comes near
NEUTRAL_DISTANCE = np.float32(-2.6)  # of a beat that has none: a normal beat's


def fits(spec: PreprocessSpec) -> bool:
    """Whether windows are long enough for `shapes` and in their patients' units."""
    return spec.before >= BEFORE and spec.after >= AFTER and spec.scale == "patient"


def past(rhythm: Floats) -> Floats:
    """What was known of the rhythm before a beat: rows (n, PAST_SIZE) of ``rhythm`` (n, ...)."""
    own = RHYTHM_INTERVALS - 1
    return np.concatenate([rhythm[:, :own], rhythm[:, own + 1 :]], axis=1)


def own_interval(rhythm: Floats) -> Floats:
    """The logarithm (n,) of each beat's own interval, less that of the long one."""
    return rhythm[:, RHYTHM_INTERVALS - 1]


def timings(rhythm: Floats, prematurity: Sequence[float] | Doubles) -> Floats:
    """When beats come, rows (n, TIMING_SIZE): the ``rhythm`` that each ends, and its prematurity.

    The latter, see `Beat`, knows how irregular the rhythm is, which a network finds hard to see.
    """
    rows = np.empty((len(rhythm), TIMING_SIZE), np.float32)
    _timings(np.ascontiguousarray(rhythm), np.ascontiguousarray(prematurity, np.float64), rows)
    return rows


@compiled
def _timings(rhythm: Floats, prematurity: Doubles, rows: Floats) -> None:
    for row in range(rows.shape[0]):
        for k in range(RHYTHM_SIZE):
            rows[row, k] = rhythm[row, k]
        known = 0.0 if np.isnan(prematurity[row]) else prematurity[row]
        rows[row, RHYTHM_SIZE] = (
            min(max(known, -MAX_PREMATURITY), MAX_PREMATURITY) / PREMATURITY_UNIT
        )


def with_next(timing: Floats, next_rr_ms: Sequence[float] | Doubles) -> Floats:
    """Rows of `timings` with the next interval behind; 0 where it is NaN.

    As a logarithm, less that of the long interval, within +-MAX_LOG_RATIO.
    """
    rows = np.empty((len(timing), TIMING_WITH_NEXT_SIZE), np.float32)
    _with_next(timing, np.ascontiguousarray(next_rr_ms, np.float64), rows)
    return rows


@compiled
def _with_next(timing: Floats, next_rr_ms: Doubles, rows: Floats) -> None:
    for row in range(rows.shape[0]):
        for k in range(TIMING_SIZE):
            rows[row, k] = timing[row, k]
        following = 0.0
        if next_rr_ms[row] > 0:  # false for NaN
            ratio = log(next_rr_ms[row] / 1000) - float(timing[row, RHYTHM_INTERVALS])
            following = min(max(ratio, -MAX_LOG_RATIO), MAX_LOG_RATIO)
        rows[row, TIMING_SIZE] = following


def shapes(
    windows: Floats,
    templates: Floats,
    distances: Sequence[float | None] | Doubles,
    r_peak: int,
) -> Floats:
    """The shape of beats on one lead, rows (n, SHAPE_SIZE).

    ``windows`` and ``templates`` (n, length) with their R peak at sample ``r_peak``;
    ``distances``: see `Beat.lead_distances`, None or NaN where there is none.
    """
    rows = np.empty((len(windows), SHAPE_SIZE), np.float32)
    known = np.array(distances, np.float64)  # None: NaN
    _shapes(windows, templates, known, r_peak - BEFORE, rows)
    return rows


@compiled
def _shapes(
    windows: Floats, templates: Floats, distances: Doubles, first: int, rows: Floats
) -> None:
    for row in range(rows.shape[0]):
        for point in range(POINTS):
            window, template = np.float32(0), np.float32(0)
            for k in range(first + point * POOLED, first + (point + 1) * POOLED):
                window += windows[row, k]
                template += templates[row, k]
            window, template = window / np.float32(POOLED), template / np.float32(POOLED)
            rows[row, point] = window / AMPLITUDE
            rows[row, POINTS + point] = template / AMPLITUDE
            rows[row, 2 * POINTS + point] = (window - template) / DIFFERENCE
        distance = min(max(distances[row], -FURTHEST), FURTHEST)
        rows[row, 3 * POINTS] = NEUTRAL_DISTANCE if np.isnan(distances[row]) else distance
