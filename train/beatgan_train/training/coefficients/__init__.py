"""The fitted coefficients that a newly trained model is given, from the file beside this one."""

import json
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path

from beatgan.coefficients import AlarmCoefficients, fitted_to
from beatgan.errors import ArtifactError, UsageError
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
