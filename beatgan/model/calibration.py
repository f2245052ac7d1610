"""How the components of a beat's score are standardised, weighted and added; the threshold.

Each component is measured against normal beats, so that a score means the same on every patient.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import tanh
from typing import Any, Self

import numpy as np

from beatgan.errors import ArtifactError
from beatgan.jit import compiled
from beatgan.types import Doubles, Floats, Score

# In the order in which they are added: `log_odds` last, because a revision replaces it alone.
COMPONENTS = ("error", "distance", "prematurity", "rr_surprisal", "log_odds")
LABELLED = "log_odds"  # the one that was learnt from labels
UNLABELLED = COMPONENTS[: COMPONENTS.index(LABELLED)]  # those that no revision changes
LOWEST = -10.0  # no standardised component counts for less: it could hide another's alarm


@dataclass(frozen=True, slots=True)
class Calibration:
    """How components become one score: ``sum_i weight_i * cap_i * tanh(u_i / cap_i)``.

    ``u_i = (c_i - location_i) / spread_i``, and a cap bounds what its component can add alone.
    Components: ``error`` is the ``log_error`` of `beatgan.model.model.Reconstruction`; ``distance``
    and ``prematurity`` as in ``Beat``; ``rr_surprisal``: the negative natural log of the
    probability of an RR interval as short as this one or shorter; ``log_odds``: of the classes S, V
    and F to N, natural log. Absent ones do not count. Beats whose score is above ``threshold`` are
    anomalous.

    ``normal_sq_diff``: for each sample of a window, the mean squared difference of normal beats
    from their patients' templates. It explains a beat (see `Score`), it does not score it. Empty:
    explain by the network's error.

    Raises ArtifactError on nonsense.
    """

    location: Mapping[str, float]
    spread: Mapping[str, float]
    weight: Mapping[str, float]
    cap: Mapping[str, float]
    threshold: float
    normal_sq_diff: tuple[float, ...] = ()

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
        if not all(0 < value < math.inf for value in self.normal_sq_diff):
            raise ArtifactError("calibration: a normal_sq_diff is not positive and finite")

    def constants(self, names: Sequence[str]) -> Doubles:
        """Location, spread, weight and cap of each of ``names``, all NaN of one that is not known:
        (names, 4), as `added` wants them."""
        tables = (self.location, self.spread, self.weight, self.cap)
        return np.array([[table.get(name, math.nan) for table in tables] for name in names])

    def term(self, name: str, values: Doubles) -> Doubles:
        """What component ``name`` adds to the scores (n,) of beats with these ``values`` (n,)."""
        return self.combine({name: values})

    def combine(self, components: Mapping[str, Doubles]) -> Doubles:
        """The scores (n,) of beats with these components, each (n,).

        Of those that the calibration knows, any may be left out.
        """
        names = [name for name in COMPONENTS if name in components]
        columns = np.stack([components[name] for name in names], axis=1)
        return added(columns, self.constants(names))[0]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as stored in a model file."""
        return {
            "location": dict(self.location),
            "spread": dict(self.spread),
            "weight": dict(self.weight),
            "cap": dict(self.cap),
            "threshold": self.threshold,
            "normal_sq_diff": list(self.normal_sq_diff),
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
                normal_sq_diff=tuple(float(value) for value in values["normal_sq_diff"]),
            )
        except KeyError as error:
            raise ArtifactError(f"calibration: missing {error}") from None
        except (TypeError, ValueError, AttributeError) as error:
            raise ArtifactError(f"calibration: {error}") from None


def added(components: Doubles, constants: Doubles) -> tuple[Doubles, Floats]:
    """Scores (n,) of beats with ``components`` (n, k), and what each component adds (n, k).

    ``constants`` (k, 4): see `Calibration.constants`; a component without them adds nothing, NaN. A
    component that is not known (NaN: a patient's first beat has no distance) counts as normal.
    """
    values = np.empty(len(components))
    terms = np.empty(components.shape, np.float32)
    _add(np.ascontiguousarray(components, np.float64), constants, values, terms)
    return values, terms


@compiled
def _add(components: Doubles, constants: Doubles, values: Doubles, terms: Floats) -> None:
    for row in range(components.shape[0]):
        total = 0.0
        for k in range(components.shape[1]):
            location, spread, weight, cap = constants[k]
            units = (components[row, k] - location) / spread
            if np.isnan(units):
                units = 0.0
            term = weight * max(cap * tanh(units / cap), LOWEST)
            terms[row, k] = term
            if not np.isnan(term):
                total += term
        values[row] = total


def shares(score: Score) -> dict[str, float]:
    """What each component adds to a score; they sum to it. Empty where that is not known."""
    if score.value is None or not len(score.terms):
        return {}
    terms = zip(UNLABELLED, score.terms.tolist(), strict=True)
    known = {name: term for name, term in terms if not math.isnan(term)}
    if score.probabilities is not None:
        known[LABELLED] = score.value - sum(known.values())  # so that a revision changes it alone
    return known


def _numbers(table: Mapping[str, Any]) -> dict[str, float]:
    return {str(name): float(value) for name, value in table.items()}
