"""How well beats are found: our causal front end beside detectors that see the whole record first.

    python -m benchmarks.clinical.beats --data DIR               mitdb's 48 records, nstdb by SNR
    python -m benchmarks.clinical.beats --data DIR --only ours   without the others
One lead, MLII where there is one; flutter excluded; all are compared with the reference by
`beatgan.ec57.beat_matching`. The others' beats are also moved to the extreme of the signal
near them, lest a peak of another definition count as an error. The last column is process CPU time
for each hour of ECG.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import process_time
from typing import Annotated, Final

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from scipy.signal import butter, sosfiltfilt

from beatgan.ec57.annotations import Reference, read_reference
from beatgan.ec57.beat_matching import BeatFigures, compare_record
from beatgan.frontend import Frontend
from beatgan.records import Recording, only, read_recording
from beatgan.spec import PreprocessSpec
from beatgan.types import Beat, Doubles, Ints
from beatgan_train.data.beat_set import locate
from beatgan_train.training.coefficients import coefficients_of

Detector = Callable[[Recording], Ints]
Trial = tuple[Recording, Reference]

LEAD = "MLII"
SNRS = (24, 18, 12, 6, 0, -6)
STRESSED = (118, 119)
NEAR_S = 0.05  # how far a peer's beat is moved at most
BAND_HZ = (0.5, 40.0)  # in which the extreme is sought, zero-phase; of several the kindest to peers
REALIGNED: Final = ", re-aligned"


def ours(recording: Recording) -> Ints:
    """The front end, fed a second at a time; what it reports at the end of a stream included."""
    frontend = Frontend(PreprocessSpec(), coefficients_of("full"), recording.fs, recording.leads)
    step = int(recording.fs)
    events = [
        event
        for first in range(0, len(recording.samples), step)
        for event in frontend.push(recording.samples[first : first + step])
    ]
    return np.array(
        [event.sample for event in events + frontend.close() if isinstance(event, Beat)], np.int64
    )


def sleepecg(recording: Recording) -> Ints:
    """sleepecg's detector, the whole record at once."""
    from sleepecg.heartbeats import detect_heartbeats

    return np.asarray(detect_heartbeats(signal(recording), recording.fs), np.int64)


def xqrs(recording: Recording) -> Ints:
    """wfdb's XQRS, the whole record at once."""
    from wfdb.processing import xqrs_detect

    return np.asarray(xqrs_detect(signal(recording), recording.fs, verbose=False), np.int64)


DETECTORS: Mapping[str, Detector] = {"ours": ours, "sleepecg": sleepecg, "xqrs": xqrs}


def signal(recording: Recording) -> Doubles:
    """The recording's one lead, without holes: the peers know of none."""
    return np.nan_to_num(recording.samples[:, 0].astype(np.float64))


def realigned(recording: Recording, found: Ints) -> Ints:
    """``found`` moved to the largest absolute value within `NEAR_S` of the band-passed signal."""
    shape = butter(2, BAND_HZ, "bandpass", fs=recording.fs, output="sos")
    height = np.abs(sosfiltfilt(shape, signal(recording)))
    near = int(NEAR_S * recording.fs)
    first = np.maximum(found - near, 0)
    spans = zip(first.tolist(), (found + near + 1).tolist(), strict=True)
    return first + np.array([int(np.argmax(height[a:b])) for a, b in spans], np.int64)


def one_lead(record: Path) -> Trial:
    """The record's MLII, or else its first lead, and its reference."""
    recording = read_recording(record)
    lead = LEAD if LEAD in recording.leads else recording.leads[0]
    return only(recording, lead), read_reference(record)


def compare_detectors(
    trials: Sequence[Trial], names: Sequence[str]
) -> dict[str, tuple[BeatFigures, float]]:
    """Each detector's gross figures, and its CPU seconds for an hour of ECG (nan: re-aligned)."""
    rows: dict[str, tuple[BeatFigures, float]] = {}
    for name in names:
        began = process_time()
        found = [DETECTORS[name](recording) for recording, _ in trials]
        spent = process_time() - began
        gross = total(trials, found)
        rows[name] = gross, 3600 * spent / gross.seconds
        if name != "ours":
            moved = [realigned(r, f) for (r, _), f in zip(trials, found, strict=True)]
            rows[name + REALIGNED] = total(trials, moved), float("nan")
    return rows


def total(trials: Sequence[Trial], found: Sequence[Ints]) -> BeatFigures:
    """The gross figures of what was found in all the records."""
    each = [
        compare_record(reference, beats, len(r.samples) / r.fs)
        for (r, reference), beats in zip(trials, found, strict=True)
    ]
    return sum(each, BeatFigures())


def percent(value: float) -> str:
    """Two decimals."""
    return f"{100 * value:.2f}"


def clean_table(rows: Mapping[str, tuple[BeatFigures, float]], count: int) -> Table:
    """mitdb: a row for each detector."""
    table = Table(title=f"mitdb, {count} records, one lead, gross", title_justify="left")
    table.add_column("detector", no_wrap=True)
    for head in (
        "TP",
        "FP",
        "FN",
        "Se %",
        "PPV %",
        "F1 %",
        "F1 % ±50 ms",
        "median error ms",
        "CPU s/h",
    ):
        table.add_column(head, justify="right", no_wrap=True)
    for name, (gross, cost) in rows.items():
        wide = gross.wide
        cells = [f"{count:,}" for count in (wide.tp, wide.fp, wide.fn)]
        cells += map(percent, (wide.sensitivity, wide.ppv, wide.f1, gross.narrow.f1))
        cells += [f"{wide.median_error_ms:.1f}", "" if np.isnan(cost) else f"{cost:.2f}"]
        table.add_row(name, *cells)
    return table


def noisy_table(rows: Mapping[int, Mapping[str, tuple[BeatFigures, float]]]) -> Table:
    """nstdb: a row for each detector, a column for each SNR."""
    records = " and ".join(f"{record}e" for record in STRESSED)
    title = f"nstdb, {records} together, whole records: F1 % within 150 ms / 50 ms, by SNR"
    table = Table(title=title, title_justify="left")
    table.add_column("detector", no_wrap=True)
    for snr in rows:
        table.add_column(f"{snr} dB", justify="right", no_wrap=True)
    for name in next(iter(rows.values())):
        gross = [row[name][0] for row in rows.values()]
        table.add_row(name, *(f"{percent(g.wide.f1)} / {percent(g.narrow.f1)}" for g in gross))
    return table


def mitdb(data: Path) -> list[Trial]:
    """All annotated records of the folder that holds record 100."""
    folder = locate(data, "100").parent
    return [one_lead(file.with_suffix("")) for file in sorted(folder.glob("*.atr"))]


def nstdb(data: Path, snr: int) -> list[Trial]:
    """The noisy records of one SNR."""
    names = [f"{record}e{snr:02d}".replace("-", "_") for record in STRESSED]
    return [one_lead(locate(data, name)) for name in names]


def main(
    data: Annotated[Path, typer.Option(envvar="BEATGAN_DATA")],
    only: Annotated[list[str] | None, typer.Option(help="ours, sleepecg, xqrs; repeatable")] = None,
) -> None:
    """Print the tables."""
    names = only or list(DETECTORS)
    if unknown := set(names) - DETECTORS.keys():
        raise typer.BadParameter(f"--only takes {', '.join(DETECTORS)}, got {', '.join(unknown)}")
    console = Console(width=140)
    ours(one_lead(locate(data, "100"))[0])  # compiles
    clean = mitdb(data)
    console.print(clean_table(compare_detectors(clean, names), len(clean)))
    console.print(noisy_table({snr: compare_detectors(nstdb(data, snr), names) for snr in SNRS}))


if __name__ == "__main__":
    typer.run(main)
