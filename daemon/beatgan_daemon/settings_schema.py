"""The tables of the config file, and what each option may be: its type, bounds, unit and default.

In prose the options stand in ``configs/daemon.toml``; a test keeps the two equal. How the values
are found is settings.py's.
"""

import re
from pathlib import Path
from typing import Annotated, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    model_validator,
)

from beatgan.errors import UsageError
from beatgan.model.revision import REVISE_WITHIN_S
from beatgan.model.shipped import SHIPPED
from beatgan.protocol.buckets import ALL, parse_buckets
from beatgan_daemon.defaults import CONTROL, INGEST, KEEP_DAYS, KEEP_MB, PUBLISH
from beatgan_daemon.log import Format, Level
from beatgan_daemon.shard_name import shard_name


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


def _buckets(value: object) -> frozenset[int]:
    return value if isinstance(value, frozenset) else parse_buckets(str(value))


def _shard(text: str) -> str:
    try:
        return shard_name(text)
    except UsageError as error:
        raise ValueError(str(error)) from None


def _split(value: object) -> object:
    """A list from the environment or a flag is written with commas; the empty text is no item."""
    return [item for item in value.split(",") if item] if isinstance(value, str) else value


Endpoint = Annotated[str, AfterValidator(_endpoint)]
Endpoints = Annotated[tuple[Endpoint, ...], BeforeValidator(_split)]
Buckets = Annotated[frozenset[int], PlainValidator(_buckets)]
ShardName = Annotated[str, AfterValidator(_shard)]
Device = Annotated[str, AfterValidator(_device)]


class StrictModel(BaseModel):
    """One table of the config file."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class IngestSettings(StrictModel):
    """Where ECG frames come from."""

    bind: Endpoints = Field((INGEST,), description="listen for ECG sources here")
    connect: Endpoints = Field((), description="connect to ECG sources that listen themselves")
    high_water: int = Field(
        100_000, ge=1, le=10_000_000, description="frames queued per source before loss"
    )
    queue_mb: float = Field(
        64.0, ge=1, le=65_536, description="MiB that may wait, in all and of each connection"
    )
    max_message: int = Field(
        4_194_304, ge=4096, le=2**30, description="largest frame part accepted, bytes"
    )
    frames_per_s: float = Field(
        200.0, gt=0, le=1e6, description="frames of one stream to serve when there are too many"
    )
    buckets: Buckets = Field(
        ALL, description="serve the streams of these buckets: all, N/M (shard N of M), or 00-3f,80"
    )
    plain_topics: bool = Field(
        True, description="take frames under topics without a bucket, too, at a cost for each"
    )

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not self.bind and not self.connect:
            raise ValueError("bind and connect are both empty: no ECG could ever arrive")
        return self


class PublishSettings(StrictModel):
    """Where beats, alerts and status messages go."""

    bind: Endpoint = Field(PUBLISH, description="publish messages here")
    high_water: int = Field(
        10_000, ge=1, le=10_000_000, description="messages queued per subscriber before loss"
    )


class ControlSettings(StrictModel):
    """Where clients ask for alerts and acknowledge them."""

    bind: Endpoint = Field(CONTROL, description="answer clients' requests here")


class TapSettings(StrictModel):
    """Where accepted frames go out again, for who wants to see the ECG itself."""

    bind: Endpoints = Field((), description="send accepted frames on here; off unless given")
    high_water: int = Field(
        10_000, ge=1, le=10_000_000, description="frames queued per client before loss"
    )


class StateSettings(StrictModel):
    """What survives a restart: the journal of alerts, and each stream's context."""

    dir: Path | None = Field(None, description="directory for it; in memory only unless given")
    checkpoint_s: float = Field(
        30.0, gt=0, le=86_400, description="how often each stream's context is saved"
    )
    keep_days: float = Field(KEEP_DAYS, gt=0, le=36_500, description="older alerts are deleted")
    keep_mb: float = Field(
        KEEP_MB, ge=1, le=1_000_000, description="and the oldest, when the journal is larger"
    )


class ShardSettings(StrictModel):
    """A daemon among several that share the streams by a map, docs/scale.md."""

    dir: Path | None = Field(
        None, description="directory that the shards share; alone unless given"
    )
    name: ShardName | None = Field(None, description="this shard's name in the map")
    host: str | None = Field(
        None, description="host name by which others reach it; the machine's unless given"
    )

    @model_validator(mode="after")
    def _together(self) -> Self:
        if (self.dir is None) != (self.name is None):
            raise ValueError("dir and name are given together, or neither")
        return self

    @property
    def place(self) -> tuple[Path, str] | None:
        """The shared directory, and this shard's name; None for a daemon alone."""
        return None if self.dir is None or self.name is None else (self.dir, self.name)


class SecuritySettings(StrictModel):
    """Who may connect: CURVE keys, as beatgan-daemon keygen makes them."""

    key: Path | None = Field(None, description="this daemon's secret key file; none: no encryption")
    clients: Path | None = Field(None, description="list of the public keys that may connect")
    servers: Path | None = Field(None, description="public keys of the sources to connect to")

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.key is None and (self.clients or self.servers):
            raise ValueError("clients and servers need key, this daemon's own secret key file")
        if self.key is not None and self.clients is None:
            raise ValueError("key needs clients, the list of the public keys that may connect")
        return self


class HttpSettings(StrictModel):
    """Metrics and health."""

    listen: Annotated[Address, PlainValidator(Address.parse)] = Field(
        Address("127.0.0.1", 9464), description="serve /metrics, /livez and /readyz here"
    )


class ModelSettings(StrictModel):
    """The student that scores. Its preprocessing and threshold travel in the file itself."""

    path: Path = Field(
        SHIPPED, description="model file of beatgan-train; by default the shipped student"
    )
    device: Device = Field("auto", description="auto|cpu|cuda[:N]; auto takes a GPU if usable")
    revise_within_s: float = Field(
        REVISE_WITHIN_S, ge=0, le=10, description="revise a score when the next beat comes so soon"
    )


class BatchSettings(StrictModel):
    """Beats of all streams are scored together."""

    size: int = Field(256, ge=1, le=65_536, description="score as soon as this many beats wait")
    age_ms: float = Field(10.0, ge=0, le=10_000, description="or as soon as one has waited so long")


class StreamsSettings(StrictModel):
    """Bounds on the patients' streams."""

    max: int = Field(10_000, ge=1, le=1_000_000, description="streams at the same time")
    silence_s: float = Field(
        5.0, gt=0, le=86_400, description="seconds without a new sample before signal.no-data"
    )
    reorder_ms: float = Field(
        200.0, ge=0, le=60_000, description="how long an early frame waits for those before it"
    )


class OverloadSettings(StrictModel):
    """What is given up when more ECG comes than can be served."""

    behind_ms: float = Field(
        500.0, ge=0, le=600_000, description="the oldest frame that may wait; 0 sheds nothing"
    )


class LogSettings(StrictModel):
    """What is said on stderr."""

    level: Level = Field("info", description="debug|info|warning|error")
    format: Format = Field("auto", description="auto|json|pretty; auto is pretty on a terminal")
    status_s: float = Field(
        60.0, ge=0, le=86_400, description="seconds between status lines; 0 for none"
    )
