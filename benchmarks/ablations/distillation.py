"""What each form of distillation is worth to one and the same student.

Under the teachers' own protocol. ``interpatient``: five students for each variant and seed, each
judging the patients of DS1 that it has not seen; labels are used to report, never to train.
``beatgan``: one student, judging the fifth of the normal beats that is tested on, and the abnormal
ones. Each figure is the mean over the seeds; the difference from the first variant has an interval
over patients. With several teachers the last variant learns from all of them, the others from the
first alone.
    python -m benchmarks.ablations.distillation --data DIR --teacher runs/teacher.pt
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console

from beatgan.model.artifact import Artifact
from beatgan.types import Doubles, Ints
from beatgan_train.commands.student import (
    Components,
    DistillationData,
    common_source,
    distil,
    ensemble_of,
    open_teacher,
    prepare,
)
from beatgan_train.commands.teacher import TrainingPaths
from beatgan_train.data.beat_set import BeatSet
from beatgan_train.data.source import Source, spec_of
from beatgan_train.data.splits import FOLDS, split
from beatgan_train.data.training_set import (
    SPLIT_SEED,
    LoadedBeats,
    TrainingSet,
    load_beats,
    make_training_set,
)
from beatgan_train.evaluation.bootstrap import aucs, draw, interval
from beatgan_train.evaluation.ranking import auc, average_precision
from beatgan_train.progress import TerminalProgress
from beatgan_train.training.calibrate import calibrate, components
from beatgan_train.training.coefficients import coefficients_of
from beatgan_train.training.distillation import DistillationOptions

HEAD = ("error AUC", "AP", "full AUC", "AP", "spread", "minus first, 95 % interval")


@dataclass(frozen=True, slots=True, eq=False)
class ScoredBeats:
    """The beats that a protocol tests on, with the components of one student's scores."""

    beats: BeatSet
    parts: Components


def variants(plain: DistillationOptions) -> dict[str, DistillationOptions]:
    """The same student without a teacher, with each term alone, and with all."""
    alone = replace(plain, output=0.0)
    return {
        "no teacher": alone,
        "output (chosen)": plain,
        "batch KL": replace(alone, kl=0.01),
        "rank": replace(alone, rank=0.01),
        "score": replace(alone, score=0.01),
        "Hinton": replace(alone, hinton=0.01),
        "features": replace(alone, features=0.1),
        "all together": replace(plain, kl=0.01, rank=0.01, score=0.01, features=0.1, hinton=0.01),
    }


def tested(beats: BeatSet, source: Source, fold: int) -> Ints:
    """The rows that a student of this fold is tested on."""
    rows = split(source.protocol, beats, fold, SPLIT_SEED)
    return rows.validation if source.protocol == "interpatient" else rows.test


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """One fold's beats, what the teachers make of them, and the rows that its student is tested on.

    Made once for all variants and seeds: the teachers' own work takes most of the time.
    """

    training_set: TrainingSet
    distillation_data: DistillationData
    test_rows: Ints


def make_folds(loaded: LoadedBeats, source: Source, teachers: Sequence[Artifact]) -> list[Fold]:
    """What the protocol asks for: all folds, or the teachers' own."""
    ensemble = ensemble_of(teachers)
    found = []
    for number in range(FOLDS) if source.protocol == "interpatient" else [source.fold]:
        training_set = make_training_set(loaded, source.mode, source.protocol, number)
        options = DistillationOptions(kl=1.0)  # so that there are altered beats
        distillation_data = prepare(ensemble, training_set, options)
        found.append(Fold(training_set, distillation_data, tested(loaded.beats, source, number)))
    return found


def students(
    loaded: LoadedBeats, source: Source, folds: Sequence[Fold], options: DistillationOptions
) -> ScoredBeats:
    """A student of each fold, and the scores of all of them together."""
    spec = spec_of(source.mode)
    parts: list[Components] = []
    for fold in folds:
        with TemporaryDirectory() as run, TerminalProgress(Console(quiet=True)) as terminal:
            paths = TrainingPaths(Path(), Path(run) / "student.pt", Path(run), False)
            result = distil(fold.distillation_data, fold.training_set, options, paths, terminal)
        parts.append(components(result.student, loaded.beats.take(fold.test_rows), spec))
    pooled = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return ScoredBeats(loaded.beats.take(np.concatenate([c.test_rows for c in folds])), pooled)


def scores(scored: ScoredBeats, source: Source) -> list[Doubles]:
    """The error alone, where there is one, and the full score of the mode."""
    normal = scored.beats.label == "N"
    usual = {name: values[normal] for name, values in scored.parts.items()}
    alone = [scored.parts["error"]] if "error" in scored.parts else []
    return [*alone, calibrate(usual, source.mode).combine(scored.parts)]


def line(
    name: str, found: Sequence[ScoredBeats], first: Sequence[ScoredBeats], source: Source
) -> str:
    """Means over the seeds, the seeds' spread, and the difference from the first variant."""
    beats = found[0].beats
    abnormal = beats.label != "N"
    figures = [
        [f(score, abnormal) for score in scores(one, source) for f in (auc, average_precision)]
        for one in found
    ]
    gain = drawn(found, source) - drawn(first, source)
    ends = interval(gain)
    means = "".join(f"{value:10.4f}" for value in np.mean(figures, axis=0))
    spread = np.std([row[0] for row in figures], ddof=1) if len(figures) > 1 else np.nan
    return (
        f"{name:18}{means}{spread:10.4f}   {gain.mean():+.4f} [{ends.low:+.4f}, {ends.high:+.4f}]"
    )


def without_network(scored: ScoredBeats, source: Source) -> str:
    """What is left of the full score where no network is asked."""
    parts = {name: values for name, values in scored.parts.items() if name != "error"}
    score, abnormal = (
        scores(replace(scored, parts=parts), source)[-1],
        scored.beats.label != "N",
    )
    figures = auc(score, abnormal), average_precision(score, abnormal)
    return f"{'no network':18}{'':20}" + "".join(f"{value:10.4f}" for value in figures)


def drawn(found: Sequence[ScoredBeats], source: Source) -> Doubles:
    """The error's AUC for each draw of patients, mean over the seeds."""
    beats = found[0].beats
    times = draw(len(beats.records))
    each = [aucs(scores(one, source)[0], beats.label != "N", beats.record, times) for one in found]
    return np.asarray(np.mean(each, axis=0), np.float64)


def main(
    data: Annotated[Path, typer.Option(envvar="BEATGAN_DATA")],
    teacher: Annotated[list[Path], typer.Option()],
    seeds: int = 3,
    epochs: int = 6,
    only: Annotated[list[str] | None, typer.Option(help="These rows, besides the first.")] = None,
) -> None:
    """Print one line for each variant."""
    torch.set_num_threads(1)  # two would wait for each other over networks this small
    teachers = [open_teacher(path) for path in teacher]
    source = common_source(teachers)
    with TerminalProgress(Console(quiet=True)) as terminal:
        loaded = load_beats(
            data, source.mode, source.protocol, coefficients_of(source.mode), terminal.bars
        )
    plain = DistillationOptions(epochs=epochs).of_mode(source.mode)
    typer.echo(f"{source.protocol}, mode {source.mode}, {seeds} seeds, {epochs} epochs")
    typer.echo(f"{'':18}{''.join(f'{name:>10}' for name in HEAD[:5])}   {HEAD[5]}")
    first: list[ScoredBeats] = []
    alone = make_folds(loaded, source, teachers[:1])
    for name, options in variants(plain).items():
        if first and only and name not in only:
            continue
        found = [students(loaded, source, alone, replace(options, seed=s)) for s in range(seeds)]
        if not first and source.mode == "full":
            typer.echo(without_network(found[0], source))
        first = first or found
        typer.echo(line(name, found, first, source))
    if len(teachers) > 1:
        together = make_folds(loaded, source, teachers)
        found = [students(loaded, source, together, replace(plain, seed=s)) for s in range(seeds)]
        typer.echo(line(f"chosen, {len(teachers)} teachers", found, first, source))


if __name__ == "__main__":
    typer.run(main)
