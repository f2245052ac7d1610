"""The daemon's settings: from flags, environment variables, the TOML file and the defaults.

Knows no socket and loads no model. What an option means stands in settings_schema.py.
"""

import os
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from beatgan.alarms.limits import FORMER_NAMES, AlarmLimits
from beatgan.errors import UsageError
from beatgan.protocol.buckets import ALL
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.regular_file import read_text
from beatgan_daemon.settings_schema import (
    BatchSettings,
    ControlSettings,
    HttpSettings,
    IngestSettings,
    LogSettings,
    ModelSettings,
    OverloadSettings,
    PublishSettings,
    SecuritySettings,
    ShardSettings,
    StateSettings,
    StreamsSettings,
    StrictModel,
    TapSettings,
)

PREFIX = "BEATGAN_"
NOT_SETTINGS = {"BEATGAN_DATA"}  # beatgan-train's folder of databases
# Keys of the release before, by their new names; accepted until the next one, with a warning.
FORMER_KEYS = {f"alarms.{old}": f"alarms.{new}" for old, new in FORMER_NAMES.items()}


class Settings(StrictModel):
    """The daemon's settings. `load` reads them; constructing one checks nothing but itself."""

    model: ModelSettings = ModelSettings()
    ingest: IngestSettings = IngestSettings()
    publish: PublishSettings = PublishSettings()
    control: ControlSettings = ControlSettings()
    tap: TapSettings = TapSettings()
    state: StateSettings = StateSettings()
    shard: ShardSettings = ShardSettings()
    security: SecuritySettings = SecuritySettings()
    http: HttpSettings = HttpSettings()
    batch: BatchSettings = BatchSettings()
    streams: StreamsSettings = StreamsSettings()
    overload: OverloadSettings = OverloadSettings()
    alarms: AlarmLimits = AlarmLimits()
    log: LogSettings = LogSettings()


def keys() -> dict[str, str]:
    """Every option as ``section.key``, with what it means (alarms: see the config file)."""
    found: dict[str, str] = {}
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, StrictModel):
            options = {key: f.description or "" for key, f in section.model_fields.items()}
        else:
            options = {f.name: "" for f in fields(AlarmLimits)}
        found |= {f"{name}.{key}": text for key, text in options.items()}
    return found


@dataclass(frozen=True, slots=True)
class _Layer:
    """One place that options come from: flat ``section.key`` to value, and how to name it."""

    name: str
    values: Mapping[str, Any]
    error: type[StartError] | type[UsageError]

    def renamed(self, warn: Callable[[str], None]) -> "_Layer":
        """The same layer with today's keys; each former key is warned of."""
        for old in self.values.keys() & FORMER_KEYS.keys():
            warn(f"{self.name}: {old} is now called {FORMER_KEYS[old]}; please rename it")
        values = {FORMER_KEYS.get(key, key): value for key, value in self.values.items()}
        return replace(self, values=values)

    def check(self) -> None:
        """Refuse keys that do not exist."""
        known = keys()
        for key in self.values:
            if key not in known:
                raise self.error(f"{self.name}: unknown key {key!r}{_hint(key, known)}")


def _hint(key: str, known: Iterable[str]) -> str:
    """The nearest key there is, by its whole name or else by its last part."""
    names = list(known)
    siblings = [name for name in names if name.split(".")[0] == key.split(".")[0]]
    last = {name.split(".")[1]: name for name in names}
    near = get_close_matches(key, names, 1) or [
        last[name] for name in get_close_matches(key.split(".")[-1], last, 1)
    ]
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(siblings or names)}"


def load(
    file: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] = os.environ,
    warn: Callable[[str], None] = lambda _: None,
) -> Settings:
    """The settings: ``flags`` (``section.key`` to value) over environment over file over defaults.

    ``warn`` is called with a sentence for each key that is given by its former name.

    Raises UsageError where a flag is at fault, StartError where it is the file or the environment.
    The text names the place, the key, the value and what was expected.
    """
    layers = [
        _Layer("command line", flags or {}, UsageError),
        _Layer(f"environment variables {PREFIX}*", _from_environment(environment), StartError),
        _Layer(str(file), _from_file(file) if file else {}, StartError),
        _Layer("the service manager", _from_manager(environment), StartError),
    ]
    _refuse_both_names(layers)
    layers = [layer.renamed(warn) for layer in layers]
    nested: dict[str, dict[str, Any]] = {}
    for layer in reversed(layers):
        layer.check()
        for key, value in layer.values.items():
            section, option = key.split(".")
            nested.setdefault(section, {})[option] = value
    try:
        settings = Settings.model_validate(nested)
    except ValidationError as error:
        raise _explained(error.errors()[0], layers) from None
    except UsageError as error:  # AlarmLimits checks itself
        layer = _culprit("alarms", layers)
        raise layer.error(f"{layer.name}: {error}") from None
    return _in_shared_directory(settings, layers)


def _in_shared_directory(settings: Settings, layers: Sequence[_Layer]) -> Settings:
    """Of a shard: its state lies in the shared directory, where another shard finds it that takes
    over, and the map says which buckets it serves."""
    place = settings.shard.place
    if place is None:
        return settings
    directory, name = place
    for layer in layers[:-1]:  # but the service manager's: it gives every unit a directory
        if "state.dir" in layer.values:
            why = "a shard's state lies in shard.dir, under shard.name"
            raise layer.error(f"{layer.name}: state.dir and shard.dir: {why}")
    if settings.ingest.buckets != ALL:
        layer = _culprit("ingest.buckets", [*layers])
        why = "the map in shard.dir says which buckets a shard serves"
        raise layer.error(f"{layer.name}: ingest.buckets and shard.dir: {why}")
    state = settings.state.model_copy(update={"dir": directory / name})
    return settings.model_copy(update={"state": state})


def _refuse_both_names(layers: Iterable[_Layer]) -> None:
    """A key and its former name must not both be given, wherever each of them is."""
    given = {key: layer for layer in layers for key in layer.values}
    for old, new in FORMER_KEYS.items():
        if old in given and new in given:
            layer = given[old]
            raise layer.error(
                f"{layer.name}: {old} is the former name of {new}, and both are given; "
                f"use {new} alone"
            )


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """``BEATGAN_BATCH__SIZE=32`` as ``batch.size``."""
    return {
        name.removeprefix(PREFIX).lower().replace("__", "."): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and name not in NOT_SETTINGS
    }


def _from_manager(environment: Mapping[str, str]) -> dict[str, str]:
    """What systemd provides for a unit with ``StateDirectory=``."""
    directory = environment.get("STATE_DIRECTORY", "").partition(":")[0]
    return {"state.dir": directory} if directory else {}


def _from_file(file: Path) -> dict[str, Any]:
    try:
        tables = tomllib.loads(read_text(file))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise StartError(f"{file}: cannot read the configuration: {error}") from None
    flat: dict[str, Any] = {}
    for section, table in tables.items():
        entries = table if isinstance(table, dict) else {None: table}
        flat |= {f"{section}.{key}" if key else section: v for key, v in entries.items()}
    return flat


def _explained(error: ErrorDetails, layers: list[_Layer]) -> StartError | UsageError:
    """Which layer's value pydantic complains about, in the operator's words."""
    key = ".".join(str(part) for part in error["loc"][:2])
    what = error["msg"].removeprefix("Value error, ")
    layer = _culprit(key, layers)
    value = f" = {layer.values[key]!r}" if key in layer.values else ""
    return layer.error(f"{layer.name}: {key}{value}: {what}")


def _culprit(key: str, layers: list[_Layer]) -> _Layer:
    """The strongest layer with a value for ``key`` or, where a section is at odds, within it."""
    return next(
        layer
        for layer in layers
        if key in layer.values or any(name.startswith(f"{key}.") for name in layer.values)
    )
