"""Asking several daemons that share the streams as if they were one: see client.py."""

from collections.abc import Iterator, Mapping
from heapq import merge
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

from beatgan.errors import UsageError
from beatgan.protocol.control import StreamEntry
from beatgan.protocol.fences import Fences, order
from beatgan.protocol.messages import AlertMessage, decode_alert
from beatgan_daemon.clients.client import (
    LATEST,
    PATIENCE_S,
    TIMEOUT_S,
    AnswerUnavailableError,
    Client,
    NoAnswerError,
    fetched,
)
from beatgan_daemon.clients.shards import Shards, read_shards
from beatgan_daemon.security.curve import ConfigureSocket

ItemT = TypeVar("ItemT")


class ShardAlert(NamedTuple):
    """An alert, and whose journal has it under its number."""

    shard: str
    alert: AlertMessage
    body: bytes

    @classmethod
    def read(cls, shard: str, body: bytes) -> Self:
        """Raises msgspec.MsgspecError where the body is no alert."""
        return cls(shard, decode_alert(body), body)

    @property
    def line(self) -> bytes:
        """Its JSON with the key ``shard`` in addition."""
        return with_shard(self.body, self.shard)


def with_shard(body: bytes, shard: str) -> bytes:
    """A JSON object with the key ``shard`` in addition."""
    return b'%b,"shard":"%b"}' % (body[:-1], shard.encode())


class ShardsClient:
    """Connections to the control sockets of a directory's shards; used by one thread.

    What those that answer say comes first; then NoAnswerError is raised, which names the others.
    ``position``: which alerts come next, by shard. ``silent``: why a shard's part is missing.
    ``fences``: what bars alerts of journals that a shard wrote after another took the bucket.
    """

    def __init__(
        self,
        directory: Path,
        *,
        configure: ConfigureSocket | None = None,
        timeout: float = TIMEOUT_S,
        patience: float = PATIENCE_S,
    ) -> None:
        """As of `Client`; ``patience``: seconds for a daemon that cannot read its journal now.

        Raises UsageError where it is no directory of shards."""
        self._patience = patience
        self.fences = Fences()
        self.shards: Shards = read_shards(directory)
        self.silent: dict[str, str] = dict(self.shards.absent)
        self.position: dict[str, int] = {}
        self._clients: dict[str, Client] = {}
        for name, daemon in self.shards.daemons.items():
            assert daemon.control is not None
            self._clients[name] = Client(daemon.control, configure=configure, timeout=timeout)

    def alerts(self, since: Mapping[str, int]) -> Iterator[ShardAlert]:
        """Every alert of all journals from each one's number on, 0 where none is given.

        They come in the order in which they were raised, as far as sources' clocks agree; those of
        a journal in its order.
        """
        self.position = dict(since)
        for name in self.shards.former:
            self.silent[name] = "it is not running"
        journals = map(self._journal, self._clients)
        for found in merge(*journals, key=lambda each: each.alert.raised_ns):
            self.position[found.shard] = found.alert.n + 1
            if self.fences.accepts_journaled(found.alert):
                yield found
        self._complete()

    def _journal(self, name: str) -> Iterator[ShardAlert]:
        client = self._clients[name]

        def bodies() -> Iterator[bytes]:
            if client.alerts(LATEST).header.next < self.position.setdefault(name, 0):
                self.position[name] = 0  # it counts anew
            yield from fetched(client, self.position[name], self._patience)

        for body in self._until_silent(name, bodies()):
            yield ShardAlert.read(name, body)

    def all_active(self) -> Iterator[ShardAlert]:
        """Of every episode under way the last alert, by the shard that has it now."""
        told: dict[str, ShardAlert] = {}
        for name, client in self._clients.items():
            for body in self._until_silent(name, client.all_active()):
                found = ShardAlert.read(name, body)
                known = told.get(found.alert.id)
                if known is None or order(known.alert) < order(found.alert):
                    told[found.alert.id] = found
        yield from told.values()
        self._complete()

    def streams(self) -> Iterator[tuple[str, StreamEntry]]:
        """Every stream and its shard, in the order of the streams' names."""

        def of(name: str) -> Iterator[tuple[str, StreamEntry]]:
            for entry in self._until_silent(name, self._clients[name].streams()):
                yield name, entry

        listed = merge(*map(of, self._clients), key=lambda each: each[1].stream)
        for stream, entries in groupby(listed, key=lambda each: each[1].stream):
            both = [*entries]  # while it moves, two shards may list it
            owner = self.shards.shard_of(stream)
            yield next((each for each in both if each[0] == owner), both[0])
        self._complete()

    def acknowledge(self, episode: str, *, by: str | None = None) -> None:
        """See `Client.acknowledge`."""
        likely = self.shards.shard_of(episode.partition("/")[0] or "-")
        refusals: list[UsageError] = []
        for name in sorted(self._clients, key=lambda name: name != likely):
            try:
                self._clients[name].acknowledge(episode, by=by)
            except NoAnswerError as error:
                self.silent[name] = str(error)
            except UsageError as error:
                refusals.append(error)
            else:
                return
        self._complete()
        raise refusals[0] if refusals else NoAnswerError("no shard is running")

    def acknowledge_all(self, stream: str | None = None, *, by: str | None = None) -> int:
        """See `Client.acknowledge_all`."""
        if stream is not None:
            return self._of(stream).acknowledge_all(stream, by=by)
        count = 0
        for name, client in self._clients.items():
            try:
                count += client.acknowledge_all(by=by)
            except NoAnswerError as error:
                self.silent[name] = str(error)
        self._complete(f"{count} acknowledged; ")
        return count

    def discharge(self, stream: str) -> bool:
        """See `Client.discharge`."""
        return self._of(stream).discharge(stream)

    def _of(self, stream: str) -> Client:
        """Whom to ask about a stream; the others have nothing to do with it."""
        name = self.shards.shard_of(stream)
        if name not in self._clients:
            of = f"{name}, which has {stream}: " if name else ""
            raise NoAnswerError(of + self.shards.absent[name])
        return self._clients[name]

    def _complete(self, done: str = "") -> None:
        if self.silent:
            raise NoAnswerError(done + self.shards.silence(self.silent))

    def _until_silent(self, name: str, items: Iterator[ItemT]) -> Iterator[ItemT]:
        try:
            yield from items
        except (NoAnswerError, AnswerUnavailableError) as error:
            self.silent[name] = str(error)

    def close(self) -> None:
        """End the connections."""
        for client in self._clients.values():
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
