"""`beatgan-bridge fhir`: the ECG strip of an alarm as a FHIR Observation."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from beatgan.errors import UsageError
from beatgan.library import output_file
from beatgan_daemon.bridges import options
from beatgan_daemon.bridges.bed_map import BedMap
from beatgan_daemon.bridges.fhir.observation import Release, observation
from beatgan_daemon.clients.find_episode import find_episode
from beatgan_daemon.clients.options import AlertsFile, Strips

app = typer.Typer(help="An alarm's ECG as a FHIR Observation.")


@app.callback()
def _group() -> None:
    """An alarm's ECG as a FHIR Observation."""


@app.command("strip")
def strip(
    episode: Annotated[str, typer.Argument(metavar="ID", help="the alert's `id`")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="write it here; else to stdout")
    ] = None,
    release: Annotated[Release, typer.Option("--release", help="of FHIR")] = Release.R4,
    beds: Annotated[
        Path | None,
        typer.Option("--map", metavar="FILE", help="streams' places and patients, TOML"),
    ] = None,
    file: AlertsFile = None,
    strips: Strips = None,
    control: options.Control = options.CONTROL,
    key: options.Key = None,
    server_key: options.ServerKey = None,
) -> None:
    """Write the strip of an alarm as an Observation with SampledData, in JSON."""
    told = find_episode(episode, control, file, strips, key, server_key)
    if told.strip is None:
        raise UsageError(
            f"{episode}: its alerts have no strip; set alarms.strip_s, or give --strips where "
            "`web --strips` kept one"
        )
    bed = BedMap(beds).beds().of(told.latest.stream)
    resource = observation(told.latest, told.strip, bed, release)
    with output_file.writing(out) as target:
        target.write(msgspec.json.encode(resource) + b"\n")
