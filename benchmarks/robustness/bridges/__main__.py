"""A bridge between a real daemon and its real counterpart, which is cut off and comes back twice.

Devices send ECG with every kind of alarm in real time. At the end the daemon has every sample
where the device had it, or it is counted as missing; whoever takes alerts has the journal's, each
once and in order; and beats are as `beatgan-daemon score` has them of the same signal.
    python -m benchmarks.robustness.bridges mqtt --minutes 10
"""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.robustness.bridges.trial import try_bridge

BRIDGES = ("hl7", "kafka", "lsl", "mqtt")  # modules of this folder, each with a `Counterpart`, Peer


def main(
    bridge: Annotated[str, typer.Argument(metavar="|".join(BRIDGES))],
    minutes: float = 10.0,
    model: Annotated[Path, typer.Option()] = Path("models/student.pt"),
    keep: Annotated[
        Path | None, typer.Option(help="a folder for logs and state, which stay")
    ] = None,
) -> None:
    """Print what was found. Ends with 1 if anything was not as it should be."""
    if bridge not in BRIDGES:
        raise typer.BadParameter(f"{bridge}: expected one of {', '.join(BRIDGES)}")
    peer = import_module(f"benchmarks.robustness.bridges.{bridge}").Peer
    result = try_bridge(
        peer, 60.0 * minutes, model, keep, say=lambda text: typer.echo(text, err=True)
    )
    for fact in result.facts:
        typer.echo(fact)
    for fault in result.faults:
        typer.echo(fault, err=True)
    if result.faults:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
