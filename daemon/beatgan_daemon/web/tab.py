"""One browser tab: what it wants, and where it is in everything that it gets.

A tick sends what is new and waits until it is on its way. Nothing is queued for a slow tab.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import monotonic, time
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta
from starlette.websockets import WebSocket, WebSocketDisconnect

from beatgan.errors import UsageError
from beatgan.protocol.names import MAX_NAME, STREAM_PATTERN
from beatgan_daemon.web.cursor import Cursor
from beatgan_daemon.web.json_text import text
from beatgan_daemon.web.ring import Ring
from beatgan_daemon.web.ward import TICK_S, Ward

MOST_STREAMS: Final = 64
MESSAGE_BYTES: Final = 2**14  # of records; then another message begins
MOST_ACKS: Final = 8  # under way at a time
LISTS_S: Final = 0.25  # between lists of alarms
STREAMS_S: Final = 1.0  # and of streams
ALIVE_S: Final = 1.0
SESSION_ENDED: Final = 4_401  # of those for applications (RFC 6455): the page is to log in again


class WantedStream(msgspec.Struct, frozen=True):
    """A stream that the tab shows."""

    stream: Annotated[str, Meta(pattern=STREAM_PATTERN, max_length=MAX_NAME)]
    leads: Annotated[tuple[Annotated[int, Meta(ge=0, le=15)], ...], Meta(max_length=16)]
    zoom: Literal["full", "wall"]


class Want(msgspec.Struct, frozen=True, tag_field="t", tag="want"):
    """The whole wish; it replaces the earlier one."""

    streams: Annotated[tuple[WantedStream, ...], Meta(max_length=MOST_STREAMS)]


class Ack(msgspec.Struct, frozen=True, tag_field="t", tag="ack"):
    """Somebody has seen the alarm ``id``."""

    id: Annotated[str, Meta(max_length=1_024)]
    name: Annotated[str, Meta(max_length=MAX_NAME)] = ""


_read: msgspec.json.Decoder[Want | Ack] = msgspec.json.Decoder(Want | Ack)


class Tab:
    """One WebSocket."""

    def __init__(
        self,
        socket: WebSocket,
        ward: Ward,
        *,
        user: str | None,
        may_acknowledge: bool,
        known: Callable[[], bool],
    ) -> None:
        """``user``: who it is, if that is known. ``known``: whether it still is that person's."""
        self._socket, self._ward = socket, ward
        self._user, self._may_acknowledge, self._known = user, may_acknowledge, known
        self._wanted: dict[WantedStream, Cursor | None] = {}
        self._beats: dict[str, int] = {}
        self._rates: dict[str, Any] = {}
        self._alert, self._active, self._streams = ward.alarms.recent.next, -1, ""
        self._told: dict[str, dict[str, Any]] = {}  # the streams that the page knows, by name
        self._alive = self._listed = self._stream_list = 0.0
        self._refused: list[dict[str, str]] = []
        self._acks: set[asyncio.Task[None]] = set()

    @property
    def streams(self) -> frozenset[str]:
        """The names of the streams that it wants."""
        return frozenset(each.stream for each in self._wanted)

    async def run(self, hello: dict[str, Any]) -> None:
        """Serve it until it goes."""
        self._ward.tabs.add(self)  # before anything is awaited: its place is taken
        await self._socket.send_text(text(hello))
        sending = asyncio.create_task(self._send())
        reading = asyncio.create_task(self._receive())
        try:
            done, _ = await asyncio.wait((sending, reading), return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                with suppress(WebSocketDisconnect, RuntimeError):
                    each.result()
        finally:
            self._ward.tabs.discard(self)
            for task in (sending, reading, *self._acks):
                task.cancel()

    async def _receive(self) -> None:
        while True:
            said = await self._socket.receive()
            if said["type"] == "websocket.disconnect":
                return
            try:
                message = _read.decode(said.get("text") or said.get("bytes") or b"")
            except (msgspec.MsgspecError, RecursionError, ValueError) as error:
                await self._socket.close(1007, _reason(f"not a message: {error}"))
                return
            if isinstance(message, Want):
                self._want(message)
                continue
            while len(self._acks) + len(self._refused) >= MOST_ACKS:
                await asyncio.sleep(TICK_S)  # none is passed over: who asks much waits
            task = asyncio.create_task(self._acknowledge(message))
            self._acks.add(task)
            task.add_done_callback(self._acks.discard)

    def _want(self, message: Want) -> None:
        self._wanted = {each: self._wanted.get(each) for each in message.streams}
        wanted = self.streams
        self._beats = {name: at for name, at in self._beats.items() if name in wanted}
        self._rates = {name: rate for name, rate in self._rates.items() if name in wanted}

    async def _acknowledge(self, ack: Ack) -> None:
        """Ask the daemon; that it is done is told by the alert that follows."""
        name = self._user or ack.name.strip()
        if not self._known():
            why = "this session has ended"
        elif not self._may_acknowledge:
            why = "you may look, not acknowledge"
        elif not name or not name.isprintable():
            why = "say who you are: a name of 1-64 printable characters"
        else:
            try:
                await self._ward.acknowledge(ack.id, name)
            except UsageError as error:
                why = str(error)
            else:
                return
        self._refused.append({"t": "refused", "id": ack.id, "text": why})

    async def _send(self) -> None:
        while self._known():
            for message in self._words(monotonic()):
                await self._socket.send_text(message)
            for records in self._samples():
                await self._socket.send_bytes(records)
            await asyncio.sleep(TICK_S)
        await self._socket.close(SESSION_ENDED, "this session has ended")

    def _words(self, now: float) -> list[str]:
        """What is new in words. The list of streams comes first: it numbers them."""
        ward = self._ward
        words: list[str] = []
        if now - self._stream_list >= STREAMS_S:
            words += self._new_streams(now)
        recent = ward.alarms.recent
        if recent.missed(self._alert):
            words.append(text({"t": "missed"}))  # the journal has them: /api/alarms
        words += recent.since(self._alert)
        self._alert = recent.next
        if ward.alarms.version != self._active and now - self._listed >= LISTS_S:
            self._active, self._listed = ward.alarms.version, now
            words.append(text({"t": "active", "alarms": ward.alarms.active}))
        for stream in self.streams:
            words += self._beat_words(stream, now)
        words += map(text, self._refused)
        self._refused.clear()
        if now - self._alive >= ALIVE_S:
            self._alive = now
            alive = {"t": "alive", "at_ms": round(1_000 * time())}
            heard = {"tap_s": ward.tap_s, "daemon_s": ward.daemon_s, "missing": ward.missing}
            words.append(text({**alive, **heard}))
        return words

    def _new_streams(self, now: float) -> list[str]:
        self._stream_list = now
        listed = self._ward.listed()
        key = text([{**each, "age_s": each["state"] != "ok"} for each in listed])
        if key == self._streams:
            return []
        self._streams = key
        self._told = {each["stream"]: each for each in listed}
        self._rates.clear()  # of a stream that began anew the page knows none
        return [text({"t": "streams", "streams": listed})]

    def _beat_words(self, stream: str, now: float) -> list[str]:
        """Of the epoch that the page knows: others are another source's, or another patient's."""
        beats, told = self._ward.beats.of(stream), self._told.get(stream)
        if beats is None or told is None or str(beats.epoch) != told["epoch"]:
            return []
        words: list[str] = []
        index = told["i"]
        if new := beats.recent.since(self._beats.get(stream, 0)):
            words.append(text({"t": "beats", "i": index, "beats": new}))
        self._beats[stream] = beats.recent.next
        rate = beats.rate.now(now)
        if self._rates.get(stream) != rate:
            self._rates[stream] = rate
            words.append(text({"t": "rate", "i": index, "hr": rate.hr, "poor": rate.poor}))
        return words

    def _samples(self) -> Iterator[bytes]:
        """Binary messages of what is new, each made when the one before is on its way.

        So a tab that does not read holds one of them, whatever it has wished for.
        """
        message = bytearray()
        for record in self._records():
            message += record
            if len(message) >= MESSAGE_BYTES:
                yield bytes(message)
                message.clear()
        if message:
            yield bytes(message)

    def _records(self) -> Iterator[bytes]:
        for wanted, cursor in [*self._wanted.items()]:  # another wish may come meanwhile
            told, ring = self._told.get(wanted.stream), self._ward.traces.ring(wanted.stream)
            if told is None or ring is None or not _is_of(ring, told):
                continue
            if cursor is None:
                cursor = Cursor(wanted.leads, wanted.zoom)
                if wanted in self._wanted:
                    self._wanted[wanted] = cursor
            yield from cursor.records(ring, told["i"])


def _is_of(ring: Ring, told: dict[str, Any]) -> bool:
    """Whether the samples are of the epoch, rate and leads that the page knows."""
    of = str(ring.epoch), ring.fs, list(ring.leads)
    return of == (told["epoch"], told["fs"], told["leads"])


def _reason(why: str) -> str:
    """Of a close: 123 bytes at most."""
    return why.encode()[:120].decode(errors="ignore")
