"""Does a model trained at 360 Hz score the same beats alike at other sampling rates?

Some DS2 records, resampled with SciPy, through the very engine that the daemon runs: how well beats
are found (F1 within 150 ms), how well abnormal ones are separated (AUC, a beat not found scoring
lowest), and how far the scores lie from those of the 360 Hz original (median and 95 % quantile, in
spreads of normal beats). Nothing is trained, nothing is chosen.
    python -m benchmarks.clinical.other_rates --model models/student.pt --data DIR
"""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from scipy.signal import resample_poly

from beatgan.alarms.limits import AlarmLimits
from beatgan.ec57 import beat_matching
from beatgan.ec57.annotations import Reference, read_reference
from beatgan.model.loading import Loaded
from beatgan.playback.offline import score_recordings
from beatgan.protocol.messages import BeatMessage
from beatgan.records import Recording, read_recording
from beatgan.types import Doubles
from beatgan_daemon.model_loading import load_model
from beatgan_train.data.beat_set import locate
from beatgan_train.evaluation.ranking import auc, flagged

RATES = (100, 128, 200, 250, 257, 360, 500, 1000)
RECORDS = ("100", "105", "200", "213", "228", "233")


def at_rate(recording: Recording, rate: int) -> Recording:
    """The recording as though it had been sampled ``rate`` times a second."""
    ratio = Fraction(rate) / Fraction(recording.fs)
    samples = resample_poly(recording.samples, ratio.numerator, ratio.denominator, axis=0)
    return replace(recording, fs=float(rate), samples=samples.astype(np.float32))


def scores(
    recording: Recording, reference: Reference, loaded: Loaded
) -> tuple[Doubles, beat_matching.BeatCounts]:
    """The score of each reference beat, -inf where it was not found or not scored."""
    limits = AlarmLimits()
    messages = score_recordings(
        [recording], loaded.spec, loaded.coefficients, loaded.scorer, limits
    )
    beats = {m.n: m for m in messages if isinstance(m, BeatMessage)}.values()  # revised or not
    found = np.array([beat.sample for beat in beats], dtype=np.int64)
    value = np.array([-np.inf if beat.score is None else beat.score for beat in beats])
    pairs = beat_matching.match(reference.sample, found, beat_matching.WINDOW_S * reference.fs)
    scored = np.full(len(reference.sample), -np.inf)
    scored[pairs.reference] = value[pairs.detected]
    return scored, beat_matching.compare(reference, found)


def main(
    model: Annotated[Path, typer.Option()],
    data: Annotated[Path, typer.Option(envvar="BEATGAN_DATA")],
    record: Annotated[list[str] | None, typer.Option(help="Instead of the six.")] = None,
) -> None:
    """Print one line for each rate."""
    names: Sequence[str] = record or RECORDS
    loaded = load_model(model, "cpu")
    originals = [read_recording(locate(data, name)) for name in names]
    references = [read_reference(locate(data, name)) for name in names]
    abnormal = np.concatenate([r.label for r in references]) != "N"

    def scored(rate: int) -> tuple[Doubles, beat_matching.BeatCounts]:
        pairs = [
            scores(at_rate(recording, rate), reference.at(rate), loaded)
            for recording, reference in zip(originals, references, strict=True)
        ]
        return np.concatenate([p[0] for p in pairs]), sum(
            (p[1] for p in pairs), beat_matching.BeatCounts()
        )

    plain, _ = scored(360)
    typer.echo(f"records {' '.join(names)}: {len(abnormal)} beats, {abnormal.sum()} not normal")
    typer.echo(f"{'Hz':>5}{'F1':>9}{'AUC':>8}{'N flagged':>11}{'difference':>12}{'95 %':>8}")
    for rate in RATES:
        values, detection = scored(rate)
        both = np.isfinite(values) & np.isfinite(plain)
        apart = np.quantile(np.abs(values[both] - plain[both]), [0.5, 0.95])
        typer.echo(
            f"{rate:5}{detection.f1:9.2%}{auc(values, abnormal):8.4f}"
            f"{flagged(values[~abnormal], loaded.scorer.threshold):11.2%}"
            f"{apart[0]:12.3f}{apart[1]:8.3f}"
        )


if __name__ == "__main__":
    typer.run(main)
