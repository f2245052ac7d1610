"""What each choice in the student is worth, cross-validated by patient within DS1.

For each variant five students, each judging the patients that it has not seen. DS1's labels are
used to report, never to train. Differences under .005 between single runs are noise; and the
teacher has seen the normal beats of four folds' patients, which flatters the variants with one.
    python benchmarks/distillation.py --data DIR --teacher runs/teacher.pt
"""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console

from beatgan_train.calibrate import calibrate, components, spec_of
from beatgan_train.dataset import FOLDS, BeatSet, split
from beatgan_train.distill import common_source, distil, open_teacher, prepare
from beatgan_train.distillation import DistilOptions, Ensemble
from beatgan_train.material import SPLIT_SEED, load_beats, material
from beatgan_train.progress import Terminal
from beatgan_train.ranking import auc, average_precision
from beatgan_train.teacher import Place


def variants(plain: DistilOptions) -> dict[str, DistilOptions]:
    """The same student with and without a teacher, term by term; then other bottlenecks."""
    alone = replace(plain, output=0.0, kl=0.0, hinton=0.0)
    return {
        "as shipped": plain,
        "no teacher": alone,
        "output matching": replace(alone, output=plain.output),
        "batch KL": replace(alone, kl=plain.kl),
        "Hinton": replace(alone, hinton=plain.hinton),
        **{f"bottleneck {size}": replace(plain, bottleneck=size) for size in (4, 6, 12, 16, 24)},
    }


def judged(beats: BeatSet, parts: list[dict[str, np.ndarray]]) -> str:
    """AUC and AP of the error alone and of the full score, over all of DS1's patients."""
    pooled = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    rows = np.isin(beats.label, ["N", "S", "V", "F"])
    abnormal = beats.label[rows] != "N"
    usual = {name: values[beats.label == "N"] for name, values in pooled.items()}
    full = calibrate(usual, "full").combine(pooled)
    return "".join(
        f"{auc(score[rows], abnormal):10.4f}{average_precision(score[rows], abnormal):10.4f}"
        for score in (pooled["error"], full)
    )


def main(
    data: Annotated[Path, typer.Option(envvar="BEATGAN_DATA")],
    teacher: Annotated[Path, typer.Option()],
    seed: int = 0,
    epochs: int = 15,
) -> None:
    """Print one line for each variant."""
    torch.set_num_threads(1)  # two would wait for each other over networks this small
    artifact = open_teacher(teacher)
    source, spec = common_source([artifact]), spec_of("full")
    ensemble = Ensemble({artifact.digest: artifact.network})
    quiet = Terminal(Console(quiet=True))
    with quiet as terminal:
        loaded = load_beats(data, source.mode, source.protocol, terminal.bars)
        stuff = [material(loaded, source.mode, source.protocol, fold) for fold in range(FOLDS)]
        rows = [
            split(source.protocol, loaded.beats, fold, SPLIT_SEED).validation
            for fold in range(FOLDS)
        ]
        everyone = loaded.beats.take(np.concatenate(rows))
        plain = DistilOptions(seed=seed, epochs=epochs)
        curricula = [prepare(ensemble, each, plain) for each in stuff]
        head = "".join(f"{name:>10}" for name in ("error AUC", "AP", "full AUC", "AP"))
        typer.echo(f"{'variant':18}{head}")
        for name, options in variants(plain).items():
            parts = []
            for fold in range(FOLDS):
                with TemporaryDirectory() as run:
                    place = Place(data, Path(run) / "student.pt", Path(run), False)
                    graduate = distil(curricula[fold], stuff[fold], options, place, terminal)
                parts.append(components(graduate.student, loaded.beats.take(rows[fold]), spec))
            typer.echo(f"{name:18}{judged(everyone, parts)}")


if __name__ == "__main__":
    typer.run(main)
