"""The regression by which all coefficients are fitted, and what a fit reports."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from sklearn.linear_model import LogisticRegression

from beatgan.types import Bools, Doubles

FOLDS = 5
DECIMALS = 2  # to which coefficients are rounded: far finer than patients differ

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Fit(Generic[C]):
    """One group of coefficients fitted anew, beside the present one.

    ``costs``: lines that say what either does on recordings that the fit was not made of.
    """

    name: str
    present: C
    refitted: C
    costs: tuple[str, ...]

    def lines(self) -> list[str]:
        """Each coefficient before and after, then the costs."""
        present, refitted = flat(self.present), flat(self.refitted)
        rows = [
            f"  {name:38}{value:10.2f}{refitted[name]:10.2f}{refitted[name] - value:+10.2f}"
            for name, value in present.items()
        ]
        head = f"{self.name:40}{'present':>10}{'refitted':>10}{'change':>10}"
        return [head, *rows, *(f"  {cost}" for cost in self.costs)]


def flat(coefficients: Any, path: str = "") -> dict[str, float]:
    """Every number of nested dataclasses, by its dotted name."""
    found: dict[str, float] = {}
    for field in fields(coefficients):
        value, name = getattr(coefficients, field.name), f"{path}{field.name}"
        found |= flat(value, f"{name}.") if is_dataclass(value) else {name: value}
    return found


def logistic_regression(
    x: Doubles, positive: Bools, weight: Doubles, ridge: float | None = None
) -> Doubles:
    """The weights of the columns of ``x`` and the offset, of rows that count ``weight`` each.

    ``ridge`` penalises weights of columns in units of their spread; without it there is no penalty.
    """
    middle, spread = x.mean(axis=0), x.std(axis=0)
    strength = np.inf if ridge is None else 1 / ridge
    model = LogisticRegression(C=strength, tol=1e-8, max_iter=1000, solver="newton-cholesky")
    model.fit((x - middle) / spread, positive, sample_weight=weight)
    weights = model.coef_[0] / spread
    return np.append(weights, model.intercept_[0] - weights @ middle)


def rounded(found: Doubles) -> list[float]:
    """As they are written to a file."""
    values: list[float] = (found.round(DECIMALS) + 0.0).tolist()
    return values


def folds(names: Sequence[str]) -> dict[str, int]:
    """The fold in which each patient is left out: all of a patient's recordings in the same."""
    patients = list(dict.fromkeys(names))
    order = np.random.default_rng(0).permutation(patients).tolist()
    return {patient: place % FOLDS for place, patient in enumerate(order)}
