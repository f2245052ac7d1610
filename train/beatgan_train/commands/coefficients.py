"""The alarms' coefficients fitted anew to annotated records, beside the present ones."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from beatgan.coefficients import AlarmCoefficients, fitted_to
from beatgan.spec import PreprocessSpec
from beatgan_train.atomic_write import write_text
from beatgan_train.training.coefficients import (
    atrial_fibrillation,
    coefficients_of,
    noise,
    ventricular_run,
    vf,
)
from beatgan_train.training.coefficients.regression import Fit
from beatgan_train.training.model_file import convert, read, write


def run(
    data: Path,
    out: Path,
    model: Path | None,
    say: Callable[[str], None],
    fold_models: Path | None = None,
) -> AlarmCoefficients:
    """Fit each group to mitdb, nstdb and cudb under ``data`` and write all to ``out`` as JSON.

    Those of ventricular runs and of atrial fibrillation are fitted to the scores of the model file
    ``model``, and to more databases; without one, or where a database is missing, they stay as they
    are. Each group is reported by ``say`` as soon as it is fitted.

    ``fold_models``, a folder, takes the model with the weights of ventricular runs of each fold of
    the cross-validation, and ``folds.json``: for each record the model that has not seen it.
    """
    artifact = None if model is None else read(model)
    spec = PreprocessSpec() if artifact is None else artifact.spec
    present = coefficients_of("full") if artifact is None else artifact.coefficients

    def reported(fit: Fit[Any]) -> Any:
        say("\n".join([*fit.lines(), ""]))
        return fit.refitted

    def possible(group: str, databases: Sequence[str]) -> bool:
        missing = [name for name in databases if not (data / name).is_dir()]
        if artifact is not None and missing:
            say(f"{group}: stays as it is, {data} has no {' and no '.join(missing)}\n")
        return artifact is not None and not missing

    runs = present.ventricular_run
    if possible("ventricular_run", ventricular_run.DATABASES) and artifact is not None:
        parts = list(ventricular_run.all_rows(data, artifact))
        folds = ventricular_run.fold_fits(parts)
        runs = reported(ventricular_run.refit(parts, folds, runs))
        if fold_models is not None and model is not None:
            _write_folds(fold_models, model, present, folds)
    fibrillation = present.atrial_fibrillation
    if possible("atrial_fibrillation", atrial_fibrillation.DATABASES) and artifact is not None:
        fibrillation = reported(atrial_fibrillation.refit(data, artifact))
    found = AlarmCoefficients(
        noise=reported(noise.refit(data, spec, present)),
        vf=reported(vf.refit(data, spec, present)),
        ventricular_run=runs,
        atrial_fibrillation=fibrillation,
        fitted_to=fitted_to(spec),
    )
    write_text(out, f"{json.dumps(found.to_dict(), indent=2)}\n")
    return found


def _write_folds(
    folder: Path,
    model: Path,
    present: AlarmCoefficients,
    folds: Sequence[ventricular_run.FoldFit],
) -> None:
    """The model file of each fold, and which belongs to which record."""
    folder.mkdir(parents=True, exist_ok=True)
    of_record: dict[str, str] = {}
    for k, (left_out, fitted) in enumerate(folds):
        name = f"fold-{k}.pt"
        write(convert(model, replace(present, ventricular_run=fitted)), folder / name)
        of_record |= {each.record: name for each in left_out}
    write_text(folder / "folds.json", f"{json.dumps(of_record, indent=2)}\n")
