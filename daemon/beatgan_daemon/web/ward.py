"""All that is known of a daemon now: heard from its sockets, read by every tab and JSON page."""

import asyncio
from contextlib import suppress
from time import monotonic, time
from typing import Any, Final, Protocol

import msgspec
import zmq

from beatgan.errors import UsageError
from beatgan.protocol.names import ALERTS, BEAT_BATCH, BEATS, ECG, STATUS, stream_of_topic
from beatgan_daemon import log
from beatgan_daemon.clients.subscriber import Subscriber
from beatgan_daemon.exit_codes import one_line
from beatgan_daemon.security.curve import ConfigureSocket
from beatgan_daemon.web.alarms import Alarms, catch_up_or_go_on
from beatgan_daemon.web.attention import Attention
from beatgan_daemon.web.beats import Beats
from beatgan_daemon.web.control import Control
from beatgan_daemon.web.scribe import Scribe
from beatgan_daemon.web.streams import Streams
from beatgan_daemon.web.traces import Traces

TICK_S: Final = 1 / 15
ASK_S: Final = 1.0  # between questions for alerts and streams


class Wishes(Protocol):
    """A tab: which streams it wants."""

    @property
    def streams(self) -> frozenset[str]:
        """Their names."""


class Ward:
    """The sockets' messages, taken in at each tick of one event loop."""

    def __init__(
        self,
        connect: str,
        tap: str | None,
        control: str,
        configure: ConfigureSocket | None = None,
        scribe: Scribe | None = None,
    ) -> None:
        """The daemon's endpoints; ``scribe``: who keeps strips, if anybody.

        Raises UsageError on an impossible endpoint."""
        self._context = zmq.Context[zmq.Socket[bytes]]()
        self.control = Control(control, configure)
        self.outlet = Subscriber(self._context, connect, "web", configure)
        self.outlet.subscribe(ALERTS)
        self.outlet.subscribe(STATUS)
        self.tap = None if tap is None else Subscriber(self._context, tap, "tap", configure)
        self.scribe = scribe
        self.alarms, self.streams = Alarms(self._told), Streams()
        if scribe is not None and self.tap is not None:
            self.outlet.subscribe(BEAT_BATCH)
            self.tap.subscribe(ECG)
        self.beats, self.traces = Beats(self.outlet), Traces(self.tap)
        self.tabs: set[Wishes] = set()
        self._attention = Attention()
        self.began = monotonic()
        self._word = self.began  # the daemon's last
        self.outlet_heard: float | None = None
        self.control_heard: float | None = None
        self._asking = asyncio.Event()
        self.unreadable = 0  # messages of the outlet: of another version perhaps

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
        for each in listed:
            beats = self.beats.of(each["stream"])
            each["quality"] = None if beats is None else beats.quality
            if each["state"] == "ok" and each["stream"] in suspended:
                each["state"] = "suspended"
        return listed

    async def run(self) -> None:
        """Take in what comes, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen())
                tasks.create_task(self._ask())
        finally:
            self.control.close()
            self.outlet.close()
            if self.tap is not None:
                self.tap.close()
            if self.scribe is not None:
                self.scribe.close()

    async def _listen(self) -> None:
        while True:
            self._tick(monotonic())
            await asyncio.sleep(TICK_S)

    def _tick(self, now: float) -> None:
        wanted = frozenset[str]().union(*(tab.streams for tab in self.tabs))
        heard = self._attention.heard(wanted, now)
        self.traces.want(heard)
        self.beats.want(heard)
        for parts in self.outlet.messages():
            self._word = self.outlet_heard = now
            self._outlet_message(parts, now)
        if self.tap is None:
            return
        for parts in self.tap.messages():
            stream = stream_of_topic(parts[0]) if len(parts) == 3 else None
            if stream is not None:
                self.traces.frame(stream, parts[1], parts[2], now)
                if self.scribe is not None:
                    self.scribe.frames.add(stream, parts[1], parts[2], now)
        if self.scribe is not None:
            self.scribe.tick(now)

    def _outlet_message(self, parts: list[bytes], now: float) -> None:
        try:
            topic, body = parts
            if topic.startswith(ALERTS):
                self.alarms.heard(body)
                if self.alarms.missing:
                    self._asking.set()
            elif topic == BEAT_BATCH:
                if self.scribe is not None:
                    self.scribe.beats.add(body, now)
            elif topic.startswith(BEATS):
                self.beats.beat(body, now)
            else:
                self.streams.status(body)
                self._asking.set()  # a stream began, ended or has other leads
        except (msgspec.MsgspecError, KeyError, ValueError) as error:
            if not self.unreadable:
                log.get().warning("the daemon's messages cannot be read", why=one_line(error))
            self.unreadable += 1

    async def _ask(self) -> None:
        while True:
            if await catch_up_or_go_on(self.alarms, self.control):
                self._word = self.control_heard = monotonic()
                with suppress(UsageError):
                    self.streams.update(await self.control.streams(), time())
            self._asking.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(ASK_S):
                    await self._asking.wait()
            await asyncio.sleep(TICK_S)
