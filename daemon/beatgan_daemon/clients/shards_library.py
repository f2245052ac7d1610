"""All shards in a program of one's own: what `beatgan.Client.of_shards` gives."""

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from beatgan.errors import UsageError
from beatgan.protocol.fences import Fences
from beatgan.protocol.messages import AlertMessage
from beatgan_daemon.clients.client import NoAnswerError
from beatgan_daemon.clients.frame_output import FrameOutput
from beatgan_daemon.clients.library import Client, Kind, Published, read_message, topics_of, turn
from beatgan_daemon.clients.shards import ShardDirectory
from beatgan_daemon.clients.shards_client import ShardsClient
from beatgan_daemon.clients.shards_follower import ShardsFollower
from beatgan_daemon.clients.shards_output import ShardsOutput
from beatgan_daemon.clients.subscribers import Subscribers


class AllShards(Client):
    """A `Client` of all daemons that share a directory.

    What shards do not answer is named: `alerts` and `active` raise UsageError behind what the
    others say, and ``silent`` has why by shard. ``position``: which alerts come next, by shard, of
    the latest `alerts` or `follow`. ``ignored``: alerts of shards that had lost the bucket.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        key: str | Path | None = None,
        server_key: str | Path | None = None,
    ) -> None:
        """As of `Client.of_shards`."""
        super().__init__(key=key, server_key=server_key)
        self._path = Path(directory)
        self._directory = ShardDirectory(self._path)
        self._fences = Fences()
        self._output: ShardsOutput | None = None
        self._connected: dict[str, bool] = {}
        self.position: dict[str, int] = {}

    @property
    def silent(self) -> dict[str, str]:
        """Why nothing comes of a shard's patients, by shard."""
        away = {name: "no connection" for name, there in self._connected.items() if not there}
        trouble = {"": self._directory.trouble} if self._directory.trouble else {}
        return {**trouble, **away, **self._directory.shards.absent}

    @property
    def ignored(self) -> int:
        """How many alerts were not accepted for their fence."""
        return self._fences.ignored

    def subscribe(
        self, *kinds: Kind, stream: str | None = None, seconds: float | None = None
    ) -> Iterator[Published]:
        """See `Client.subscribe`. Shards that come, or start again elsewhere, are heard as well."""
        subscribers = Subscribers(self._context, "publish", self._configure)
        for topic in topics_of(kinds, stream):
            subscribers.subscribe(topic)
        self._listen(subscribers)
        return self._heard(subscribers, stream, seconds)

    def _listen(self, subscribers: Subscribers) -> None:
        daemons = self._directory.shards.daemons
        subscribers.listen_to({name: each.publish for name, each in daemons.items()})
        self._connected = subscribers.connected

    def _heard(
        self, subscribers: Subscribers, stream: str | None, seconds: float | None
    ) -> Iterator[Published]:
        end = None if seconds is None else time.monotonic() + seconds
        try:
            while end is None or time.monotonic() < end:
                self._listen(subscribers)
                for _, parts in subscribers.messages():
                    message = read_message(parts, stream)
                    if message is None:
                        continue
                    if not isinstance(message, AlertMessage) or self._fences.accepts(message):
                        yield message
                subscribers.wait(turn(end))
        finally:
            subscribers.close()

    def alerts(self, since: int | Mapping[str, int] = 0) -> Iterator[AlertMessage]:
        """See `Client.alerts`; ``since``: a number by shard, 0 for those that it does not name."""
        with self._asked() as asked:
            yield from self._read(asked, since)

    def follow(self, since: int | Mapping[str, int] = 0) -> Iterator[AlertMessage]:
        """See `Client.follow`; ``since`` as of `alerts`. Who is silent is waited for."""
        with self._asked() as asked, suppress(NoAnswerError):
            yield from self._read(asked, since)
        follower = ShardsFollower(self._path, asked, lambda _: None, configure=self._configure)
        self.position = follower.position
        for found in follower.alerts(lambda: False):
            yield found.alert

    def _read(self, asked: ShardsClient, since: int | Mapping[str, int]) -> Iterator[AlertMessage]:
        if isinstance(since, int) and since:
            raise UsageError("since: expected a number for each shard, by its name")
        for found in asked.alerts({} if isinstance(since, int) else since):
            self.position = asked.position
            yield found.alert
        self.position = asked.position

    def active(self) -> list[AlertMessage]:
        """See `Client.active`."""
        with self._asked() as asked:
            return [found.alert for found in asked.all_active()]

    def acknowledge(self, episode: str) -> None:
        """See `Client.acknowledge`."""
        with self._asked() as asked:
            asked.acknowledge(episode)

    def _asked(self) -> ShardsClient:
        return ShardsClient(self._path, configure=self._configure)

    def _frame_output(self) -> tuple[FrameOutput, str]:
        if self._output is None:
            self._output = ShardsOutput(self._directory, self._configure)
        return self._output.shared(), str(self._path)

    def close(self) -> None:
        """See `Client.close`."""
        super().close()
        self._directory.close()
