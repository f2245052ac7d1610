"""Does the error of each sample point at what is wrong with a beat?

Normal beats of patients that the model has not seen are altered in a known span of samples, without
a label (beatgan_train.training.pseudo_anomalies). The figure is the share of the five samples with
the largest error that lie in that span. Beside what the model gives with its score: the square of
what it did not expect; the square of the difference to the patient's own reference beat, which
needs no network; the same relative to its mean over normal beats of DS1, sample by sample; and that
without the samples behind the scored ones, where the next beat begins when the heart is fast.
    python -m benchmarks.ablations.explanation --model models/student.pt --data DIR
"""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from beatgan.model.model import Model
from beatgan.types import Doubles, Floats
from beatgan_train.data.beat_set import BeatSet, load
from beatgan_train.data.mitdb import DS1, DS2
from beatgan_train.evaluation.bootstrap import draw, interval
from beatgan_train.training.model_file import read
from beatgan_train.training.pseudo_anomalies import FAMILIES, PseudoBeats, make

LARGEST = 5  # samples
BEATS = 300  # of each patient


def drawn(beats: BeatSet, rng: np.random.Generator) -> BeatSet:
    """At most BEATS normal beats of each record, by chance."""
    rows = [
        rng.permutation(np.flatnonzero(beats.of([name]) & beats.normal))[:BEATS]
        for name in beats.records
    ]
    return beats.take(np.sort(np.concatenate(rows)))


def reconstructed_and_error(
    model: Model, beats: BeatSet, made: PseudoBeats
) -> tuple[Floats, Floats]:
    """What the model expects in place of the altered windows, and its error of each sample."""
    altered = beats.take(np.arange(len(beats)))
    altered.window[:] = made.window
    scores = model.score([altered.beat(row) for row in range(len(altered))])
    return np.stack([s.reconstruction for s in scores]), np.stack([s.saliency for s in scores])


def hits(error: Floats, made: PseudoBeats) -> Doubles:
    """The share of each beat's LARGEST errors (n, samples) that lie in its altered span."""
    largest = np.argsort(-error, axis=1, kind="stable")[:, :LARGEST]
    first, last = made.span[:, :1], made.span[:, 1:]
    return np.asarray(((largest >= first) & (largest < last)).mean(axis=1), np.float64)


def line(name: str, share: Doubles, beats: BeatSet, made: PseudoBeats) -> str:
    """Overall with its interval over patients, then each family."""
    family = np.array(made.family)
    times = draw(len(beats.records)).astype(np.float64)
    count = np.bincount(beats.record, minlength=len(beats.records))
    total = np.bincount(beats.record, share, minlength=len(beats.records))
    ends = interval(times @ total / (times @ count))
    cells = "".join(f"{share[family == each].mean():10.3f}" for each in FAMILIES)
    return f"{name:36}{share.mean():7.3f} [{ends.low:.3f}, {ends.high:.3f}]{cells}"


def main(
    model: Annotated[Path, typer.Option(help="The model file.")],
    data: Annotated[Path, typer.Option(envvar="BEATGAN_DATA")],
    patients: Annotated[Literal["DS1", "DS2"], typer.Option(help="Whose beats.")] = "DS2",
    seed: int = 0,
) -> None:
    """Print one line for each kind of error, one column for each family of alterations."""
    artifact = read(model)
    scorer = Model(artifact.spec, artifact.networks, artifact.calibration)
    rng = np.random.default_rng(seed)
    training = load(data, DS1, artifact.spec, artifact.coefficients)
    mean_square = np.mean((training.window - training.reference)[training.normal] ** 2, axis=0)
    tested = (
        training if patients == "DS1" else load(data, DS2, artifact.spec, artifact.coefficients)
    )
    beats = drawn(tested, rng)
    made = make(beats.window, beats.record, artifact.spec, rng)
    expected, error = reconstructed_and_error(scorer, beats, made)
    difference = (made.window - beats.reference) ** 2
    within = np.arange(artifact.spec.length) < artifact.spec.scored.stop
    errors = {
        "the model's error": error,
        "(beat - expected)^2": (made.window - expected) ** 2,
        "(beat - reference)^2": difference,
        "the same / its mean over DS1": difference / mean_square,
        "and only to the last scored sample": difference / mean_square * within,
    }
    # Chance is that of samples drawn blindly from the whole window.
    span = np.diff(made.span, axis=1)[:, 0] / artifact.spec.length
    typer.echo(f"{len(beats)} altered beats of {patients}, seed {seed}")
    typer.echo(f"{'':36}{'all':>7}{'':17}" + "".join(f"{each:>10}" for each in FAMILIES))
    for name, values in errors.items():
        typer.echo(line(name, hits(values, made), beats, made))
    typer.echo(line("chance: the span's share of samples", span, beats, made))


if __name__ == "__main__":
    typer.run(main)
