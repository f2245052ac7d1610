"""The command line: parse, call, exit. What a command does is written elsewhere.

Modules that load torch or compile are imported inside the commands that need them, so that
`--help` and `replay` answer at once.
"""

import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import IO, Annotated, Any

import typer
from rich.console import Console

from beatgan.errors import BeatganError, UsageError
from beatgan.records import Recording, only, read_recording
from beatgan_daemon import demo as demonstration
from beatgan_daemon import log
from beatgan_daemon import replay as replaying
from beatgan_daemon import watch as watching
from beatgan_daemon.exits import exit_code, one_line
from beatgan_daemon.messages import encode_json
from beatgan_daemon.settings import Publish, Settings, keys, load
from beatgan_daemon.signals import stop_signals

PLAN = replaying.Plan()  # its defaults are ours

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a bug shows Python's own traceback
    help="Streaming ECG anomaly detection. Not a medical device.",
    epilog="Exit codes: 0 done, 1 crash, 2 usage, 3 refused to start. See docs/operations.md.",
)


def main() -> None:
    """The entry point: errors raised on purpose are one line on stderr and a documented code."""
    try:
        app()
    except BeatganError as error:
        typer.echo(f"beatgan-daemon: {one_line(error)}", err=True)
        sys.exit(exit_code(error))


def option(key: str, *names: str, metavar: str) -> Any:
    """A flag for the setting ``key``: what it means and accepts is written in the settings."""
    return typer.Option(*names, metavar=metavar, help=keys()[key], show_default=False)


Records = Annotated[
    list[str],
    typer.Argument(metavar="RECORD", help="WFDB, EDF or CSV; `sample` is the bundled one"),
]
Model = Annotated[str | None, option("model.path", "--model", metavar="FILE")]
Device = Annotated[str | None, option("model.device", "--device", metavar="DEVICE")]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="TOML, as configs/daemon.toml")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="any setting, as batch.size=32; repeatable"),
]


@app.callback(invoke_without_command=True)
def _root(
    show_version: Annotated[
        bool, typer.Option("--version", help="say the version and exit")
    ] = False,
) -> None:
    if show_version:
        typer.echo(f"beatgan-daemon {version('beatgan')}")
        raise typer.Exit


@app.command()
def run(
    model: Model = None,
    config: Config = None,
    ingest_bind: Annotated[
        list[str] | None, option("ingest.bind", "--ingest-bind", metavar="EP")
    ] = None,
    ingest_connect: Annotated[
        list[str] | None, option("ingest.connect", "--ingest-connect", metavar="EP")
    ] = None,
    publish_bind: Annotated[
        str | None, option("publish.bind", "--publish-bind", metavar="EP")
    ] = None,
    http: Annotated[str | None, option("http.listen", "--http", metavar="HOST:PORT")] = None,
    device: Device = None,
    set_: Set = None,
) -> None:
    """Run the daemon until SIGTERM or Ctrl-C."""
    settings = _settings(
        config,
        set_,
        {
            "model.path": model,
            "model.device": device,
            "ingest.bind": ingest_bind,
            "ingest.connect": ingest_connect,
            "publish.bind": publish_bind,
            "http.listen": http,
        },
    )
    log.configure(settings.log.level, settings.log.format)
    from beatgan_daemon import service

    raise typer.Exit(service.run(settings))


@app.command()
def check(
    model: Model = None, config: Config = None, device: Device = None, set_: Set = None
) -> None:
    """Validate the settings and the model without starting."""
    settings = _settings(config, set_, {"model.path": model, "model.device": device})
    from beatgan_daemon.loading import load_model

    loaded = load_model(settings.model.path, settings.model.device)
    typer.echo(
        f"ok: {settings.model.path} is a {loaded.kind}, digest {loaded.digest}, "
        f"and gives the scores it should on {loaded.device}; the settings are valid"
    )


@app.command()
def score(
    records: Records,
    model: Model = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="write here instead of stdout")
    ] = None,
    lead: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="use this lead alone, by default the best two"),
    ] = None,
    config: Config = None,
    device: Device = None,
    set_: Set = None,
) -> None:
    """Score recordings with the daemon's own engine: beats and alerts as JSON Lines."""
    settings = _settings(config, set_, {"model.path": model, "model.device": device})
    from beatgan_daemon.loading import load_model
    from beatgan_daemon.offline import score_recordings

    loaded = load_model(settings.model.path, settings.model.device)
    recordings = map(_opened, records)
    if lead is not None:
        recordings = map(partial(only, lead=lead), recordings)
    messages = score_recordings(recordings, loaded.spec, loaded.scorer, settings.alarms)
    with _writing(out) as file:
        for message in messages:
            file.write(encode_json(message) + b"\n")


@app.command()
def replay(
    records: Records,
    bind: Annotated[
        str | None, typer.Option("--bind", metavar="EP", help="listen for a daemon here")
    ] = None,
    connect: Annotated[
        str | None, typer.Option("--connect", metavar="EP", help="connect to the daemon here")
    ] = None,
    speed: Annotated[
        float, typer.Option(help="1 is real time, 0 as fast as the daemon takes it")
    ] = PLAN.speed,
    chunk_ms: Annotated[float, typer.Option(help="signal in each frame, ms")] = PLAN.chunk_ms,
    copies: Annotated[int, typer.Option(help="streams made of each recording")] = PLAN.copies,
    loop: Annotated[
        bool, typer.Option("--loop", help="begin each recording anew at its end")
    ] = PLAN.loop,
) -> None:
    """Send recordings as live ECG streams."""
    plan = replaying.Plan(speed=speed, chunk_ms=chunk_ms, copies=copies, loop=loop)
    with suppress(KeyboardInterrupt):
        sent = replaying.replay([*map(_opened, records)], plan, bind=bind, connect=connect)
        typer.echo(
            f"sent {sent.samples} samples in {sent.frames} frames of {sent.streams} stream(s); "
            f"at worst {1000 * sent.behind:.0f} ms behind",
            err=True,
        )


@app.command()
def watch(
    connect: Annotated[
        str, typer.Option("--connect", metavar="EP", help="the daemon's publish endpoint")
    ] = Publish().bind,
) -> None:
    """Print alerts as they come, until Ctrl-C."""
    typer.echo(f"waiting for {connect}; Ctrl-C ends", err=True)
    with stop_signals() as stopping:
        watching.watch(connect, Console(highlight=False, markup=False), stopping)


@app.command()
def demo(
    seconds: Annotated[float, typer.Option(min=0, help="how long to run")] = 60.0,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", metavar="FILE", help=f"default {demonstration.SHIPPED_MODEL}, from here"
        ),
    ] = None,
) -> None:
    """Run a daemon on the bundled sample and print its alerts."""
    demonstration.demo(seconds, model, Console(highlight=False, markup=False))


def _settings(config: Path | None, pairs: list[str] | None, flags: dict[str, Any]) -> Settings:
    """The settings from a command's flags, the environment and the file."""
    given = {key: _joined(value) for key, value in flags.items() if value not in (None, [])}
    return load(config, dict(_pairs(pairs or ())) | given)


def _opened(name: str) -> Recording:
    """The recording, what of its file is not used or not as it was being told on stderr."""
    recording = read_recording(name)
    for fact in recording.left_out:
        typer.echo(f"beatgan-daemon: {name}: not used: {fact}", err=True)
    for lead in recording.scaled:
        typer.echo(
            f"beatgan-daemon: {name}: {lead} has no voltage, scaled to a usual one", err=True
        )
    return recording


def _writing(out: Path | None) -> AbstractContextManager[IO[bytes]]:
    """The file to write to, or standard output."""
    if out is None:
        return nullcontext(sys.stdout.buffer)
    try:
        return out.open("wb")
    except OSError as error:
        raise UsageError(f"--out {out}: {error.strerror}") from None


def _joined(value: str | list[str]) -> str:
    """A repeated flag as the settings take lists in text: with commas."""
    return value if isinstance(value, str) else ",".join(value)


def _pairs(texts: Iterable[str]) -> Iterable[tuple[str, str]]:
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text}: expected KEY=VALUE, as --set batch.size=32")
        yield key.strip(), value.strip()


if __name__ == "__main__":
    main()
