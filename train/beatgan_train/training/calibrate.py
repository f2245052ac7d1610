"""What a normal beat's score looks like: location, spread and weight of each component, threshold.

Made from normal beats alone, of patients that the network was not fitted to. Sees no anomaly.
"""

from collections.abc import Mapping
from dataclasses import replace
from statistics import NormalDist

import numpy as np

from beatgan.ec57.annotations import Labels
from beatgan.errors import UsageError
from beatgan.model.calibration import LABELLED, Calibration
from beatgan.model.model import Look
from beatgan.model.networks import Network
from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles
from beatgan_train.data.beat_set import BeatSet
from beatgan_train.data.source import Mode

UNCAPPED = 1e3  # of standard deviations: never reached
# Weight and cap of each component: on DS1 and svdb, each without what learnt from it; where one
# gains and the other loses, between them (docs/training.md).
WEIGHTS: dict[Mode, dict[str, tuple[float, float]]] = {
    "full": {"error": (0.2, 2.0), "distance": (1.0, UNCAPPED), "prematurity": (1.0, 3.0)},
    "beat": {"error": (1.0, UNCAPPED)},
}
HEAD_WEIGHTS: dict[str, tuple[float, float]] = {  # of the components of timing and class
    "rr_surprisal": (0.3, 4.0),
    LABELLED: (0.8, UNCAPPED),
}
FLAGGED = 0.015  # the share of normal beats that the threshold lets through as anomalous
TAIL = 0.02  # of normal beats, by which spreads are measured
NARROWEST = 1e-3  # a spread; keeps constant components finite


def components(network: Network, beats: BeatSet, spec: PreprocessSpec) -> dict[str, Doubles]:
    """The components of the score of each of ``beats``, each (n,)."""
    found = Look(network, spec)(beats.window, beats.reference)
    return {
        "error": found.log_error,
        "distance": beats.distance,
        "prematurity": beats.prematurity,
    }


def calibrate(
    components: Mapping[str, Doubles], mode: Mode, flagged: float = FLAGGED
) -> Calibration:
    """The calibration from normal beats' ``components``, each (n,); see Calibration.

    Location is the median. Spread is the distance from there to the quantile that a share TAIL of
    normal beats exceeds, divided by what it is for a normal distribution: so each component at
    the same standardised value would by itself flag the same share. (The usual median absolute
    deviation is useless here: most normal beats have prematurity 0. A standard deviation lets one
    patient's flutter decide.) ``threshold`` is the score that a share ``flagged`` exceeds. Raises
    UsageError if ``flagged`` is no share or if there are too few beats to estimate it.
    """
    weights = WEIGHTS[mode]
    names = [name for name in weights if name in components]
    count = len(components[names[0]])
    if not 0 < flagged < 0.5 or count * flagged < 1:
        raise UsageError(f"cannot estimate what {flagged:g} of {count} normal beats exceed")
    draft = Calibration(
        location={name: float(np.nanmedian(components[name])) for name in names},
        spread={name: _spread(components[name]) for name in names},
        weight={name: weights[name][0] for name in names},
        cap={name: weights[name][1] for name in names},
        threshold=0.0,
    )
    threshold = float(np.quantile(draft.combine(components), 1 - flagged))
    return replace(draft, threshold=threshold)


def with_heads(
    calibration: Calibration,
    components: Mapping[str, Doubles],
    database: Labels,
    flagged: float = FLAGGED,
) -> Calibration:
    """A student's calibration with its new components, and a threshold for all together.

    ``components`` of normal beats of patients unseen, each (n,), and the ``database`` (n,) of
    each. Databases count alike, however many beats they have: ``threshold`` is the score that a
    share ``flagged`` of their normal beats exceeds on the mean. What the student knew already
    keeps its location and spread. The log odds of classes mean the same everywhere: their spread
    is 1. Raises UsageError if ``flagged`` cannot be estimated.
    """
    count = len(database)
    if not 0 < flagged < 0.5 or count * flagged < 1:
        raise UsageError(f"cannot estimate what {flagged:g} of {count} normal beats exceed")
    _, place, beats = np.unique(database, return_inverse=True, return_counts=True)
    weight = 1 / beats[place]
    spreads = {"rr_surprisal": _spread(components["rr_surprisal"]), LABELLED: 1.0}
    names = {**WEIGHTS["full"], **HEAD_WEIGHTS}
    located = {name: float(np.nanmedian(components[name])) for name in HEAD_WEIGHTS}
    draft = replace(
        calibration,
        location={**calibration.location, **located},
        spread={**calibration.spread, **spreads},
        weight={name: names[name][0] for name in names},
        cap={name: names[name][1] for name in names},
    )
    scores = draft.combine(components)
    order = np.argsort(scores)
    below = np.cumsum(weight[order]) / weight.sum()
    threshold = float(scores[order][np.searchsorted(below, 1 - flagged)])
    return replace(draft, threshold=threshold)


def normal_sq_diff(beats: BeatSet, spec: PreprocessSpec) -> tuple[float, ...]:
    """Mean squared difference of normal ``beats`` from their references, for each sample.

    Empty where a beat is not seen in its patient's units.
    """
    if spec.scale != "patient":
        return ()
    apart = (beats.window - beats.reference).astype(np.float64)
    return tuple((NARROWEST + (apart**2).mean(axis=0)).tolist())


def _spread(values: Doubles) -> float:
    """The upper half's spread, in the units of a standard deviation."""
    reach = float(np.nanquantile(values, 1 - TAIL) - np.nanmedian(values))
    return max(NARROWEST, reach / NormalDist().inv_cdf(1 - TAIL))
