"""The trivial scores that a trained model has to beat, fitted on the same training beats.

Each is a function from a training set and a test set to one score a beat, higher is more
anomalous. They see what the front end gives and nothing else: no network, no labels of abnormal
beats.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.linalg import eigh

from beatgan.errors import UsageError
from beatgan.types import Doubles, Floats
from beatgan_train.data.beat_set import BeatSet

LEAST_FITTED = 31  # training beats that each of BASELINES can be fitted to
TEMPLATE_AND_RR = "template + RR"  # what a network has to beat

Baseline = Callable[[BeatSet, BeatSet], Doubles]


def rr_only(_train: BeatSet, test: BeatSet) -> Doubles:
    """Prematurity: how much earlier than usual the beat came, and nothing of its shape."""
    return test.prematurity


def template_only(_train: BeatSet, test: BeatSet) -> Doubles:
    """Distance to the patient's own running reference beat, and nothing of its timing."""
    return _distance(test)


def template_and_rr(train: BeatSet, test: BeatSet) -> Doubles:
    """Both, each in standard deviations of the training beats, added with equal weights.

    Training-free but for these four numbers; the figure that a network has to beat.
    """
    parts = [(_distance(train), _distance(test)), (train.prematurity, test.prematurity)]
    terms = [(x - seen.mean()) / max(float(seen.std()), 1e-9) for seen, x in parts]
    return np.asarray(terms[0] + terms[1], np.float64)


def _distance(beats: BeatSet) -> Doubles:
    """The distance of each beat; where there is none (a patient's first beat), the usual one."""
    known = beats.distance[~np.isnan(beats.distance)]
    return np.nan_to_num(beats.distance, nan=float(np.median(known)) if len(known) else 0.0)


def pca(components: int, train: BeatSet, test: BeatSet) -> Doubles:
    """Mean squared error of each window rebuilt from the training windows' main components."""
    if len(train) <= components:
        raise UsageError(f"PCA with {components} components needs more than {len(train)} beats")
    mean, basis = principal_axes(train.window, components)
    centred = test.window - mean
    rest = centred - centred @ basis @ basis.T
    return np.asarray(np.mean(rest.astype(np.float64) ** 2, axis=1), np.float64)


def principal_axes(windows: Floats, components: int) -> tuple[Floats, Floats]:
    """The mean (length,) and the main axes (length, components) of windows (n, length)."""
    mean = windows.mean(axis=0)
    centred = (windows - mean).astype(np.float64)
    covariance = centred.T @ centred / len(windows)
    length = windows.shape[1]
    _, axes = eigh(covariance, subset_by_index=[length - components, length - 1])
    return mean, axes.astype(np.float32)


BASELINES: dict[str, Baseline] = {
    "PCA-10 reconstruction": partial(pca, 10),
    "PCA-30 reconstruction": partial(pca, 30),
    "RR only (prematurity)": rr_only,
    "template only (distance)": template_only,
    TEMPLATE_AND_RR: template_and_rr,
}
UNFITTED = ("RR only (prematurity)", "template only (distance)")  # those that need no fitting
