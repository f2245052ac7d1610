"""The fitted coefficients that a newly trained model is given, from the file beside this one."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from beatgan.coefficients import GROUPS, AlarmCoefficients, fitted_to
from beatgan.errors import ArtifactError, UsageError
from beatgan.spec import PreprocessSpec
from beatgan_train.data.source import Mode, spec_of


@cache
def coefficients_of(mode: Mode) -> AlarmCoefficients:
    """The coefficients of models of ``mode``: those fitted to mode ``full``.

    Mode ``beat`` exists to compare with the published method. Nothing was fitted to it, and its
    alarms were never measured: it is given the same numbers, marked as fitting its spec.
    """
    values = json.loads(files(__name__).joinpath("fitted.json").read_text(encoding="utf-8"))
    fitted = AlarmCoefficients.from_dict(values)
    return fitted if mode == "full" else replace(fitted, fitted_to=fitted_to(spec_of(mode)))


def completed(values: Mapping[str, Any], spec: PreprocessSpec, mode: Mode) -> AlarmCoefficients:
    """The coefficients stored as ``values``; groups that they lack are those that ship.

    Groups of earlier versions are left out. Raises ArtifactError where those that ship were fitted
    to another spec than ``spec``.
    """
    shipped = coefficients_of(mode)
    missing = [name for name in GROUPS if name not in values]
    shipped.check_fits(spec, missing)
    table = shipped.to_dict()
    known = {name: value for name, value in values.items() if name in table}
    whole = {**known, **{name: table[name] for name in missing}}
    if isinstance(stated := values.get("fitted_to"), Mapping):
        whole["fitted_to"] = {**table["fitted_to"], **stated}
    return AlarmCoefficients.from_dict(whole)


def read_coefficients(path: Path) -> AlarmCoefficients:
    """What ``beatgan-train coefficients`` wrote to ``path``.

    Raises UsageError where it cannot be read, ArtifactError where it holds no coefficients.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    try:
        return AlarmCoefficients.from_dict(values)
    except (ArtifactError, AttributeError, TypeError) as error:
        raise ArtifactError(f"{path}: {error}") from error
