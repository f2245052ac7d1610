"""Every option of the daemon, written once: the source of the TOML file, environment and flags.

Knows no socket and loads no model. Each option's meaning, unit and default stand here, and in
prose in ``configs/daemon.toml``; a test keeps the two equal.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from beatgan.errors import UsageError
from beatgan.policy import AlarmLimits
from beatgan_daemon.exits import StartError
from beatgan_daemon.log import Format, Level

PREFIX = "BEATGAN_"
NOT_SETTINGS = {"BEATGAN_DATA"}  # beatgan-train's folder of databases


class Address(NamedTuple):
    """Where the HTTP server listens; port 0 lets the system choose one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: object) -> Self:
        """``127.0.0.1:9464``, ``[::1]:9464`` or ``localhost:9464``."""
        match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([^\s:\[\]/]+)):(\d{1,5})", str(text))
        if match is None or int(match[3]) > 65535:
            raise ValueError("expected HOST:PORT, for example 127.0.0.1:9464")
        return cls(match[1] or match[2], int(match[3]))


def _endpoint(text: str) -> str:
    if not re.fullmatch(r"tcp://(\[[0-9a-fA-F:.]+\]|[^\s:\[\]/]+):(\d{1,5}|\*)|ipc://\S+", text):
        raise ValueError("expected tcp://HOST:PORT or ipc://PATH")
    return text


def _device(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", text):
        raise ValueError("expected auto, cpu, cuda or cuda:N")
    return text


def _split(value: object) -> object:
    """A list from the environment or a flag is written with commas; the empty text is no item."""
    return [item for item in value.split(",") if item] if isinstance(value, str) else value


Endpoint = Annotated[str, AfterValidator(_endpoint)]
Endpoints = Annotated[tuple[Endpoint, ...], BeforeValidator(_split)]
Device = Annotated[str, AfterValidator(_device)]


class Section(BaseModel):
    """One table of the config file."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Ingest(Section):
    """Where ECG frames come from."""

    bind: Endpoints = Field(("tcp://127.0.0.1:5555",), description="listen for ECG sources here")
    connect: Endpoints = Field((), description="connect to ECG sources that listen themselves")
    high_water: int = Field(
        100_000, ge=1, le=10_000_000, description="frames queued per source before loss"
    )
    max_message: int = Field(
        4_194_304, ge=4096, le=2**30, description="largest frame part accepted, bytes"
    )

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not self.bind and not self.connect:
            raise ValueError("bind and connect are both empty: no ECG could ever arrive")
        return self


class Publish(Section):
    """Where beats, alerts and status messages go."""

    bind: Endpoint = Field("tcp://127.0.0.1:5556", description="publish messages here")
    high_water: int = Field(
        10_000, ge=1, le=10_000_000, description="messages queued per subscriber before loss"
    )


class Http(Section):
    """Metrics and health."""

    listen: Annotated[Address, PlainValidator(Address.parse)] = Field(
        Address("127.0.0.1", 9464), description="serve /metrics, /livez and /readyz here"
    )


class ModelFile(Section):
    """The student that scores. Its preprocessing and threshold travel in the file itself."""

    path: Path = Field(description="model file made by beatgan-train distill")
    device: Device = Field("auto", description="auto|cpu|cuda[:N]; auto takes a GPU if usable")


class Batch(Section):
    """Beats of all streams are scored together."""

    size: int = Field(256, ge=1, le=65_536, description="score as soon as this many beats wait")
    age_ms: float = Field(10.0, ge=0, le=10_000, description="or as soon as one has waited so long")


class Streams(Section):
    """Bounds on the patients' streams."""

    max: int = Field(10_000, ge=1, le=1_000_000, description="streams at the same time")
    silence_s: float = Field(
        5.0, gt=0, le=86_400, description="seconds without a new sample before signal.no-data"
    )
    reorder_ms: float = Field(
        200.0, ge=0, le=60_000, description="how long an early frame waits for those before it"
    )


class Overload(Section):
    """What is given up when more ECG comes than can be served."""

    behind_ms: float = Field(
        500.0, ge=0, le=600_000, description="the oldest frame that may wait; 0 sheds nothing"
    )


class Log(Section):
    """What is said on stderr."""

    level: Level = Field("info", description="debug|info|warning|error")
    format: Format = Field("auto", description="auto|json|pretty; auto is pretty on a terminal")
    status_s: float = Field(
        60.0, ge=0, le=86_400, description="seconds between status lines; 0 for none"
    )


class Settings(Section):
    """The daemon's settings. `load` reads them; constructing one checks nothing but itself."""

    model: ModelFile
    ingest: Ingest = Ingest()
    publish: Publish = Publish()
    http: Http = Http()
    batch: Batch = Batch()
    streams: Streams = Streams()
    overload: Overload = Overload()
    alarms: AlarmLimits = AlarmLimits()
    log: Log = Log()


def keys() -> dict[str, str]:
    """Every option as ``section.key``, with what it means (alarms: see the config file)."""
    found: dict[str, str] = {}
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
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
) -> Settings:
    """The settings: ``flags`` (``section.key`` to value) over environment over file over defaults.

    Raises UsageError where a flag is at fault or no model is named, StartError where it is the file
    or the environment. The text names the place, the key, the value and what was expected.
    """
    layers = [
        _Layer("command line", flags or {}, UsageError),
        _Layer(f"environment variables {PREFIX}*", _from_environment(environment), StartError),
        _Layer(str(file), _from_file(file) if file else {}, StartError),
    ]
    nested: dict[str, dict[str, Any]] = {"model": {}}
    for layer in reversed(layers):
        layer.check()
        for key, value in layer.values.items():
            section, option = key.split(".")
            nested.setdefault(section, {})[option] = value
    try:
        return Settings.model_validate(nested)
    except ValidationError as error:
        raise _explained(error.errors()[0], layers) from None
    except UsageError as error:  # AlarmLimits checks itself
        layer = _culprit("alarms", layers)
        raise layer.error(f"{layer.name}: {error}") from None


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """``BEATGAN_BATCH__SIZE=32`` as ``batch.size``."""
    return {
        name.removeprefix(PREFIX).lower().replace("__", "."): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and name not in NOT_SETTINGS
    }


def _from_file(file: Path) -> dict[str, Any]:
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
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
    if error["type"] == "missing" and key == "model.path":
        return UsageError(
            f"no model: give --model FILE, or {PREFIX}MODEL__PATH, or path under [model] in a "
            "config file"
        )
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
