"""The patient's template, a running normal beat, and how far beats usually are from it.

Both resist contamination: one ectopic beat, or a run of them, moves them little. Scores are not
known here, so what the model says never feeds back into what it is shown.
"""

import numpy as np

from beatgan.beats.recent import append, known_values, median
from beatgan.beats.window import CORE, core
from beatgan.jit import compiled
from beatgan.types import Doubles

FORGIVEN_SHARE = 0.3  # of the usual distance that is subtracted
ASSUMED_DISTANCE = -3.5  # of a clean signal; assumed until one beat was compared
MIN_USUAL, MAX_USUAL = -6.0, -1.5  # the usual distance is clipped to this: noise, or all ectopic


@compiled
def update_template(
    template: Doubles, window: Doubles, weight: float, bound: float, before: int
) -> None:
    """Move the ``template`` towards ``window``, both in millivolt.

    By the share ``weight``, and at most by that share of ``bound`` standard deviations of its core
    at any sample: Huber's location, made recursive. A running median was tried on DS1: it separated
    beats no better, for forty times the memory.
    """
    limit = bound * np.sqrt(core(template, before, np.empty(CORE)) / CORE)
    for i in range(template.size):
        template[i] += weight * min(max(window[i] - template[i], -limit), limit)


@compiled
def excess_distance(recent: Doubles, distance: float) -> float:
    """``distance`` less a share of the usual one, the median of the ``recent`` ones; append it.

    So noise is no anomaly. Only a share: where most beats are ectopic, they are the usual ones.
    """
    usual = median(known_values(recent))
    append(recent, distance)
    typical = ASSUMED_DISTANCE if np.isnan(usual) else usual
    return distance - FORGIVEN_SHARE * min(max(typical, MIN_USUAL), MAX_USUAL)
