"""The fitted coefficients that a newly trained model is given, from the file beside this one."""

import json
from dataclasses import replace
from functools import cache
from importlib.resources import files

from beatgan.coefficients import AlarmCoefficients, fitted_to
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
