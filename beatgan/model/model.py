"""A network with its calibration: beats in, scores out. Knows no stream, no file and no policy.

The score of a beat is a weighted sum of standardised components, each measured against the same
patient's own, so that it means the same on every patient.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch

from beatgan.errors import ArtifactError
from beatgan.model.inference import Expect, bounded, forward
from beatgan.model.networks import Autoencoder
from beatgan.spec import PreprocessSpec
from beatgan.types import Beat, Doubles, Floats, Quality, Score

COMPONENTS = ("error", "distance", "prematurity")
LOWEST = -10.0  # no standardised component counts for less: it could hide another's alarm
RELIEF = 0.5  # not 1: the reference itself may be of ectopic beats
FLOOR = 1e-8  # of a mean squared error, so that its logarithm is finite


@dataclass(frozen=True, slots=True)
class Calibration:
    """How components become one score: ``sum_i weight_i * cap_i * tanh(u_i / cap_i)``.

    ``u_i = (c_i - location_i) / spread_i``, and a cap bounds what its component can say alone.
    Components: ``error`` as in `reconstruct`; ``distance`` and ``prematurity`` as in ``Beat``.
    Absent ones do not count. Beats whose score is above ``threshold`` are anomalous.

    ``usual``: for each tick, the mean squared difference of normal beats from their patients'
    references; by it a beat is explained, not scored. Empty: explain by the network's error.

    Raises ArtifactError on nonsense.
    """

    location: Mapping[str, float]
    spread: Mapping[str, float]
    weight: Mapping[str, float]
    cap: Mapping[str, float]
    threshold: float
    usual: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        names = set(self.weight)
        if not names or not names <= set(COMPONENTS):
            raise ArtifactError(f"calibration: components {sorted(names)} not in {COMPONENTS}")
        tables = (self.location, self.spread, self.weight, self.cap)
        if any(set(table) != names for table in tables):
            raise ArtifactError("calibration: location, spread, weight, cap differ in components")
        numbers = [number for table in tables for number in table.values()]
        if not all(math.isfinite(number) for number in [*numbers, self.threshold]):
            raise ArtifactError("calibration: a value is not finite")
        if min(*self.spread.values(), *self.cap.values()) <= 0:
            raise ArtifactError("calibration: a spread or a cap is not positive")
        if not all(0 < value < math.inf for value in self.usual):
            raise ArtifactError("calibration: a usual difference is not positive and finite")

    def standardise(self, name: str, values: Doubles) -> Doubles:
        """Component ``name`` in units of its spread, bounded by its cap and by LOWEST.

        What is not known (NaN: a patient's first beat has no distance) counts as usual: 0.
        """
        units = np.nan_to_num((values - self.location[name]) / self.spread[name], nan=0.0)
        cap = self.cap[name]
        return np.maximum(cap * np.tanh(units / cap), LOWEST)

    def combine(self, components: Mapping[str, Doubles]) -> Doubles:
        """The scores (n,) of beats with these components, each (n,)."""
        # Term by term: a matrix product may round differently with the number of rows.
        terms = [
            weight * self.standardise(name, components[name])
            for name, weight in self.weight.items()
        ]
        return np.asarray(np.sum(terms, axis=0), np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as stored in a model file."""
        return {
            "location": dict(self.location),
            "spread": dict(self.spread),
            "weight": dict(self.weight),
            "cap": dict(self.cap),
            "threshold": self.threshold,
            "usual": list(self.usual),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The calibration stored as ``values``; raises ArtifactError on what is not one."""
        try:
            return cls(
                location=_numbers(values["location"]),
                spread=_numbers(values["spread"]),
                weight=_numbers(values["weight"]),
                cap=_numbers(values["cap"]),
                threshold=float(values["threshold"]),
                usual=tuple(float(value) for value in values["usual"]),
            )
        except KeyError as error:
            raise ArtifactError(f"calibration: missing {error}") from None
        except (TypeError, ValueError, AttributeError) as error:
            raise ArtifactError(f"calibration: {error}") from None


class Model:
    """A ``beatgan.model.scorer.Scorer``: stateless, shared by all streams."""

    def __init__(
        self,
        spec: PreprocessSpec,
        network: Autoencoder,
        calibration: Calibration,
        device: torch.device | str = "cpu",
    ) -> None:
        self.network = network.to(device).eval()
        self._expect = forward(self.network, spec.length)
        self.calibration = calibration
        self.threshold = calibration.threshold
        self._spec = spec
        usual = calibration.usual
        self._usual = np.array(usual, np.float32) if usual and spec.scale == "patient" else None

    def score(self, beats: Sequence[Beat]) -> list[Score]:
        """One score for each beat, in order; value None where the quality is unusable."""
        usable = [beat for beat in beats if beat.quality is not Quality.UNUSABLE]
        scored = iter(self._score(usable) if usable else ())
        return [
            self._unscored(beat) if beat.quality is Quality.UNUSABLE else next(scored)
            for beat in beats
        ]

    def _score(self, beats: Sequence[Beat]) -> list[Score]:
        windows = _stacked([beat.window for beat in beats])
        references = _stacked([beat.template for beat in beats])
        found = reconstruct(self._expect, windows, references, self._spec)
        values = self.calibration.combine(
            {
                "error": found.surprise,
                "distance": np.array([beat.distance for beat in beats], np.float64),  # None: NaN
                "prematurity": np.array([beat.prematurity for beat in beats], np.float64),
            }
        )
        unlike = self._unlike(windows, references, found.error)
        told = zip(beats, values.tolist(), found.expected, found.error, unlike, strict=True)
        return [
            Score(
                beat, value, self.threshold, expected, error if beat.distance is None else unusual
            )
            for beat, value, expected, error, unusual in told
        ]

    def _unlike(self, windows: Floats, references: Floats, error: Floats) -> Floats:
        """How unusual each tick's difference from the reference is; 0 behind the scored ticks,
        where the next beat may begin. The ``error`` where nothing is known of usual differences.
        """
        if self._usual is None:
            return error
        unlike = squared_error(windows, references) / self._usual
        unlike[:, self._spec.scored.stop :] = 0
        return unlike

    def _unscored(self, beat: Beat) -> Score:
        nothing = np.empty(0, np.float32)
        return Score(beat, None, self.threshold, nothing, nothing)


@dataclass(frozen=True, slots=True, eq=False)
class Reconstruction:
    """What a network makes of windows: ``expected`` and squared ``error``, both (n, length), and
    ``surprise`` (n,), the score's component ``error``.
    """

    expected: Floats
    error: Floats
    surprise: Doubles


def reconstruct(
    expect: Expect, windows: Floats, references: Floats, spec: PreprocessSpec
) -> Reconstruction:
    """What a network, whose forward pass is ``expect``, makes of ``windows`` of patients with
    ``references``, both (n, length), and both `bounded`.

    The surprise is the natural log of the mean squared error of the scored ticks. Where windows are
    in units of the patient's reference, RELIEF times that of the reference itself is taken off:
    a patient whose every beat is unlike those learnt from is no anomaly.
    """
    if spec.scale == "beat":
        expected = expect(windows)
        error = squared_error(windows, expected)
        return Reconstruction(expected, error, log_mean(error[:, spec.scored]))
    both = np.concatenate([windows, references])  # one pass takes less time than two
    expected = expect(both)
    error = squared_error(both, expected)
    surprise, strange = np.split(log_mean(error[:, spec.scored]), 2)
    count = len(windows)
    return Reconstruction(expected[:count], error[:count], surprise - RELIEF * strange)


def squared_error(windows: Floats, expected: Floats) -> Floats:
    """The squared error of each tick, shape and square units of ``windows``."""
    error = windows - expected
    return error * error


def log_mean(error: Floats) -> Doubles:
    """Component ``error``: the natural log of each row's mean, (n, ticks) to (n,)."""
    # Converted first: numpy's conversion buffers would cut the sums where the batch decides.
    means = error.astype(np.float64).mean(axis=1)
    return np.asarray(np.log(np.maximum(means, FLOOR)), np.float64)


def _stacked(rows: Sequence[Floats]) -> Floats:
    """``rows`` of one length as an array, bounded."""
    return bounded(np.concatenate(rows).reshape(len(rows), -1))


def _numbers(table: Mapping[str, Any]) -> dict[str, float]:
    return {str(name): float(value) for name, value in table.items()}
