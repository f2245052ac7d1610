"""What noise does to the scores, and what is declared rather than scored.

nstdb's 118e and 119e by SNR, and the shares declared poor and unusable in clean records.
    python -m benchmarks.clinical.noise --data DIR
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import typer
from numpy.typing import NDArray

from beatgan.ec57.annotations import Labels, Reference, read_reference
from beatgan.model.loading import Loaded
from beatgan.model.revision import final_scores
from beatgan.records import Recording, read_recording
from beatgan.types import Doubles, Quality
from beatgan_daemon.model_loading import load_model
from beatgan_train.data.beat_set import beats_of, label_beats, locate
from beatgan_train.data.mitdb import DS1, DS2
from beatgan_train.evaluation.ranking import auc
from beatgan_train.training.coefficients.noise_stress import in_noise

Mask = NDArray[np.bool_]

SNRS = (24, 18, 12, 6, 0, -6)
CLASSES = ("N", "S", "V", "F")


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Detected beats, one row each; ``label`` is empty where no reference beat is near."""

    label: Labels
    score: Doubles  # -inf where not scored
    anomalous: Mask
    quality: Labels
    noisy: Mask
    missed: Mask  # one for each reference beat not found: whether it lies in noise

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """All rows of several recordings."""
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(p, name) for p in parts]) for name in cls.__slots__
        }
        return cls(**columns)

    def where(self, noisy: bool) -> Self:
        """The rows of the noisy or of the clean stretches."""
        rows = self.noisy == noisy
        return type(self)(
            self.label[rows],
            self.score[rows],
            self.anomalous[rows],
            self.quality[rows],
            self.noisy[rows],
            self.missed[self.missed == noisy],
        )


def rows_of(recording: Recording, reference: Reference, loaded: Loaded, noisy: bool) -> Rows:
    """The beats that the front end finds, scored. ``noisy``: whether `nst` has been at work."""
    beats = beats_of(recording, loaded.spec, loaded.coefficients)
    scores = final_scores(loaded.scorer, beats)
    samples = np.array([b.sample for b in beats], np.int64)
    label, found = label_beats(samples, reference)
    return Rows(
        label,
        np.array([-np.inf if s.value is None else s.value for s in scores]),
        np.array([s.anomalous for s in scores], np.bool_),
        np.array([b.quality.value for b in beats]),
        in_noise(samples, recording.fs) & noisy,
        in_noise(reference.sample[~found], recording.fs) & noisy,
    )


def share(part: Mask) -> str:
    """A share in percent, or nothing where there are none."""
    return f"{100 * part.mean():7.1f}" if part.size else "      -"


def line(rows: Rows) -> str:
    """One row of the table: see `HEAD`."""
    beats, false = rows.label != "", rows.label == ""
    normal, abnormal = rows.label == "N", beats & (rows.label != "N")
    unusable, poor = rows.quality == Quality.UNUSABLE, rows.quality == Quality.POOR
    scored = ~unusable
    found, wrong, lost = beats.sum(), false.sum(), rows.missed.size
    ranked = scored & beats
    area = auc(rows.score[ranked], abnormal[ranked])
    cells = [f"{100 * 2 * found / (2 * found + wrong + lost):7.1f}", f"{area:7.3f}"]
    cells += [
        share(rows.anomalous[scored & normal]),
        share(rows.anomalous[~poor & scored & normal]),
    ]
    cells += [share(rows.anomalous[abnormal]), f"{(rows.anomalous & false).sum():6d}"]
    for some in (normal, abnormal, false):
        cells += [share(poor[some]), share(unusable[some])]
    return "".join(cells)


HEAD = (
    f"{'QRS':>7}{'AUC,':>7}{'N flagged %':>14}{'SVF':>7}{'false':>6}"
    f"{'N %':>14}{'SVF %':>14}{'false QRS %':>14}\n"
    f"{'':28}{'F1 %':>7}{'scored':>7}{'scored':>7}{'good':>7}{'flag.%':>7}{'flag.':>6}"
    + f"{'poor':>7}{'unus.':>7}"
    * 3
)


def table(title: str, trials: Iterator[tuple[str, Rows]]) -> None:
    """Print, for each trial, one line for its noisy stretches and one for its clean ones."""
    typer.echo(f"\n{title:28}{HEAD}")
    for name, rows in trials:
        for noisy in (True, False):
            part = rows.where(noisy)
            if part.label.size:
                typer.echo(f"{name + (' noisy' if noisy else ' clean'):28}{line(part)}")


def stress(data: Path, loaded: Loaded) -> Iterator[tuple[str, Rows]]:
    """nstdb's records 118e and 119e, by SNR."""
    for snr in SNRS:
        names = [f"{record}e{snr:02d}".replace("-", "_") for record in (118, 119)]
        paths = [locate(data, name) for name in names]
        parts = [rows_of(read_recording(p), read_reference(p), loaded, True) for p in paths]
        yield f"118e 119e {snr:3d} dB", Rows.join(parts)


def clean(data: Path, loaded: Loaded, names: Sequence[str]) -> list[Rows]:
    """Whole records as they are."""
    paths = [locate(data, name) for name in names]
    return [rows_of(read_recording(p), read_reference(p), loaded, False) for p in paths]


def declared(title: str, parts: Sequence[Rows]) -> None:
    """Print the shares of each class declared poor and unusable in clean records."""
    rows = Rows.join(parts)
    typer.echo(f"\n{title}: declared, %" + "".join(f"{name:>8}" for name in CLASSES))
    for quality in (Quality.POOR, Quality.UNUSABLE):
        of = [np.mean(rows.quality[rows.label == name] == quality) for name in CLASSES]
        typer.echo(f"{quality:>{len(title) + 13}}" + "".join(f"{100 * x:8.2f}" for x in of))


def main(
    data: Annotated[Path, typer.Option(envvar="BEATGAN_DATA")],
    model: Annotated[Path, typer.Option()] = Path("models/student.pt"),
) -> None:
    """Print the tables."""
    loaded = load_model(model, "cpu")
    table("nstdb", stress(data, loaded))
    declared("DS1", clean(data, loaded, DS1))
    declared("DS2", clean(data, loaded, DS2))


if __name__ == "__main__":
    typer.run(main)
