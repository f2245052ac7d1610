"""The daemons that share a directory, as whoever wants to hear all of them finds them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from urllib.parse import urlsplit

from beatgan.errors import UsageError
from beatgan.protocol.buckets import BUCKETS, bucket_of
from beatgan_daemon.clients.address import Daemon
from beatgan_daemon.sharding.registry import ShardRecord, is_running, read_records
from beatgan_daemon.sharding.shard_map import ShardMap, read_map

READ_S = 1.0  # between looks into the directory
OLD_S = 5.0  # a look that takes longer: the file system hangs


@dataclass(frozen=True, slots=True)
class Shards:
    """Who is there.

    ``daemons``: by name, those that may be asked. ``absent``: why nobody is to be asked about the
    patients of a shard, by name; "" where it is not known who has which. ``former``: shards with no
    bucket that do not run; their journals are there, and nobody tells what is in them.
    """

    shard_map: ShardMap | None  # None: it cannot be read
    daemons: Mapping[str, Daemon]
    absent: Mapping[str, str]
    former: frozenset[str]

    def shard_of(self, stream: str) -> str:
        """Who has the stream; "" where that is not known."""
        if self.shard_map is None:
            return ""
        return self.shard_map.assignments[bucket_of(stream)].shard

    def names(self) -> frozenset[str]:
        """Everybody there, or that was once."""
        return frozenset({*self.daemons, *self.absent, *self.former})

    def silence(self, silent: Mapping[str, str]) -> str:
        """What is missing where these shards say nothing, and why, in words."""
        told = [f"who has which patients is not known: {silent['']}"] if "" in silent else []
        of = [
            f"of {name}{self._share(name)}: {why}"
            for name, why in silent.items()
            if name and name not in self.former
        ]
        journals = [f"of {name}: {why}" for name, why in silent.items() if name in self.former]
        told += [f"missing are the patients {'; '.join(of)}"] if of else []
        told += [f"missing is what the journal has {'; '.join(journals)}"] if journals else []
        return "; ".join(told)

    def _share(self, name: str) -> str:
        if self.shard_map is None:
            return ""
        return f" ({len(self.shard_map.fences_of(name))} of {BUCKETS} buckets)"


def read_shards(directory: Path, known: ShardMap | None = None) -> Shards:
    """As the directory says now; where its map cannot be read, by the ``known`` one, or as the
    shards themselves say. Raises UsageError where there is neither."""
    found, problems = read_records(directory)
    records = {each.shard: each for each in found}
    shard_map, absent = known, dict[str, str]()
    try:
        shard_map = read_map(directory)
    except UsageError as error:
        if not records:
            raise
        absent[""] = str(error)
    named = [] if shard_map is None else shard_map.shards()
    daemons: dict[str, Daemon] = {}
    former: set[str] = set()
    for name, record in records.items():
        if _may_run(directory, name):
            daemons[name] = _daemon(record)
        elif name not in named:
            former.add(name)
    spoilt = next((each for each in problems), "")
    absent |= {
        name: "it is not running" if name in records else spoilt or "it has never been ready"
        for name in named
        if name not in daemons
    }
    return Shards(shard_map, daemons, absent, frozenset(former))


def _may_run(directory: Path, name: str) -> bool:
    try:
        return is_running(directory, name)
    except UsageError:
        return True  # whose lock is not ours to see is asked


def _daemon(record: ShardRecord) -> Daemon:
    return Daemon(
        record.publish,
        record.control,
        name=record.shard,
        ingest=next(iter(record.ingest), None),
        tap=next(iter(record.tap), None),
        http=urlsplit(record.http).netloc or None,
    )


class ShardDirectory:
    """`read_shards` again and again, in a thread: a file system of several machines may hang.

    One of `Daemons`.
    """

    share_streams = True

    def __init__(self, directory: Path) -> None:
        """Raises UsageError where it is no directory of shards."""
        self._directory = directory
        self._shards, self._trouble, self._read_at = read_shards(directory), "", monotonic()
        self._closing = Event()
        self._thread = Thread(target=self._read, name="shards", daemon=True)
        self._thread.start()

    @property
    def shards(self) -> Shards:
        """As they were when the directory was read last."""
        return self._shards

    @property
    def daemons(self) -> Mapping[str, Daemon]:
        """See `Daemons`."""
        return self._shards.daemons

    @property
    def absent(self) -> Mapping[str, str]:
        """See `Daemons`."""
        shards = self._shards
        found = {name: shards.silence({name: why}) for name, why in shards.absent.items()}
        trouble = self.trouble
        return (
            {**found, "": f"who has which patients is not known: {trouble}"} if trouble else found
        )

    @property
    def trouble(self) -> str:
        """Why the directory tells nothing now; empty where it does."""
        age = monotonic() - self._read_at
        if not self._trouble and age > READ_S + OLD_S:
            return f"{self._directory}: has not answered for {age:.0f} s"
        return self._trouble

    def _read(self) -> None:
        while not self._closing.wait(READ_S):
            try:
                known = self._shards.shard_map
                self._shards, self._trouble = read_shards(self._directory, known), ""
            except UsageError as error:
                self._trouble = str(error)
            self._read_at = monotonic()

    def close(self) -> None:
        """No further look."""
        self._closing.set()


class Silences:
    """Says when shards fall silent, and when they are heard again; each once."""

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told, self._known = told, frozenset[str]()

    def now(self, silent: Mapping[str, str]) -> None:
        """These are silent now: by name a sentence that says so."""
        for name in silent.keys() - self._known:
            self._told(silent[name])
        for name in self._known - silent.keys():
            self._told(f"{name or 'the directory of the shards'} is heard again")
        self._known = frozenset(silent)
