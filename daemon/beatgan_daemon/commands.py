"""The commands of a daemon itself, and of its engine over recordings: parse, call.

Modules that compile are imported inside the commands that need them, so that
`--help` answers at once.
"""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from beatgan.errors import UsageError
from beatgan.model.shipped import SHIPPED
from beatgan.protocol.messages import encode_json
from beatgan.records import only
from beatgan_daemon import log, standard_streams
from beatgan_daemon.clients.cli import Records, opened
from beatgan_daemon.exit_codes import Exit
from beatgan_daemon.import_pause import without_collection
from beatgan_daemon.machine import require_machine
from beatgan_daemon.reload_socket import ask_for_reload
from beatgan_daemon.settings import Settings, keys, load
from beatgan_daemon.signals import tidy_end

app = typer.Typer()


def option(key: str, *names: str, metavar: str) -> Any:
    """A flag for the setting ``key``: what it means and accepts is written in the settings."""
    return typer.Option(*names, metavar=metavar, help=keys()[key], show_default=False)


Model = Annotated[str | None, option("model.path", "--model", metavar="FILE")]
Device = Annotated[str | None, option("model.device", "--device", metavar="DEVICE")]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="TOML, as configs/daemon.toml")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="any setting, as batch.size=32; repeatable"),
]


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
    shard: Annotated[str | None, option("ingest.buckets", "--shard", metavar="N/M")] = None,
    http: Annotated[str | None, option("http.listen", "--http", metavar="HOST:PORT")] = None,
    device: Device = None,
    set_: Set = None,
) -> None:
    """Run the daemon until SIGTERM or Ctrl-C; SIGHUP reloads settings and model."""
    flags = {
        "model.path": model,
        "model.device": device,
        "ingest.bind": ingest_bind,
        "ingest.connect": ingest_connect,
        "ingest.buckets": shard,
        "publish.bind": publish_bind,
        "http.listen": http,
    }
    standard_streams.keep_nobody_waiting()
    warnings: list[str] = []  # there is no log yet
    settings = _settings(config, set_, flags, warnings.append)
    log.configure(settings.log.level, settings.log.format)
    for text in warnings:
        _log_warning(text)
    require_machine()
    read = partial(_settings, config, set_, flags, _log_warning)
    with without_collection():
        from beatgan_daemon import service

    for text in _distrusted(settings, config):
        log.get().warning("others may change what it does", why=text)
    raise typer.Exit(service.run(settings, read))


@app.command()
def check(
    model: Model = None, config: Config = None, device: Device = None, set_: Set = None
) -> None:
    """Say what would keep a daemon from starting, without starting one."""
    settings = _settings(config, set_, {"model.path": model, "model.device": device})
    require_machine()
    with without_collection():
        from beatgan_daemon import preflight
        from beatgan_daemon.model_loading import load_model
        from beatgan_daemon.wiring import credentials

    known = credentials(settings)
    preflight.require_map(settings.shard.dir)
    preflight.require_state(settings.state.dir)
    warnings = [] if known is None else list(known.warnings)
    warnings += preflight.require_endpoints(settings)
    warnings += _distrusted(settings, config)
    loaded = load_model(settings.model.path, settings.model.device, _print_warning)
    security = settings.security
    files = (settings.model.path, config, security.clients, security.servers)
    for text in (*warnings, *preflight.warnings(files)):
        _print_warning(text)
    typer.echo(
        f"ok: {settings.model.path} is a {loaded.kind}, digest {loaded.digest}, "
        f"and gives the scores it should on {loaded.device}; the settings are valid"
    )


@app.command("compile")
def compile_(model: Model = None, config: Config = None, set_: Set = None) -> None:
    """Compile what a daemon runs, so that none does at its start; for whoever installs it."""
    settings = _settings(config, set_, {"model.path": model})
    require_machine()
    with without_collection():
        from beatgan import compiled_cache
        from beatgan_daemon.playback.rehearsal import compile_all

    done = compile_all(
        settings.model.path,
        lambda: typer.echo("beatgan-daemon: compiling, for a minute or so ...", err=True),
    )
    what = "all is compiled already"
    if done.functions:
        what = f"compiled {done.functions} functions in {done.seconds:.0f} s"
    typer.echo(f"{what}; the code lies in {', '.join(map(str, compiled_cache.places()))}")


@app.command()
def reload(
    pid: Annotated[int, typer.Argument(metavar="PID", help="process id of the daemon", min=1)],
    seconds: Annotated[float, typer.Option(min=0.1, help="how long to wait for it")] = 50.0,
) -> None:
    """Let a running daemon reload its settings and model, and say what came of it."""
    outcome = ask_for_reload(pid, seconds)
    typer.echo(outcome)
    word = outcome.partition(":")[0]
    raise typer.Exit({"applied": Exit.DONE, "refused": Exit.REFUSED}.get(word, Exit.CRASH))


@app.command()
def score(
    records: Records,
    model: Model = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="write here, whole or not at all; stdout if not given"
        ),
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
    with without_collection():
        from beatgan.library.output_file import writing
        from beatgan.playback.offline import score_recordings
        from beatgan_daemon.model_loading import load_model

    loaded = load_model(settings.model.path, settings.model.device, _print_warning)
    recordings = map(opened, records)
    if lead is not None:
        recordings = map(partial(only, lead=lead), recordings)
    messages = score_recordings(
        recordings,
        loaded.spec,
        loaded.coefficients,
        loaded.scorer,
        settings.alarms,
        revise_within=settings.model.revise_within_s,
    )
    with tidy_end(), writing(out, records) as file:
        for message in messages:
            file.write(encode_json(message) + b"\n")


@app.command()
def demo(
    seconds: Annotated[
        float | None, typer.Option(min=0, help="how long to run; until Ctrl-C if not given")
    ] = None,
    model: Annotated[
        Path,
        typer.Option(
            "--model", metavar="FILE", help="to score with", show_default="the shipped student"
        ),
    ] = SHIPPED,
    terminal: Annotated[
        bool, typer.Option("--terminal", help="no page: the terminal alone")
    ] = False,
) -> None:
    """Run a daemon on a ward of real ECG, and show it on a page and the terminal."""
    from beatgan_daemon.clients import demo as demonstration

    console = Console(highlight=False, markup=False)
    demonstration.demo(seconds, model, console, page=not terminal)


def _distrusted(settings: Settings, config: Path | None) -> list[str]:
    """What others than root and this user may write, of what decides whom the daemon watches.

    Asked where there are keys: without, who is on this machine may do everything.
    """
    from beatgan_daemon.security.trusted_file import distrusted

    key = settings.security.key
    return [] if key is None else [*distrusted((config, settings.model.path, key))]


def _print_warning(text: str) -> None:
    typer.echo(f"beatgan-daemon: {text}", err=True)


def _log_warning(text: str) -> None:
    log.get().warning("setting renamed", why=text)


def _settings(
    config: Path | None,
    pairs: list[str] | None,
    flags: dict[str, Any],
    warn: Callable[[str], None] = _print_warning,
) -> Settings:
    """The settings from a command's flags, the environment and the file."""
    given = {key: _joined(value) for key, value in flags.items() if value not in (None, [])}
    return load(config, dict(_pairs(pairs or ())) | given, warn=warn)


def _joined(value: str | list[str]) -> str:
    """A repeated flag as the settings take lists in text: with commas."""
    return value if isinstance(value, str) else ",".join(value)


def _pairs(texts: Iterable[str]) -> Iterable[tuple[str, str]]:
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text}: expected KEY=VALUE, as --set batch.size=32")
        yield key.strip(), value.strip()
