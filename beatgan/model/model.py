"""A network with its calibration: beats in, scores out. Knows no stream, no file and no policy.

The score of a beat is a weighted sum of standardised components, each measured against the same
patient's own, so that it means the same on every patient.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from beatgan.model.calibration import Calibration
from beatgan.model.inference import ForwardPass, bounded, forward
from beatgan.model.networks import Autoencoder
from beatgan.spec import PreprocessSpec
from beatgan.types import Beat, Doubles, Floats, Quality, Score

TEMPLATE_SHARE = 0.5  # not 1: the template itself may be of ectopic beats
MIN_ERROR = 1e-8  # of a mean squared error, so that its logarithm is finite


class Model:
    """A ``beatgan.model.scorer.Scorer``: stateless, shared by all streams."""

    revises = False

    def __init__(
        self,
        spec: PreprocessSpec,
        network: Autoencoder,
        calibration: Calibration,
        device: torch.device | str = "cpu",
    ) -> None:
        self.network = network.to(device).eval()
        self.calibration = calibration
        self.threshold = calibration.threshold
        self._forward = forward(self.network, spec.length)
        self._spec = spec
        normal = calibration.normal_sq_diff if spec.scale == "patient" else ()
        self._normal_sq_diff = np.array(normal, np.float32) if normal else None

    def score(self, beats: Sequence[Beat]) -> list[Score]:
        """One score for each beat, in order; value None where the quality is unusable."""
        usable = [beat for beat in beats if beat.quality is not Quality.UNUSABLE]
        scored = iter(self._score(usable) if usable else ())
        return [
            self._unscored(beat) if beat.quality is Quality.UNUSABLE else next(scored)
            for beat in beats
        ]

    def revise(self, scores: Sequence[Score], next_rr_ms: Sequence[float]) -> list[Score]:  # noqa: ARG002
        """The scores as they are: the next beat says nothing more."""
        return list(scores)

    def _score(self, beats: Sequence[Beat]) -> list[Score]:
        windows = _stacked([beat.window for beat in beats])
        templates = _stacked([beat.template for beat in beats])
        found = reconstruct(self._forward, windows, templates, self._spec)
        values = self.calibration.combine(
            {
                "error": found.log_error,
                "distance": np.array([beat.distance for beat in beats], np.float64),  # None: NaN
                "prematurity": np.array([beat.prematurity for beat in beats], np.float64),
            }
        )
        saliency = self._saliency(windows, templates, found.squared_error)
        rows = zip(
            beats, values.tolist(), found.windows, found.squared_error, saliency, strict=True
        )
        return [
            Score(
                beat, value, self.threshold, window, error if beat.distance is None else against_own
            )
            for beat, value, window, error, against_own in rows
        ]

    def _saliency(self, windows: Floats, templates: Floats, error: Floats) -> Floats:
        """The squared difference from the template, sample by sample, over that of normal beats.

        0 behind the scored samples, where the next beat may begin. ``error`` where the model does
        not know how normal beats differ. All (n, length).
        """
        if self._normal_sq_diff is None:
            return error
        saliency = squared_error(windows, templates) / self._normal_sq_diff
        saliency[:, self._spec.scored.stop :] = 0
        return saliency

    def _unscored(self, beat: Beat) -> Score:
        nothing = np.empty(0, np.float32)
        return Score(beat, None, self.threshold, nothing, nothing)


@dataclass(frozen=True, slots=True, eq=False)
class Reconstruction:
    """What a network makes of windows.

    ``windows`` as reconstructed and ``squared_error`` of each sample, both (n, length).
    ``log_error`` (n,) is the score's component ``error``: the natural log of the mean squared
    error of the scored samples. Where windows are in units of the patient's template,
    TEMPLATE_SHARE times the template's own is subtracted: a patient whose every beat is unlike
    those of the training data is no anomaly.
    """

    windows: Floats
    squared_error: Floats
    log_error: Doubles


def reconstruct(
    forward_pass: ForwardPass, windows: Floats, templates: Floats, spec: PreprocessSpec
) -> Reconstruction:
    """Reconstruct ``windows`` of patients with ``templates``, both (n, length) and `bounded`."""
    if spec.scale == "beat":
        reconstructed = forward_pass(windows)
        error = squared_error(windows, reconstructed)
        return Reconstruction(reconstructed, error, log_mean(error[:, spec.scored]))
    both = np.concatenate([windows, templates])  # one pass takes less time than two
    reconstructed = forward_pass(both)
    error = squared_error(both, reconstructed)
    of_windows, of_templates = np.split(log_mean(error[:, spec.scored]), 2)
    count = len(windows)
    return Reconstruction(
        reconstructed[:count], error[:count], of_windows - TEMPLATE_SHARE * of_templates
    )


def squared_error(windows: Floats, reconstructed: Floats) -> Floats:
    """The squared error of each sample, in the shape and the squared units of ``windows``."""
    error = windows - reconstructed
    return error * error


def log_mean(error: Floats) -> Doubles:
    """The natural log of each row's mean, (n, samples) to (n,); a mean is at least MIN_ERROR."""
    # Converted first: numpy's conversion buffers would cut the sums where the batch decides.
    means = error.astype(np.float64).mean(axis=1)
    return np.asarray(np.log(np.maximum(means, MIN_ERROR)), np.float64)


def _stacked(rows: Sequence[Floats]) -> Floats:
    """``rows`` of one length as an array, bounded."""
    return bounded(np.concatenate(rows).reshape(len(rows), -1))
