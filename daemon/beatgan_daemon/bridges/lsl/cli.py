"""The commands `beatgan-bridge lsl in` and `lsl out`: parse, call."""

from typing import Annotated

import typer

from beatgan_daemon.bridges import options
from beatgan_daemon.bridges.beat_feed import BeatFeed
from beatgan_daemon.bridges.dry_run import print_alerts
from beatgan_daemon.bridges.lsl import ecg_in, markers_out
from beatgan_daemon.bridges.lsl.markers import of_alert
from beatgan_daemon.security import curve

app = typer.Typer(help="Lab Streaming Layer: ECG streams in, beats and alerts out as markers.")


@app.command("in")
def in_(
    kind: Annotated[
        str, typer.Option("--type", metavar="TYPE", help="of the LSL streams to take")
    ] = "ECG",
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="of the only one to take")
    ] = None,
    unit: Annotated[
        str | None, typer.Option(metavar="UNIT", help="uV, mV or V, where a stream does not say")
    ] = None,
    fs: Annotated[
        float | None,
        typer.Option(metavar="HZ", help="samples a second, where a stream says none, or wrong"),
    ] = None,
    connect: options.Connect = None,
    bind: options.Bind = None,
    dry_run: options.DryRun = False,
    key: options.Key = None,
    server_key: options.ServerKey = None,
) -> None:
    """ECG streams of the network to a daemon, by their names."""
    signal = options.signal_in(bind, connect, key, server_key, dry_run=dry_run)
    ecg_in.run(ecg_in.EcgIn(signal, kind=kind, name=name, unit=unit, fs=fs), signal)


@app.command("out")
def out(
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="of the stream")] = "beatgan",
    publish: options.Publish = options.PUBLISH,
    control: options.Control = options.CONTROL,
    state: options.State = None,
    since: options.Since = None,
    beats: Annotated[bool, typer.Option("--beats/--no-beats", help="beats as well")] = True,
    dry_run: options.DryRun = False,
    key: options.Key = None,
    server_key: options.ServerKey = None,
) -> None:
    """Beats and alerts of a daemon as an LSL stream of markers, JSON each."""
    feed = options.alert_feed(publish, control, state, since, key, server_key, dry_run=dry_run)
    if dry_run:
        print_alerts("lsl out", feed, lambda body: of_alert(body).text)
        return
    configure = curve.configuration(key, server_key)
    outlet = markers_out.MarkerOutlet(name, f"{name} {publish}")
    markers_out.run(outlet, feed, BeatFeed(publish, feed.count, configure) if beats else None)
