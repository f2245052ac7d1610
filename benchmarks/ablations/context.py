"""What the networks of timing and class, their teachers and a revision are worth on new patients.

Each database is left out of all that is learnt and tested on in turn: the two that are labelled,
then DS2, of whose database DS1 is learnt from. Normal recordings held out of cinc2017 say what is
flagged in them where 2 % of the tested database's normal beats are. Mean over seeds, and their
standard deviation; 95 % intervals over patients of what the teachers gain, seeds' scores averaged.
    python -m benchmarks.ablations.context --data DIR --student runs/student.pt --seeds 3
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console

from beatgan.model.artifact import Artifact
from beatgan.model.calibration import LABELLED
from beatgan.model.revision import REVISE_WITHIN_S
from beatgan.types import Bools, Doubles
from beatgan_train.commands.context import open_student
from beatgan_train.data import beat_set
from beatgan_train.data.beat_set import BeatSet
from beatgan_train.data.development import (
    CINC2017,
    DATABASES,
    MITDB,
    SVDB,
    DevelopmentSet,
    handheld_normals,
    load,
    load_handheld,
)
from beatgan_train.data.mitdb import DS2
from beatgan_train.evaluation.bootstrap import aucs, average_precisions, draw, interval
from beatgan_train.evaluation.ranking import auc, average_precision
from beatgan_train.progress import TerminalProgress
from beatgan_train.training.calibrate import components, with_heads
from beatgan_train.training.context import (
    ContextOptions,
    Heads,
    Run,
    head_components,
    train_heads,
)

LIMIT = 0.98  # quantile of the tested normal beats' scores, above which is flagged
PARTS = ("error", "distance", "prematurity", "rr_surprisal", LABELLED)
VARIANTS = (
    "the student alone",
    "no labels",
    "no teachers",
    "timing taught alone",
    "classes taught alone",
    "as shipped, first score",
    "as shipped",
    *(f"without {name}" for name in PARTS),
)


@dataclass(frozen=True, slots=True, eq=False)
class Test:
    """What is tested on, and which beats of the development set may be learnt from."""

    name: str
    beats: BeatSet
    among: Bools

    @property
    def patients(self) -> int:
        """Records, each of which counts as one."""
        return len(self.beats.records)


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """The tested beats, those that were not found or not scored included, as the lowest."""

    score: Doubles
    label: "np.ndarray[tuple[int], np.dtype[np.str_]]"
    record: "np.ndarray[tuple[int], np.dtype[np.int64]]"

    @classmethod
    def of(cls, beats: BeatSet, scores: Doubles) -> "Ranked":
        """Of scores of all ``beats``."""
        known = np.not_equal(beats.label, "")
        score = np.where(beats.usable, scores, -np.inf)[known]
        missed = beats.missed
        return cls(
            np.concatenate([score, np.full(len(missed.label), -np.inf)]),
            np.concatenate([beats.label[known], missed.label]),
            np.concatenate([beats.record[known], missed.record]),
        )

    def against_normal(self, label: str) -> Bools:
        """Which beats are N or of class ``label``; all of them if that is "all"."""
        return np.isin(self.label, ["N", label]) | (label == "all")

    def figures(self) -> list[float]:
        """AUC and AP of all abnormal beats, of V and of S against N."""
        found = []
        for label in ("all", "V", "S"):
            rows = self.against_normal(label)
            abnormal = np.not_equal(self.label[rows], "N")
            found += [
                auc(self.score[rows], abnormal),
                average_precision(self.score[rows], abnormal),
            ]
        return found


def tests(development: DevelopmentSet, ds2: BeatSet) -> Iterator[Test]:
    """Each labelled database without its own beats, and DS2."""
    database, beats = development.database, development.beats
    for name in (SVDB, MITDB):
        own = np.equal(database, name)
        yield Test("mitdb DS1" if name == MITDB else name, part(beats, own), ~own)
    yield Test("mitdb DS2", ds2, np.ones(len(beats), np.bool_))


def part(beats: BeatSet, rows: Bools) -> BeatSet:
    """The records that have ``rows``, with what was missed in them alone."""
    places = np.unique(beats.record[rows])
    missed = np.isin(beats.missed.record, places)
    number = {place: k for k, place in enumerate(places.tolist())}
    found = beats.take(rows)

    def renumbered(records: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> list[int]:
        return [number[each] for each in records.tolist()]

    return replace(
        found,
        records=tuple(beats.records[place] for place in places.tolist()),
        record=np.array(renumbered(found.record), np.int64),
        missed=beat_set.Missed(
            np.array(renumbered(beats.missed.record[missed]), np.int64),
            beats.missed.sample[missed],
            beats.missed.label[missed],
        ),
    )


def scored(
    test: Test,
    handheld: BeatSet,
    development: DevelopmentSet,
    heads: Heads | None,
    student: Artifact,
    revise_within_s: float,
    without: str = "",
) -> tuple[Ranked, float]:
    """The tested beats ranked, and the share of hand-held normal beats that is flagged.

    By the score ``without`` that component.
    """
    spec, look = student.spec, student.networks.beat
    calibration = student.calibration
    if heads is not None:
        learnt = development.beats.take(test.among)
        known = head_components(heads, learnt, spec, revise_within_s)
        normal = learnt.normal
        fitted = components(look, learnt.take(normal), spec) | {
            name: values[normal] for name, values in known.items()
        }
        calibration = with_heads(
            calibration, fitted, development.database[test.among][normal], 0.02
        )

    def scores(beats: BeatSet) -> Doubles:
        found = components(look, beats, spec)
        if heads is not None:
            found |= head_components(heads, beats, spec, revise_within_s)
        found.pop(without, None)
        return calibration.combine(found)

    of_test = scores(test.beats)
    limit = float(np.quantile(of_test[test.beats.normal], LIMIT))
    return (
        Ranked.of(test.beats, of_test),
        float((scores(handheld)[handheld.usable] > limit).mean()),
    )


def gain(pairs: Sequence[tuple[Ranked, Ranked]], patients: int) -> str:
    """What the second of each pair has more than the first, their seeds' scores averaged."""
    first = [np.mean([pair[k].score for pair in pairs], axis=0) for k in (0, 1)]
    ranked, times = pairs[0][0], draw(patients)
    abnormal = np.not_equal(ranked.label, "N")
    cells = []
    for name, measure, drawn in (
        ("AUC", auc, aucs),
        ("AP", average_precision, average_precisions),
    ):
        before, after = (measure(score, abnormal) for score in first)
        low, high = (drawn(score, abnormal, ranked.record, times) for score in first)
        found = interval(high - low)
        cells.append(f"{name} {after - before:+.4f} [{found.low:+.4f}, {found.high:+.4f}]")
    return ", ".join(cells)


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """All that every trial needs."""

    development: DevelopmentSet
    handheld: BeatSet
    student: Artifact
    folder: Path
    terminal: TerminalProgress

    def trial(self, test: Test, seed: int) -> dict[str, tuple[Ranked, float]]:
        """Every variant with one seed: its ranked beats and its share of hand-held ones flagged."""
        plain, taught = (self._heads(test, seed, alpha) for alpha in (0.0, ContextOptions.alpha))
        variants: tuple[tuple[Heads | None, float, str], ...] = (
            (None, 0.0, ""),
            (taught, 0.0, LABELLED),
            (plain, REVISE_WITHIN_S, ""),
            (Heads(taught.rhythm, plain.classes), REVISE_WITHIN_S, ""),
            (Heads(plain.rhythm, taught.classes), REVISE_WITHIN_S, ""),
            (taught, 0.0, ""),
            (taught, REVISE_WITHIN_S, ""),
            *((taught, REVISE_WITHIN_S, name) for name in PARTS),
        )
        return {
            name: scored(test, self.handheld, self.development, heads, self.student, within_s, out)
            for name, (heads, within_s, out) in zip(VARIANTS, variants, strict=True)
        }

    def _heads(self, test: Test, seed: int, alpha: float) -> Heads:
        options = ContextOptions(alpha=alpha, seed=seed)
        folder = self.folder / f"{test.name.replace(' ', '-')}-{alpha:g}-{seed}"
        run = Run(folder, True, self.terminal)
        return train_heads(self.development, test.among, options, self.student.spec, run)


def table(test: Test, trials: Sequence[dict[str, tuple[Ranked, float]]]) -> Iterator[str]:
    """A line for each variant, and one for what the teachers gain."""
    heads = ("all AUC", "AP", "V AUC", "AP", "S AUC", "AP", "cinc2017")
    yield f"\n{test.name}\n{'':26}" + "".join(f"{head:>16}" for head in heads)
    for name in VARIANTS:
        rows = [[*trial[name][0].figures(), trial[name][1]] for trial in trials]
        mean, spread = np.mean(rows, axis=0), np.std(rows, axis=0)
        cells = [f"{m:.4f} ({s:.4f})" for m, s in zip(mean, spread, strict=True)]
        yield f"{name:26}" + "".join(f"{cell:>16}" for cell in cells)
    for name in ("timing taught alone", "classes taught alone", "as shipped"):
        pairs = [(trial["no teachers"][0], trial[name][0]) for trial in trials]
        yield f"{name}, more than without teachers: {gain(pairs, test.patients)}"


def main(
    data: Annotated[Path, typer.Option(envvar="BEATGAN_DATA")],
    student: Annotated[Path, typer.Option(help="What `beatgan-train distill` wrote.")],
    seeds: Annotated[int, typer.Option(min=1)] = 3,
    run: Annotated[Path, typer.Option(help="For checkpoints; what is there goes on.")] = Path(
        "runs/ablations-context"
    ),
) -> None:
    """Print a table for each test."""
    torch.set_num_threads(1)
    artifact = open_student(student)
    with TerminalProgress(Console(stderr=True)) as terminal:
        spec, coefficients = artifact.spec, artifact.coefficients
        development = load(data, DATABASES, spec, coefficients, terminal.bars)
        ds2 = beat_set.load(data / MITDB, DS2, spec, coefficients, terminal.bars)
        held_out = handheld_normals(data / CINC2017)[1::2]
        handheld = load_handheld(data, held_out, spec, coefficients, terminal.bars)
        bench = Bench(development, handheld, artifact, run, terminal)
        for test in tests(development, ds2):
            for line in table(test, [bench.trial(test, seed) for seed in range(seeds)]):
                typer.echo(line)


if __name__ == "__main__":
    typer.run(main)
