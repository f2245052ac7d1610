"""The alarms' coefficients fitted anew to annotated records, beside the present ones."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from beatgan.coefficients import AlarmCoefficients, fitted_to
from beatgan.spec import PreprocessSpec
from beatgan_train.atomic_write import write_text
from beatgan_train.training.coefficients import (
    atrial_fibrillation,
    coefficients_of,
    noise,
    ventricular,
    vf,
)
from beatgan_train.training.coefficients.regression import Fit
from beatgan_train.training.model_file import read


def run(data: Path, out: Path, model: Path | None, say: Callable[[str], None]) -> AlarmCoefficients:
    """Fit each group to mitdb, nstdb and cudb under ``data`` and write all to ``out`` as JSON.

    The ventricular group and that of atrial fibrillation are fitted to the scores of the model file
    ``model``; without one they stay as they are. The latter needs svdb and cinc2017, too. Each
    group is reported by ``say`` as soon as it is fitted.
    """
    artifact = None if model is None else read(model)
    spec = PreprocessSpec() if artifact is None else artifact.spec
    present = coefficients_of("full") if artifact is None else artifact.coefficients

    def reported(fit: Fit[Any]) -> Any:
        say("\n".join([*fit.lines(), ""]))
        return fit.refitted

    missing = [name for name in atrial_fibrillation.DATABASES if not (data / name).is_dir()]
    if artifact is not None and missing:
        say(f"atrial_fibrillation: stays as it is, {data} has no {' and no '.join(missing)}\n")

    found = AlarmCoefficients(
        noise=reported(noise.refit(data, spec, present)),
        vf=reported(vf.refit(data, spec, present)),
        ventricular=(
            present.ventricular if artifact is None else reported(ventricular.refit(data, artifact))
        ),
        atrial_fibrillation=(
            present.atrial_fibrillation
            if artifact is None or missing
            else reported(atrial_fibrillation.refit(data, artifact))
        ),
        fitted_to=fitted_to(spec),
    )
    write_text(out, f"{json.dumps(found.to_dict(), indent=2)}\n")
    return found
