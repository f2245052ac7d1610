"""What noise does to the scores, and what is declared rather than scored.

    python -m benchmarks.clinical.noise --data DIR
    python -m benchmarks.clinical.noise --data DIR --choose
The first tests nstdb's 118e and 119e, and counts what is declared in clean records. The second
mixes nstdb's noises, by `nst`'s definition of SNR, into DS1 without 118 and 119.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import typer
from numpy.typing import NDArray

from beatgan.frontend import choose_leads
from beatgan.records import Recording, read_recording
from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles, Floats, Quality
from beatgan_daemon.model_loading import Loaded, load_model
from beatgan_train.data.beat_set import beats_of, label_beats, locate
from beatgan_train.data.mitdb import DS1, DS2
from beatgan_train.ec57.annotations import Labels, Reference, read_reference
from beatgan_train.evaluation.ranking import auc

Mask = NDArray[np.bool_]

SNRS = (24, 18, 12, 6, 0, -6)
QUIET_S = 300  # nst's protocol: five clean minutes, then two noisy and two clean by turns
TURN_S = 120
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


def in_noise(sample: NDArray[np.int64], fs: float) -> Mask:
    """Which samples lie in the stretches to which `nst` adds noise."""
    since = sample / fs - QUIET_S
    return np.asarray((since >= 0) & (since % (2 * TURN_S) < TURN_S))


def rows_of(recording: Recording, reference: Reference, loaded: Loaded, noisy: bool) -> Rows:
    """The beats that the front end finds, scored. ``noisy``: whether `nst` has been at work."""
    beats = beats_of(recording, loaded.spec, loaded.coefficients)
    scores = loaded.scorer.score(beats)
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


def trimmed_mean(values: Doubles) -> float:
    """The mean without the smallest and the largest 5 %, as PhysioNet's `sigamp` takes it."""
    cut = int(0.05 * len(values))
    return float(np.sort(values)[cut : len(values) - cut].mean())


def gain(ecg: Doubles, reference: Reference, noise: Doubles, snr: float) -> float:
    """What `nst` multiplies ``noise`` by: signal power is the QRS's squared height over 8."""
    fs, half = int(reference.fs), int(0.05 * reference.fs)
    apexes = reference.sample[(reference.sample > half) & (reference.sample < len(ecg) - half)]
    heights = np.array([np.ptp(ecg[a - half : a + half + 1]) for a in apexes[:300]])
    rms = noise[: 300 * fs].reshape(300, fs).std(axis=1)
    power = trimmed_mean(heights) ** 2 / 8
    return float(np.sqrt(power / 10 ** (snr / 10)) / trimmed_mean(rms))


def mixed(recording: Recording, reference: Reference, noise: Doubles, snr: float) -> Recording:
    """The lead that the front end would choose, with ``noise`` in the noisy stretches."""
    column = choose_leads(recording.leads, PreprocessSpec().leads, 1)[0]
    ecg = np.nan_to_num(recording.samples[:, column].astype(np.float64))
    where = np.flatnonzero(in_noise(np.arange(len(ecg)), recording.fs))
    ecg[where] += gain(ecg, reference, noise, snr) * np.resize(noise - noise.mean(), where.size)
    samples: Floats = ecg.astype(np.float32)[:, None]
    return Recording(recording.name, recording.fs, (recording.leads[column],), samples)


def noises(data: Path) -> dict[str, Doubles]:
    """The first halves of nstdb's noises: electrode motion on both channels, muscle, wander."""
    import wfdb  # read_recording takes no noise for an ECG

    found: dict[str, Doubles] = {}
    for name, channel in (("em", 0), ("em", 1), ("ma", 0), ("bw", 0)):
        raw = wfdb.rdrecord(str(locate(data, name)), physical=False).d_signal[:, channel]
        found[f"{name}{channel}"] = raw[: len(raw) // 2].astype(np.float64)
    return found


def share(part: Mask) -> str:
    """A share in percent, or nothing where there are none."""
    return f"{100 * part.mean():7.1f}" if part.size else "      -"


def line(rows: Rows) -> str:
    """One row of the table: see `HEAD`."""
    beats, false = rows.label != "", rows.label == ""
    normal, abnormal = rows.label == "N", beats & (rows.label != "N")
    unusable, poor = rows.quality == Quality.UNUSABLE, rows.quality == Quality.POOR
    judged = ~unusable
    found, wrong, lost = beats.sum(), false.sum(), rows.missed.size
    ranked = judged & beats
    area = auc(rows.score[ranked], abnormal[ranked])
    cells = [f"{100 * 2 * found / (2 * found + wrong + lost):7.1f}", f"{area:7.3f}"]
    cells += [
        share(rows.anomalous[judged & normal]),
        share(rows.anomalous[~poor & judged & normal]),
    ]
    cells += [share(rows.anomalous[abnormal]), f"{(rows.anomalous & false).sum():6d}"]
    for some in (normal, abnormal, false):
        cells += [share(poor[some]), share(unusable[some])]
    return "".join(cells)


HEAD = (
    f"{'QRS':>7}{'AUC,':>7}{'N flagged %':>14}{'SVF':>7}{'false':>6}"
    f"{'N %':>14}{'SVF %':>14}{'false QRS %':>14}\n"
    f"{'':28}{'F1 %':>7}{'judged':>7}{'judged':>7}{'good':>7}{'flag.%':>7}{'flag.':>6}"
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


def choosing(data: Path, loaded: Loaded) -> Iterator[tuple[str, Rows]]:
    """DS1 without 118 and 119, with each noise at each SNR."""
    names = [name for name in DS1 if name not in ("118", "119")]
    paths = [locate(data, name) for name in names]
    records = [(read_recording(p), read_reference(p)) for p in paths]
    for kind, noise in noises(data).items():
        for snr in SNRS:
            parts = [
                rows_of(mixed(r, ref, np.roll(noise, -9973 * k), snr), ref, loaded, True)
                for k, (r, ref) in enumerate(records)
            ]
            yield f"DS1 + {kind} {snr:3d} dB", Rows.join(parts)


def main(
    data: Annotated[Path, typer.Option(envvar="BEATGAN_DATA")],
    model: Annotated[Path, typer.Option()] = Path("models/student.pt"),
    choose: bool = False,
) -> None:
    """Print the tables."""
    loaded = load_model(model, "cpu")
    if choose:
        table("mixed", choosing(data, loaded))
        declared("DS1", clean(data, loaded, DS1))
        return
    table("nstdb", stress(data, loaded))
    declared("DS1", clean(data, loaded, DS1))
    declared("DS2", clean(data, loaded, DS2))


if __name__ == "__main__":
    typer.run(main)
