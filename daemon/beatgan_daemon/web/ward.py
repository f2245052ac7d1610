"""All that is known of one daemon, or of all shards: heard from sockets, read by tabs and JSON."""

import asyncio
from collections.abc import Mapping
from functools import partial
from time import monotonic, time
from typing import Any, Final, Protocol

import msgspec
import zmq

from beatgan.errors import UsageError
from beatgan.protocol.control import StreamEntry
from beatgan.protocol.names import ALERTS, BEAT_BATCH, BEATS, ECG, STATUS, stream_of_topic
from beatgan_daemon import log
from beatgan_daemon.clients.address import Daemon, Daemons
from beatgan_daemon.clients.shards import ShardDirectory
from beatgan_daemon.clients.shards_client import with_shard
from beatgan_daemon.clients.subscribers import Subscribers
from beatgan_daemon.exit_codes import one_line
from beatgan_daemon.security.curve import ConfigureSocket
from beatgan_daemon.web.alarm_board import AlarmBoard
from beatgan_daemon.web.attention import Attention
from beatgan_daemon.web.beats import Beats
from beatgan_daemon.web.link import Link
from beatgan_daemon.web.scribe import Scribe
from beatgan_daemon.web.streams import Streams
from beatgan_daemon.web.traces import Traces

TICK_S: Final = 1 / 15


class Wishes(Protocol):
    """A tab: which streams it wants."""

    @property
    def streams(self) -> frozenset[str]:
        """Their names."""


class Ward:
    """The sockets' messages, taken in at each tick of one event loop."""

    def __init__(
        self,
        daemons: Daemons,
        configure: ConfigureSocket | None = None,
        scribe: Scribe | None = None,
    ) -> None:
        """``daemons``: whom to hear; ``scribe``: who keeps strips, if anybody.

        Raises UsageError on an impossible endpoint. Must be called in an event loop."""
        self._daemons, self._configure = daemons, configure
        self._context = zmq.Context[zmq.Socket[bytes]]()
        self.outlet = Subscribers(self._context, "web", configure)
        self.outlet.subscribe(ALERTS)
        self.outlet.subscribe(STATUS)
        with_tap = daemons.share_streams or any(each.tap for each in daemons.daemons.values())
        self.tap = Subscribers(self._context, "tap", configure) if with_tap else None
        self.scribe = scribe
        self.alarms, self.streams = AlarmBoard(self._told), Streams()
        if scribe is not None and self.tap is not None:
            self.outlet.subscribe(BEAT_BATCH)
            self.tap.subscribe(ECG)
        self.beats, self.traces = Beats(self.outlet), Traces(self.tap)
        self.tabs: set[Wishes] = set()
        self._attention = Attention()
        self.began = monotonic()
        self._word = self.began  # the latest of any daemon
        self.outlet_heard: float | None = None
        self.links: dict[str, Link] = {}
        self._listed: dict[str, list[StreamEntry]] = {}  # as each daemon did last
        self.unreadable = 0  # messages of the outlet: of another version perhaps
        self._listen_to(daemons.daemons)

    def _told(self, alert: dict[str, Any]) -> None:
        if self.scribe is not None:
            self.scribe.alert(alert, monotonic())

    @property
    def daemon_s(self) -> float:
        """Seconds since the daemon's last word, or since the start."""
        return round(monotonic() - self._word, 1)

    @property
    def tap_s(self) -> float | None:
        """Seconds since the last frame of the tap; None as long as there was none."""
        return None if self.traces.heard is None else round(monotonic() - self.traces.heard, 1)

    def listed(self) -> list[dict[str, Any]]:
        """The streams, with their quality as far as it is known."""
        suspended = {each["stream"] for each in self.alarms.active if each["suspended"]}
        listed = self.streams.listed(time())
        lost = self._daemons.absent.keys() - {""}
        for each in listed:
            if each["state"] != "ended" and lost and self._shard_of(each["stream"]) in lost:
                each["state"] = "silent"
            beats = self.beats.of(each["stream"])
            each["quality"] = None if beats is None else beats.quality
            if each["state"] == "ok" and each["stream"] in suspended:
                each["state"] = "suspended"
        return listed

    @property
    def control_heard(self) -> float | None:
        """When a daemon answered last, monotonic s; of several the one that did least lately."""
        heard = [link.heard for link in self.links.values()]
        known = [each for each in heard if each is not None]
        return min(known) if heard and len(known) == len(heard) else None

    @property
    def missing(self) -> list[str]:
        """Whose patients nothing is known of, in sentences; of one daemon the page knows."""
        if not isinstance(self._daemons, ShardDirectory):
            return []
        shards = self._daemons.shards
        silent = {name: link.silence for name, link in self.links.items() if link.silence}
        return [
            *self._daemons.absent.values(),
            *(shards.silence({name: why}) for name, why in silent.items()),
        ]

    async def acknowledge(self, episode: str, by: str) -> None:
        """Somebody has seen the episode. Raises UsageError."""
        refusal = UsageError("no daemon is there to be asked")
        likely = self._shard_of(episode.partition("/")[0])
        for link in self._nearest(likely):
            try:
                return await link.control.acknowledge(episode, by)
            except UsageError as error:
                refusal = error if link.daemon.name == likely else refusal
        raise refusal

    async def episode(self, episode: str) -> list[bytes]:
        """All alerts of an episode, wherever it was; none where no journal knows it.

        Raises UsageError where one that may know does not answer."""
        found: list[bytes] = []
        likely = self._shard_of(episode.partition("/")[0])
        for link in self._nearest(likely):
            bodies = await link.control.episode(episode)
            shard = link.daemon.name
            found = [*(with_shard(body, shard) if shard else body for body in bodies), *found]
            if found and not _begins_elsewhere(found[0]):
                break
        if not found and likely not in self.links:
            raise UsageError(self._daemons.absent.get(likely, "no daemon is there to be asked"))
        return found

    def _nearest(self, likely: str) -> list[Link]:
        """The links, this one first."""
        return sorted(self.links.values(), key=lambda link: link.daemon.name != likely)

    def _shard_of(self, stream: str) -> str:
        if isinstance(self._daemons, ShardDirectory):
            return self._daemons.shards.shard_of(stream)
        return ""

    async def run(self) -> None:
        """Take in what comes, until cancelled."""
        try:
            await self._listen()
        finally:
            for link in self.links.values():
                link.close()
            self.outlet.close()
            if self.tap is not None:
                self.tap.close()
            if self.scribe is not None:
                self.scribe.close()

    def _listen_to(self, daemons: Mapping[str, Daemon]) -> None:
        """These and no others; where one started again elsewhere, there."""
        self.outlet.listen_to({name: each.publish for name, each in daemons.items()})
        if self.tap is not None:
            self.tap.listen_to({name: each.tap for name, each in daemons.items() if each.tap})
        for name, link in [*self.links.items()]:
            if daemons.get(name) != link.daemon:
                link.close()
                del self.links[name]
        for name in sorted(daemons.keys() - self.links.keys()):
            answered = partial(self._answered, name)
            self.links[name] = Link(daemons[name], self.alarms, self._configure, answered)

    def _answered(self, name: str) -> None:
        """A daemon listed its streams; of those that do not answer the earlier lists stand."""
        self._word = monotonic()
        self._listed[name] = self.links[name].streams
        entries: dict[str, StreamEntry] = {}
        for shard, listed in self._listed.items():
            for entry in listed:
                owner = self._shard_of(entry.stream)
                if shard == owner or (shard in self.links and entry.stream not in entries):
                    entries[entry.stream] = entry
        self.streams.update(entries.values(), time())

    async def _listen(self) -> None:
        while True:
            self._listen_to(self._daemons.daemons)
            for link in self.links.values():
                if link.task.done():
                    link.task.result()  # a fault ends the ward
            self._tick(monotonic())
            await asyncio.sleep(TICK_S)

    def _tick(self, now: float) -> None:
        wanted = frozenset[str]().union(*(tab.streams for tab in self.tabs))
        heard = self._attention.heard(wanted, now)
        self.traces.want(heard)
        self.beats.want(heard)
        for name, parts in self.outlet.messages():
            self._word = self.outlet_heard = now
            self._outlet_message(self.links[name], parts, now)
        if self.tap is None:
            return
        for _, parts in self.tap.messages():
            stream = stream_of_topic(parts[0]) if len(parts) == 3 else None
            if stream is not None:
                self.traces.frame(stream, parts[1], parts[2], now)
                if self.scribe is not None:
                    self.scribe.frames.add(stream, parts[1], parts[2], now)
        if self.scribe is not None:
            self.scribe.tick(now)

    def _outlet_message(self, link: Link, parts: list[bytes], now: float) -> None:
        try:
            topic, body = parts
            if topic.startswith(ALERTS):
                link.alarms.heard(body)
                if link.alarms.missing:
                    link.ask_soon()
            elif topic == BEAT_BATCH:
                if self.scribe is not None:
                    self.scribe.beats.add(body, now)
            elif topic.startswith(BEATS):
                self.beats.beat(body, now)
            else:
                self.streams.status(body)
                link.ask_soon()  # a stream began, ended or has other leads
        except (msgspec.MsgspecError, KeyError, ValueError) as error:
            if not self.unreadable:
                log.get().warning("the daemon's messages cannot be read", why=one_line(error))
            self.unreadable += 1


class _Place(msgspec.Struct):
    phase: str
    repeat: bool = False


def _begins_elsewhere(body: bytes) -> bool:
    """Whether a journal's first alert of an episode was told before by another shard."""
    place = msgspec.json.decode(body, type=_Place)
    return place.repeat or place.phase != "start"
