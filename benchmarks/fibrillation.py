"""Fibrillation and standstill as the front end and the judges have them, beside the annotations.

    python -m benchmarks.fibrillation --data DIR            odd records of cudb, DS1, nstdb
    python -m benchmarks.fibrillation --data DIR --final    even records of cudb, all of mitdb
    python -m benchmarks.fibrillation --data DIR --choose   how vf_features.py was chosen
The last fits the weights to the odd records of cudb and to DS1, clean and with nstdb's noises, and
prints what they give by five-fold cross-validation over records.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from beatgan.alarms import asystole, ventricular_fibrillation
from beatgan.alarms.detector import Judge
from beatgan.alarms.limits import AlarmLimits
from beatgan.frontend import EMPTY, Frontend
from beatgan.records import Recording, read_recording
from beatgan.types import Beat, Phase, RhythmStatus, Score, SignalChange
from beatgan_train.data.beat_set import locate
from beatgan_train.data.mitdb import DS1, DS2, PACED
from beatgan_train.training.coefficients import coefficients_of
from benchmarks.fibrillation_weights import (
    IN_TIME_S,
    ODD,
    SPEC,
    Spans,
    astray,
    choose,
    delays,
    spans_of,
)

EVEN = tuple(f"cu{n:02d}" for n in range(2, 36, 2))
STRESS = tuple(f"{r}e{snr}" for r in (118, 119) for snr in ("12", "06", "00", "_6"))


def heard(recording: Recording) -> dict[str, Spans]:
    """When each code's episodes were told to begin and to be over, in s."""
    fs, limits = recording.fs, AlarmLimits()
    frontend = Frontend(SPEC, coefficients_of("full"), fs, recording.leads)
    judges: list[Judge] = [
        ventricular_fibrillation.Fibrillation(limits, fs),
        asystole.Standstill(limits, fs),
    ]
    told: dict[str, list[tuple[float, float]]] = {
        ventricular_fibrillation.CODE: [],
        asystole.CODE: [],
    }
    end = len(recording.samples)
    for start in range(0, end, round(fs)):
        for event in frontend.push(recording.samples[start : start + round(fs)]):
            for judge in judges:
                for turn in judge.push(unscored(event)):
                    begins = turn.phase is Phase.START
                    at = turn.known_at / fs
                    began = at if begins else told[turn.code].pop()[0]
                    told[turn.code].append((began, end / fs if begins else at))
    return dict(told)


def unscored(event: Beat | SignalChange | RhythmStatus) -> Score | SignalChange | RhythmStatus:
    """A beat as evidence, without a model."""
    return Score(event, None, 0.0, EMPTY, EMPTY) if isinstance(event, Beat) else event


def report(data: Path, title: str, names: Sequence[str]) -> None:
    """Print what is told of these records, alarm by alarm where it is false or late."""
    found, hours = [], 0.0
    false: dict[str, list[str]] = {ventricular_fibrillation.CODE: [], asystole.CODE: []}
    for name in names:
        path = locate(data, name)
        recording = read_recording(path)
        seconds = len(recording.samples) / recording.fs
        hours += seconds / 3600
        spans, told = spans_of(path, seconds), heard(recording)
        here = delays(spans, told[ventricular_fibrillation.CODE])
        found += here
        late = [
            f"{s:.0f} s ({d:.1f})" for (s, _), d in zip(spans, here, strict=True) if d > IN_TIME_S
        ]
        if late:
            typer.echo(f"{name}: late or missed, at {', '.join(late)}")
        for code in false:
            wrong = astray(spans if code == ventricular_fibrillation.CODE else [], told[code])
            false[code] += [f"{name} {began:.0f}-{ended:.0f} s" for began, ended in wrong]
    typer.echo(f"{title}: {len(names)} records, {hours:.2f} h")
    if found:
        spread = np.percentile([d for d in found if np.isfinite(d)], (0, 25, 50, 75, 90, 100))
        typer.echo(
            f"  fibrillation: {sum(d <= IN_TIME_S for d in found)} of {len(found)} within "
            f"{IN_TIME_S:g} s; delay s, 0 25 50 75 90 100 %: {spread.round(1).tolist()}"
        )
    for code, places in false.items():
        typer.echo(f"  {code}, not annotated: {len(places)}, {len(places) / hours:.3f} an hour")
        typer.echo("".join(f"    {each}\n" for each in places), nl=False)


def main(
    data: Annotated[Path, typer.Option(envvar="BEATGAN_DATA")],
    choose_weights: Annotated[bool, typer.Option("--choose")] = False,
    final: bool = False,
) -> None:
    """Print the figures."""
    if choose_weights:
        choose(data)
        return
    if final:
        report(data, "cudb, even", EVEN)
        report(data, "mitdb", sorted((*DS1, *DS2, *PACED)))
        return
    report(data, "cudb, odd", ODD)
    report(data, "DS1", DS1)
    report(data, "nstdb", STRESS)


if __name__ == "__main__":
    typer.run(main)
