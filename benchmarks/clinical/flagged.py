"""How many beats of hand-held recordings of normal rhythm are flagged as anomalous.

Recordings of the PhysioNet/CinC Challenge 2017 that its experts called normal, each from the moment
the hands touched the electrodes; of patients that the model has not seen. By final scores, at the
model's own threshold. Intervals are over recordings, each of which is a patient.
    python -m benchmarks.clinical.flagged --data DIR
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from beatgan.errors import UsageError
from beatgan.model.artifact import Artifact, self_test
from beatgan.model.model import Model
from beatgan_train.commands.evaluate import seen_records
from beatgan_train.data.beat_set import BeatSet
from beatgan_train.data.development import CINC2017, handheld_normals, load_handheld
from beatgan_train.evaluation.beat_scores import scores_of_rows
from beatgan_train.evaluation.bootstrap import draw, interval, ratios
from beatgan_train.progress import TerminalProgress
from beatgan_train.training.model_file import read

EARLY_S = 30.0  # of a recording: its start
FS = 300  # samples per second of these recordings


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """Beats of some kind: how many each recording has, and how many of these are flagged."""

    beats: "np.ndarray[tuple[int], np.dtype[np.float64]]"
    flagged: "np.ndarray[tuple[int], np.dtype[np.float64]]"

    def line(self, name: str) -> str:
        """Count, share and its interval over recordings."""
        found = interval(ratios(self.flagged, self.beats, draw(len(self.beats))))
        share = self.flagged.sum() / self.beats.sum()
        return (
            f"{name:28}{int(self.beats.sum()):8,} beats {share:7.2%} flagged "
            f"[{found.low:.2%}, {found.high:.2%}]"
        )


def shares(model: Model, beats: BeatSet) -> Mapping[str, Share]:
    """Of all beats that can be scored, of those at the start and later, by signal quality."""
    rows = np.flatnonzero(beats.usable)
    flagged = np.array(
        [score.anomalous for score in scores_of_rows(model, beats, rows.tolist())], np.float64
    )
    record, early = beats.record[rows], beats.sample[rows] < EARLY_S * FS
    kinds = {
        "all": np.ones(len(rows), np.bool_),
        f"in the first {EARLY_S:g} s": early,
        "later": ~early,
        "of good signal": np.equal(beats.quality[rows], "good"),
        "of poor signal": np.equal(beats.quality[rows], "poor"),
    }
    count = len(beats.records)
    return {
        name: Share(
            np.bincount(record[kind], minlength=count).astype(np.float64),
            np.bincount(record[kind], flagged[kind], minlength=count).astype(np.float64),
        )
        for name, kind in kinds.items()
    }


def unseen(artifact: Artifact, data: Path) -> Sequence[str]:
    """The normal recordings that the model has not seen; UsageError where it has seen all."""
    seen = seen_records(artifact.provenance)
    names = handheld_normals(data / CINC2017)
    if not (found := [name for name in names if f"{CINC2017}/{name}" not in seen]):
        raise UsageError(f"{data / CINC2017}: the model has seen all {len(names)} recordings")
    return found


def main(
    data: Annotated[Path, typer.Option(envvar="BEATGAN_DATA")],
    model: Annotated[Path, typer.Option()] = Path("models/student.pt"),
) -> None:
    """A line for each kind of beats."""
    artifact = read(model)
    names = unseen(artifact, data)
    with TerminalProgress(Console(stderr=True)) as terminal:
        beats = load_handheld(data, names, artifact.spec, artifact.coefficients, terminal.bars)
    unusable = float((~beats.usable).mean())
    typer.echo(f"{len(names)} recordings, {len(beats):,} beats, {unusable:.2%} unusable")
    for name, share in shares(self_test(artifact), beats).items():
        typer.echo(share.line(name))


if __name__ == "__main__":
    typer.run(main)
