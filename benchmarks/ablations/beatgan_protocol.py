"""A teacher and its student under the BeatGAN protocol, and their difference.

Each on the fold that it was trained for; the 95 % interval of the difference is over patients, who
are drawn anew for both at once.
    python -m benchmarks.ablations.beatgan_protocol --data DIR --teacher runs/seed-teacher-0.pt \
        --student runs/seed-student-0.pt
"""

from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.progress import Progress

from beatgan.types import Doubles
from beatgan_train.commands.evaluate import refuse_leak
from beatgan_train.data.beat_set import BeatSet
from beatgan_train.data.splits import split
from beatgan_train.data.training_set import load_beats
from beatgan_train.evaluation.bootstrap import aucs, average_precisions, draw, interval
from beatgan_train.evaluation.ranking import auc, average_precision
from beatgan_train.training.calibrate import components
from beatgan_train.training.coefficients import coefficients_of
from beatgan_train.training.model_file import read


def line(name: str, score: Doubles, beats: BeatSet) -> str:
    """AUC and AP of one of the two."""
    abnormal = beats.label != "N"
    return f"{name:10}{auc(score, abnormal):9.4f}{average_precision(score, abnormal):9.4f}"


def main(
    data: Annotated[Path, typer.Option(envvar="BEATGAN_DATA")],
    teacher: Annotated[Path, typer.Option()],
    student: Annotated[Path, typer.Option()],
) -> None:
    """Print a line for each of the two, and one for their difference."""
    torch.set_num_threads(1)
    pair = [read(teacher), read(student)]
    fold, seed = refuse_leak(pair[1].provenance, "beatgan")
    with Progress(disable=True) as bars:
        mode = pair[1].provenance["mode"]
        beats = load_beats(data, mode, "beatgan", coefficients_of(mode), bars).beats
    tested = beats.take(split("beatgan", beats, fold, seed).test)
    scores = [
        each.calibration.combine(components(each.networks.beat, tested, each.spec)) for each in pair
    ]
    typer.echo(f"fold {fold}      AUC       AP   ({len(tested)} beats)")
    typer.echo(line("teacher", scores[0], tested))
    typer.echo(line("student", scores[1], tested))
    abnormal, times = tested.label != "N", draw(len(tested.records))
    for name, figure in (("AUC", aucs), ("AP", average_precisions)):
        first, second = (figure(score, abnormal, tested.record, times) for score in scores)
        ends = interval(second - first)
        gain = float((second - first).mean())
        typer.echo(f"{name}, student - teacher: {gain:+.4f} [{ends.low:+.4f}, {ends.high:+.4f}]")


if __name__ == "__main__":
    typer.run(main)
