"""The daemon's alarms on annotated records, against the annotations.

The records run through the daemon's own engine (`beatgan-daemon score`'s), with the limits it ships
with. What counts as true, false, early and late stands at the head of each section's module.
    python -m benchmarks.clinical.alarms --data DIR                         all sections
    python -m benchmarks.clinical.alarms --data DIR --records DS1 runs normal
    python -m benchmarks.clinical.alarms --data DIR --half odd vf             cudb's other half
    python -m benchmarks.clinical.alarms --data DIR --set alarms.vt_rate=110 runs
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from beatgan.alarms.limits import AlarmLimits
from beatgan.errors import UsageError
from beatgan_daemon.model_loading import load_model
from benchmarks.clinical.alarms import (
    asystole,
    hand_held,
    noise,
    normal_records,
    ventricular_fibrillation,
    ventricular_runs,
)
from benchmarks.clinical.alarms.alarm_episodes import RecordSet
from benchmarks.clinical.alarms.report import Section

SECTIONS = ("runs", "normal", "vf", "asystole", "noise", "hand-held")


def limits_of(settings: Sequence[str]) -> AlarmLimits:
    """The limits with each ``alarms.key=value``. Raises UsageError naming the setting at fault."""
    keys = [field.name for field in fields(AlarmLimits)]
    changed: dict[str, str] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        key = name.removeprefix("alarms.")
        if key == name or key not in keys:
            raise UsageError(f"--set {setting}: expected alarms.KEY=VALUE, KEY: {', '.join(keys)}")
        changed[key] = value
    try:
        return msgspec.convert(changed, AlarmLimits, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"--set: {error}") from None


def main(
    data: Annotated[Path, typer.Option(envvar="BEATGAN_DATA")],
    sections: Annotated[list[str] | None, typer.Argument(help=f"{', '.join(SECTIONS)}")] = None,
    model: Annotated[Path, typer.Option()] = Path("models/student.pt"),
    set_: Annotated[list[str] | None, typer.Option("--set", help="alarms.key=value")] = None,
    records: Annotated[
        str | None, typer.Option(help="DS1, DS2, mitdb or names with commas; not for noise")
    ] = None,
    half: Annotated[str, typer.Option(help="of cudb: even (not chosen on), odd, all")] = "even",
    json: Annotated[Path | None, typer.Option(help="also write all figures here")] = None,
) -> None:
    """Print the sections' figures."""
    chosen = sections or list(SECTIONS)
    if unknown := set(chosen) - set(SECTIONS):
        raise typer.BadParameter(f"no section {', '.join(unknown)}; there are {SECTIONS}")
    if half not in ventricular_fibrillation.HALVES:
        raise typer.BadParameter(f"--half takes {', '.join(ventricular_fibrillation.HALVES)}")
    try:
        limits = limits_of(set_ or [])
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None
    chosen_records = RecordSet(data, load_model(model, "cpu"), limits, records)
    evaluate: dict[str, Callable[[], Section]] = {
        "runs": lambda: ventricular_runs.evaluate(chosen_records),
        "normal": lambda: normal_records.evaluate(chosen_records),
        "vf": lambda: ventricular_fibrillation.evaluate(chosen_records, half),
        "asystole": lambda: asystole.evaluate(chosen_records),
        "noise": lambda: noise.evaluate(chosen_records),
        "hand-held": lambda: hand_held.evaluate(chosen_records),
    }
    found: dict[str, Section] = {}
    for name in chosen:
        found[name] = evaluate[name]()
        typer.echo("\n".join([f"=== {name}", *found[name].lines(), ""]))
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")


if __name__ == "__main__":
    typer.run(main)
