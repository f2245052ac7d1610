"""The daemon's alarms on annotated records, against the annotations.

The records run through the daemon's own engine (`beatgan-daemon score`), with the limits and the
model file it ships with. What counts as true, false, early and late stands at the head of each
section's module.
    python -m benchmarks.clinical.alarms --data DIR                         all sections
    python -m benchmarks.clinical.alarms --data DIR --list cinc2015         and each wrong record
    python -m benchmarks.clinical.alarms --data DIR --records DS1 runs normal
    python -m benchmarks.clinical.alarms --data DIR --half odd vf           cudb's other half
    python -m benchmarks.clinical.alarms --data DIR --set alarms.vt_rate=110 runs
    python -m benchmarks.clinical.alarms --data DIR --against ../release --markdown alarms.md
`--against` measures another checkout, too: its own code and model file as shipped, by the same
counting.
`--fold-models FILE` is for coefficients that were fitted to these records: a JSON object that
names, for a record, the model file that has not seen it, relative to FILE; other records take
`--model`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import msgspec
import typer

from beatgan.alarms.limits import AlarmLimits
from beatgan.errors import UsageError
from benchmarks.clinical.alarms import (
    alarm_rates,
    annotated_fibrillation,
    asystole,
    atrial_fibrillation,
    cinc2015,
    hand_held,
    noise,
    normal_records,
    time_to_alarm,
    ventricular_fibrillation,
    ventricular_runs,
)
from benchmarks.clinical.alarms.by_leads import by_leads
from benchmarks.clinical.alarms.daemon_command import HERE, MODEL, DaemonCommand
from benchmarks.clinical.alarms.record_set import RecordSet
from benchmarks.clinical.alarms.report import Section, markdown_table

EVALUATE: Mapping[str, Callable[[RecordSet], Section]] = {
    "cinc2015": cinc2015.evaluate,
    "hand-held": hand_held.evaluate,
    "af": atrial_fibrillation.evaluate,
    "af-annotated": by_leads(annotated_fibrillation.evaluate),
    "rates": by_leads(alarm_rates.evaluate),
    "runs": by_leads(ventricular_runs.evaluate),
    "normal": by_leads(normal_records.evaluate),
    "time": by_leads(time_to_alarm.evaluate),
    "vf": by_leads(ventricular_fibrillation.evaluate),
    "asystole": asystole.evaluate,
    "noise": by_leads(noise.evaluate),
}


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


def read_fold_models(file: Path | None) -> dict[str, Path]:
    """The model file of each record that has one of its own. Raises UsageError naming the file."""
    if file is None:
        return {}
    try:
        names = msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError) as error:
        raise UsageError(f"--fold-models {file}: {error}") from None
    models = {record: file.parent / name for record, name in names.items()}
    if missing := {str(model) for model in models.values() if not model.exists()}:
        raise UsageError(f"--fold-models {file}: no such file: {', '.join(sorted(missing))}")
    return models


def measure(
    sections: Sequence[str],
    records: RecordSet,
    show: Callable[[str], None],
    with_details: bool,
) -> dict[str, Section]:
    """Each of the ``sections``, shown as soon as it is known."""
    found: dict[str, Section] = {}
    for name in sections:
        section = found[name] = EVALUATE[name](records)
        show("\n".join([f"=== {name}", *section.lines(), ""]))
        if with_details:
            show("\n".join([*section.details(), ""]))
    return found


def main(
    data: Annotated[Path, typer.Option(envvar="BEATGAN_DATA")],
    sections: Annotated[list[str] | None, typer.Argument(help=f"{', '.join(EVALUATE)}")] = None,
    model: Annotated[Path, typer.Option()] = HERE / MODEL,
    set_: Annotated[list[str] | None, typer.Option("--set", help="alarms.key=value")] = None,
    records: Annotated[
        str | None,
        typer.Option(help="of mitdb and svdb: DS1, DS2, mitdb, svdb or names with commas"),
    ] = None,
    half: Annotated[str, typer.Option(help="of cudb: even (not chosen on), odd, all")] = "even",
    list_: Annotated[bool, typer.Option("--list", help="also each case")] = False,
    against: Annotated[
        Path | None, typer.Option(help="another checkout, measured beside", file_okay=False)
    ] = None,
    fold_models: Annotated[Path | None, typer.Option(help="record -> model file, JSON")] = None,
    processes: Annotated[int, typer.Option(min=1)] = 2,
    json: Annotated[Path | None, typer.Option(help="also write all figures here")] = None,
    markdown: Annotated[Path | None, typer.Option(help="also write the table here")] = None,
) -> None:
    """Print the sections' figures."""
    chosen = sections or list(EVALUATE)
    if unknown := set(chosen) - set(EVALUATE):
        raise typer.BadParameter(f"no section {', '.join(unknown)}; there are {list(EVALUATE)}")
    if half not in ventricular_fibrillation.HALVES:
        raise typer.BadParameter(f"--half takes {', '.join(ventricular_fibrillation.HALVES)}")
    try:
        limits = limits_of(set_ or [])
        folds = read_fold_models(fold_models)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None
    daemon = DaemonCommand(HERE, model, tuple(set_ or ()), folds, processes)
    daemons = {"this": daemon}
    if against is not None:
        other = against.resolve()
        daemons["other"] = DaemonCommand(other, other / MODEL, processes=processes)
    found: dict[str, dict[str, Section]] = {}
    for title, each in daemons.items():
        with TemporaryDirectory(prefix="alarms-") as folder:
            if len(daemons) > 1:
                typer.echo(f"##### {title}: {each.checkout}")
            record_set = RecordSet(data, each, limits, Path(folder), half, records)
            found[title] = measure(chosen, record_set, typer.echo, list_)
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    figures = {
        title: [figure for section in each.values() for figure in section.figures()]
        for title, each in found.items()
    }
    if markdown is not None:
        markdown.write_text(markdown_table(figures))
    if against is not None:
        typer.echo(markdown_table(figures))


if __name__ == "__main__":
    typer.run(main)
