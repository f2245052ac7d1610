"""What a normal beat's score looks like: location, spread and weight of each component, threshold.

Made from normal beats alone, of patients that the network was not fitted to. Sees no anomaly.
"""

from collections.abc import Mapping
from dataclasses import replace
from statistics import NormalDist
from typing import Literal

import numpy as np

from beatgan.errors import UsageError
from beatgan.model import COMPONENTS, Calibration, expect, log_mean, squared_error
from beatgan.nets import Autoencoder
from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles
from beatgan_train.dataset import BeatSet

Mode = Literal["full", "beat"]
COMPONENTS_OF: dict[Mode, tuple[str, ...]] = {"full": COMPONENTS, "beat": ("error",)}
FLAGGED = 0.02  # the share of normal beats that the threshold lets through as anomalous
NARROWEST = 1e-3  # a spread; keeps constant components finite


def spec_of(mode: Mode) -> PreprocessSpec:
    """How each mode sees a beat.

    ``full``: against the patient's own reference. ``beat``: as BeatGAN does, the beat alone,
    each scaled to its own range and judged on the whole window.
    """
    plain = PreprocessSpec()
    if mode == "full":
        return plain
    return replace(plain, scale="beat", score_before=plain.before, score_after=plain.after)


def components(network: Autoencoder, beats: BeatSet, spec: PreprocessSpec) -> dict[str, Doubles]:
    """The components of the score of each of ``beats``, each (n,); ``network`` in eval mode."""
    error = squared_error(beats.window, expect(network, beats.window))
    return {
        "error": log_mean(error[:, spec.scored]),
        "distance": beats.distance,
        "prematurity": beats.prematurity,
    }


def calibrate(
    components: Mapping[str, Doubles], mode: Mode, flagged: float = FLAGGED
) -> Calibration:
    """The calibration from normal beats' ``components``, each (n,); see Calibration.

    Location is the median. Spread is the distance from there to the quantile that a share
    ``flagged`` of normal beats exceeds, divided by what it is for a normal distribution: so each
    component at the same standardised value would by itself flag the same share. (The usual
    median absolute deviation is useless here: most normal beats have prematurity 0. A standard
    deviation lets one patient's flutter decide.) The components of the mode weigh the same.
    ``threshold`` is the same quantile of the sum. Raises UsageError if ``flagged`` is no share or
    if there are too few beats to tell that quantile.
    """
    names = COMPONENTS_OF[mode]
    count = len(components[names[0]])
    if not 0 < flagged < 0.5 or count * flagged < 1:
        raise UsageError(f"cannot tell the beats that {flagged:g} of {count} normal beats exceed")
    draft = Calibration(
        location={name: float(np.median(components[name])) for name in names},
        spread={name: _spread(components[name], flagged) for name in names},
        weight=dict.fromkeys(names, 1.0),
        threshold=0.0,
    )
    threshold = float(np.quantile(draft.combine(components), 1 - flagged))
    return Calibration(draft.location, draft.spread, draft.weight, threshold)


def _spread(values: Doubles, flagged: float) -> float:
    """The upper half's spread, in the units of a standard deviation."""
    reach = float(np.quantile(values, 1 - flagged) - np.median(values))
    return max(NARROWEST, reach / NormalDist().inv_cdf(1 - flagged))
