"""What each component, weight and cap of the score is worth on DS1, cross-validated by patient.

The error is that of the five students that a distillation has left in its run's folder, each
judging the patients that it has not seen. Labels are used to report. The last row adds what a
score could know that waits for the next beat: how much longer the interval after it is than the
one before.
    python -m benchmarks.ablations.score_components --data DIR --run runs/student
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.progress import Progress

from beatgan.model.calibration import Calibration
from beatgan.model.networks import Network
from beatgan.model.torch_modules.conversion import network_of
from beatgan.types import Doubles
from beatgan_train.data.beat_set import BeatSet
from beatgan_train.data.source import Mode, spec_of
from beatgan_train.data.splits import FOLDS, split
from beatgan_train.data.training_set import SPLIT_SEED, load_beats
from beatgan_train.evaluation.ranking import auc, average_precision, flagged
from beatgan_train.training.calibrate import UNCAPPED, calibrate, components
from beatgan_train.training.coefficients import coefficients_of
from beatgan_train.training.distillation import DistillationOptions, new_student

MODE: Mode = "full"
WAITING = (0.3, 3.0)  # weight and cap of the interval after the beat, where it is waited for


def student(run: Path, fold: int) -> Network:
    """The student of one fold, as the distillation kept it."""
    held = torch.load(run / f"fold-{fold}" / "checkpoint.pt", map_location="cpu", weights_only=True)
    sizes = {name: held["options"][name] for name in ("hidden", "middle", "bottleneck")}
    network = new_student(DistillationOptions(**sizes), spec_of(MODE))
    network.load_state_dict(held["best"])
    return network_of(network)


def held_out_scores(beats: BeatSet, run: Path) -> tuple[BeatSet, dict[str, Doubles]]:
    """DS1's beats, with the components that a student gives who has not seen their patient."""
    rows = [split("interpatient", beats, fold, SPLIT_SEED).validation for fold in range(FOLDS)]
    after = pause(beats)
    parts = [
        {**components(student(run, f), beats.take(r), spec_of(MODE)), "pause": after[r]}
        for f, r in enumerate(rows)
    ]
    pooled = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return beats.take(np.concatenate(rows)), pooled


def pause(beats: BeatSet) -> Doubles:
    """Log of the interval after each beat over the one before it, where positive."""
    times = beats.sample.astype(np.float64)
    same = np.equal(beats.record[1:], beats.record[:-1])
    between = np.where(same, np.diff(times), np.nan)
    ratio = np.log(np.append(between, np.nan) / np.append(np.nan, between))
    return np.asarray(np.maximum(0.0, np.nan_to_num(ratio)), np.float64)


def variants(plain: Calibration) -> dict[str, Calibration]:
    """The calibration with one thing changed at a time."""
    found = {"as shipped": plain}
    for name in plain.weight:
        alone = dict.fromkeys(plain.weight, 0.0) | {name: 1.0}
        found[f"{name} alone"] = replace(plain, weight=alone)
    for name, weight in plain.weight.items():
        for factor, change in ((0.0, "without"), (0.67, "a third less"), (1.5, "half more")):
            changed = {**plain.weight, name: factor * weight}
            found[f"{change} {name}" if not factor else f"{name} {change}"] = replace(
                plain, weight=changed
            )
    found["no caps"] = replace(plain, cap=dict.fromkeys(plain.cap, UNCAPPED))
    return found


def line(name: str, score: Doubles, beats: BeatSet) -> str:
    """AUC and AP overall, and of each class against N; what a threshold at 2 % of N flags of V."""
    abnormal, normal = beats.label != "N", score[beats.label == "N"]
    cells = [auc(score, abnormal), average_precision(score, abnormal)]
    for label in "VSF":
        pair = np.isin(beats.label, ["N", label])
        cells.append(auc(score[pair], abnormal[pair]))
    cells.append(flagged(score[beats.label == "V"], float(np.quantile(normal, 0.98))))
    return f"{name:26}" + "".join(f"{cell:9.4f}" for cell in cells)


def main(
    data: Annotated[Path, typer.Option(envvar="BEATGAN_DATA")],
    run: Annotated[Path, typer.Option(help="The distillation's folder.")] = Path("runs/student"),
) -> None:
    """Print one line for each variant."""
    with Progress(disable=True) as bars:
        beats, parts = held_out_scores(
            load_beats(data, MODE, "interpatient", coefficients_of(MODE), bars).beats, run
        )
    normal = beats.label == "N"
    plain = calibrate({name: values[normal] for name, values in parts.items()}, MODE)
    heads = ("AUC", "AP", "V", "S", "F", "V at 2 %")
    typer.echo(f"{'':26}" + "".join(f"{head:>9}" for head in heads))
    for name, calibration in variants(plain).items():
        typer.echo(line(name, calibration.combine(parts), beats))
    normal_pause = parts["pause"][normal]
    spread = float(np.quantile(normal_pause, 0.98)) / 2.05
    extra = WAITING[1] * np.tanh(parts["pause"] / spread / WAITING[1])
    typer.echo(line("and the pause after it", plain.combine(parts) + WAITING[0] * extra, beats))


if __name__ == "__main__":
    typer.run(main)
