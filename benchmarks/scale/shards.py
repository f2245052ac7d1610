"""How a benchmark's shards are started; another engine than plain processes does it its own way."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from beatgan_daemon.clients.process import COMMAND, DaemonProcess, Endpoints, environment
from beatgan_daemon.sharding.shard_map import ShardMap, write_map
from benchmarks.performance.load import processes

START_S = 400.0  # where nothing is compiled yet, on a busy machine
NAMES = tuple(f"shard-{number}" for number in range(64))
QUIET = ("streams.silence_s=600", "ingest.plain_topics=false")


class Shard(NamedTuple):
    """One that is ready, and where it listens."""

    name: str
    pid: int
    ingest: str
    publish: str
    control: str
    http: str

    def metrics(self) -> dict[str, float]:
        """By name, see `processes.metrics`."""
        return processes.metrics(self.http)


class Shards(Protocol):
    """Shards that run. Their endpoints, but ``http``, are the same again after a restart."""

    @property
    def directory(self) -> Path:
        """What they share: the map and each one's state."""

    def ready(self) -> list[Shard]:
        """All that were started and not ended since, once they serve."""

    def start(self, name: str, *settings: str) -> None:
        """Start a shard, again if it has ended, with these settings besides; not awaited."""

    def stop(self, name: str) -> int:
        """End a shard as a service manager would; its exit code."""

    def kill(self, name: str) -> None:
        """End it with SIGKILL."""


class StartShards(Protocol):
    """How shards come to run: so many, with ``folder`` for all they leave, until the block ends."""

    def __call__(
        self, folder: Path, count: int, settings: Sequence[str]
    ) -> AbstractContextManager[Shards]:
        """``settings``: of each, as TABLE.KEY=VALUE."""


class PlainShards:
    """Shards as plain processes, each with sockets and a log of its own in the folder."""

    def __init__(
        self,
        folder: Path,
        own: Mapping[str, Sequence[str]],
        settings: Sequence[str],
        on: Mapping[str, AbstractSet[int]],
    ) -> None:
        """``own``: what each shard's command has beside ``settings``; ``on``: its cores, if not
        all."""
        self.directory = folder / "shards"
        self._folder, self._own, self._settings, self._on = folder, own, settings, on
        self._running: dict[str, DaemonProcess] = {}

    def start(self, name: str, *settings: str) -> None:
        """Not awaited."""
        places = {place: f"ipc://{self._folder}/{name}.{place}" for place in SOCKETS}
        sockets = [f"{place}.bind={endpoint}" for place, endpoint in places.items()]
        common = ("log.format=json", "http.listen=127.0.0.1:0", *self._settings)
        words = [word for each in (*common, *sockets, *settings) for word in ("--set", each)]
        log = self._folder / f"{name}.log"
        on = self._on.get(name, os.sched_getaffinity(0))
        with processes.pinned(on), log.open("w") as stderr:
            process = subprocess.Popen(
                [*COMMAND, "run", *self._own[name], *words],
                stderr=stderr,
                text=True,
                env=environment(),
            )
        self._running[name] = DaemonProcess(process, log)

    def ready(self) -> list[Shard]:
        """In the order of their starts."""
        return [
            _shard(name, each.process.pid, each.wait_until_ready(START_S))
            for name, each in self._running.items()
        ]

    def stop(self, name: str) -> int:
        """By SIGTERM."""
        return self._running.pop(name).stop()

    def kill(self, name: str) -> None:
        """Every process of it, at once."""
        process = self._running.pop(name).process
        process.send_signal(signal.SIGKILL)
        process.wait()

    def end(self) -> None:
        """Stop all: each takes a moment to."""
        for each in self._running.values():
            each.process.terminate()
        for name in [*self._running]:
            self.stop(name)


SOCKETS = ("ingest", "publish", "control")


def _shard(name: str, pid: int, found: Endpoints | None) -> Shard:
    assert found is not None  # nobody stopped the wait
    return Shard(name, pid, found.ingest, found.publish, found.control, found.http)


@contextmanager
def _running(shards: PlainShards, names: Sequence[str]) -> Iterator[PlainShards]:
    try:
        for name in names:
            shards.start(name)
            if name == names[0]:
                shards.ready()  # where nothing is compiled yet it does that for all
        shards.ready()
        yield shards
    finally:
        shards.end()


@contextmanager
def alone(folder: Path, count: int, settings: Sequence[str]) -> Iterator[Shards]:
    """One daemon that knows of no shards."""
    assert count == 1
    with _running(PlainShards(folder, {NAMES[0]: ()}, settings, {}), NAMES[:1]) as shards:
        yield shards


@contextmanager
def numbered(folder: Path, count: int, settings: Sequence[str]) -> Iterator[Shards]:
    """Shards by ``--shard N/M``: no map, no moves."""
    own = {NAMES[number]: ("--shard", f"{number}/{count}") for number in range(count)}
    with _running(PlainShards(folder, own, settings, {}), NAMES[:count]) as shards:
        yield shards


@contextmanager
def mapped(
    folder: Path,
    count: int,
    settings: Sequence[str],
    on: Mapping[str, AbstractSet[int]] | None = None,
) -> Iterator[Shards]:
    """Shards by a map in a directory that they share; ``on``: a shard's cores, if not all."""
    names = NAMES[:count]
    own = {
        name: ("--set", f"shard.dir={folder / 'shards'}", "--set", f"shard.name={name}")
        for name in names
    }
    shards = PlainShards(folder, own, settings, on or {})
    shards.directory.mkdir()
    write_map(shards.directory, ShardMap.even(names))
    with _running(shards, names):
        yield shards
