"""Control requests and their replies, as bytes, both ways (docs/protocol.md).

Any bytes are answered. Knows no socket; of the journal only what `AlertJournal` says.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple, Protocol, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from beatgan.protocol.messages import VERSION
from beatgan.protocol.names import MAX_NAME

MAX_REQUEST_BYTES: Final = 4_096
MAX_ALERTS: Final = 1_000  # in one reply
MAX_REPLY_BYTES: Final = 2**20  # of the alerts in one reply; a single alert may be longer

Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Limit = Annotated[int, Meta(ge=1)]


class RequestHeader(msgspec.Struct, frozen=True):
    """The keys that every request has."""

    v: int
    type: str


class AlertsRequest(msgspec.Struct, frozen=True):
    """The alerts from number ``since`` on."""

    since: Number
    limit: Limit = MAX_ALERTS


class ActiveRequest(msgspec.Struct, frozen=True):
    """The last alert of each episode under way, from number ``since`` on."""

    since: Number = 0
    limit: Limit = MAX_ALERTS


class AcknowledgeRequest(msgspec.Struct, frozen=True):
    """Somebody has seen the episode ``id``, those of a ``stream``, or ``all``: one of the keys."""

    id: Annotated[str, Meta(max_length=1_024)] | UnsetType = UNSET
    stream: Annotated[str, Meta(max_length=MAX_NAME)] | UnsetType = UNSET
    all: Literal[True] | UnsetType = UNSET


class StreamsRequest(msgspec.Struct, frozen=True):
    """The streams whose names come behind ``after``, in the order of their names."""

    after: Annotated[str, Meta(max_length=MAX_NAME)] = ""
    limit: Limit = MAX_ALERTS


class DischargeRequest(msgspec.Struct, frozen=True):
    """End the watch over a stream, and its alarms."""

    stream: Annotated[str, Meta(max_length=MAX_NAME)]


class AlertsReply(msgspec.Struct, frozen=True, kw_only=True):
    """Followed by the alerts, one a frame.

    ``next``: ask for those ``since`` this number next; ``more``: whether there are some already.
    """

    v: int = VERSION
    type: Literal["alerts", "active"]
    since: int
    next: int
    oldest: int
    more: bool


class AcknowledgeReply(msgspec.Struct, frozen=True, kw_only=True):
    """The episode is under way; the alert that follows from this will be published."""

    v: int = VERSION
    type: Literal["acknowledge"] = "acknowledge"
    id: str | UnsetType = UNSET
    stream: str | UnsetType = UNSET
    all: Literal[True] | UnsetType = UNSET
    count: int | UnsetType = UNSET
    ok: bool = True


class StreamsReply(msgspec.Struct, frozen=True, kw_only=True):
    """Followed by a `StreamEntry` a frame. ``after``: ask for those behind this name next."""

    v: int = VERSION
    type: Literal["streams"] = "streams"
    after: str
    more: bool


class StreamEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One stream: how it stands, since when, its last sample, and whose key sends it.

    ``since_ns`` and ``received_ns`` (when something new came last) are UNIX time by the daemon's
    clock, ``last_sample_ns`` by the source's.
    """

    stream: str
    state: Literal["watched", "silent", "shed"]
    since_ns: int
    epoch: int
    fs: float
    leads: tuple[str, ...]
    last_sample: int
    last_sample_ns: int
    received_ns: int | None
    sender: str | None
    key: str | None


class DischargeReply(msgspec.Struct, frozen=True, kw_only=True):
    """The stream's place will be free; what comes of it is published.

    ``sending``: its frames were still coming; with the next one it is watched anew.
    """

    v: int = VERSION
    type: Literal["discharge"] = "discharge"
    stream: str
    sending: bool
    ok: bool = True


class ErrorReply(msgspec.Struct, frozen=True, kw_only=True):
    """The request was refused: one word for programs, and a line for people."""

    v: int = VERSION
    type: Literal["error"] = "error"
    error: str
    text: str


class ReplyHeader(msgspec.Struct, frozen=True):
    """The first frame of any reply, as a client reads it."""

    v: int
    type: str
    next: int = 0
    oldest: int = 0
    more: bool = False
    after: str = ""
    count: int = 0
    sending: bool = False
    error: str = ""
    text: str = ""


class Reply(NamedTuple):
    """The frames of a reply; ``kind`` of the request and ``outcome``, words from fixed lists."""

    kind: str
    outcome: str
    frames: list[bytes]


class JournalEntry(NamedTuple):
    """One alert message: its number, episode, stream, phase, and its JSON as published."""

    n: int
    id: str
    stream: str
    phase: str
    body: bytes

    @property
    def ends_episode(self) -> bool:
        """Whether its episode ends with it."""
        return self.phase == "end"


class AlertJournal(Protocol):
    """Where the alerts are read from."""

    next_n: int

    @property
    def oldest(self) -> int:
        """The number of the oldest alert in it."""

    def since(self, n: int, limit: int) -> Iterator[tuple[int, bytes]]:
        """Numbers and JSON of at most ``limit`` alerts from number ``n`` on, in order.

        Raises UnavailableError.
        """

    def active(self) -> Sequence[JournalEntry]:
        """The last alert of every episode under way, in order of ``n``."""

    def find(self, episode: str) -> JournalEntry | None:
        """The last alert of one episode under way."""


class UnavailableError(Exception):
    """The journal cannot be read now; its text says why."""


class StreamActions(Protocol):
    """What requests see of the streams, and what they have done: it is done soon, not at once."""

    def streams(self, after: str, most: int) -> list[StreamEntry]:
        """At most ``most`` streams behind the name ``after``, in the order of their names."""

    def stream(self, name: str) -> StreamEntry | None:
        """One stream."""

    def acknowledge(self, episodes: Sequence[str], by: str | None) -> None:
        """Somebody has seen these episodes."""

    def discharge(self, stream: str, by: str | None) -> None:
        """End the watch over a stream."""


class Caller(NamedTuple):
    """Who asks, if that is known, and the rights that he has; None: all."""

    name: str | None = None
    rights: frozenset[str] | None = None


ANYBODY: Final = Caller()  # where there are no keys
RIGHTS: Final[Mapping[str, str]] = {  # needed for a request of each type
    "alerts": "control",
    "active": "control",
    "streams": "control",
    "acknowledge": "acknowledge",
    "discharge": "discharge",
}


class _Acknowledged(msgspec.Struct):
    acknowledged: bool = False


class _RefusedError(Exception):
    """A request that cannot be served. Arguments: the error's word and text."""


RequestT = TypeVar("RequestT", bound=msgspec.Struct)
_encode = msgspec.json.Encoder().encode
_reply_decoder = msgspec.json.Decoder(ReplyHeader)
_stream_decoder = msgspec.json.Decoder(StreamEntry)


def encode_request(kind: str, **keys: Any) -> bytes:
    """A request of this type, with its other keys."""
    return _encode({"v": VERSION, "type": kind, **keys})


def decode_reply(frame: bytes) -> ReplyHeader:
    """The first frame of a reply. Raises msgspec.MsgspecError."""
    return _reply_decoder.decode(frame)


def encode_stream(entry: StreamEntry) -> bytes:
    """One stream as JSON."""
    return _encode(entry)


def decode_stream(frame: bytes) -> StreamEntry:
    """One of the frames behind the first of a `streams` reply. Raises msgspec.MsgspecError."""
    return _stream_decoder.decode(frame)


def answer(
    request: bytes, journal: AlertJournal, actions: StreamActions, caller: Caller = ANYBODY
) -> Reply:
    """The reply to any bytes from ``caller``."""
    kind = "unknown"
    try:
        kind = _kind(request)
        _require(caller, kind)
        if kind == "alerts":
            return _alerts(_decode(request, AlertsRequest), journal)
        if kind == "active":
            return _active(_decode(request, ActiveRequest), journal)
        if kind == "streams":
            return _streams(_decode(request, StreamsRequest), actions)
        if kind == "discharge":
            return _discharge(_decode(request, DischargeRequest), journal, actions, caller)
        return _acknowledge(_decode(request, AcknowledgeRequest), journal, actions, caller)
    except UnavailableError as error:
        word, text = "unavailable", str(error)
    except _RefusedError as refusal:
        word, text = refusal.args
    return Reply(kind, word, [_encode(ErrorReply(error=word, text=text))])


def _require(caller: Caller, kind: str) -> None:
    right = RIGHTS[kind]
    if caller.rights is not None and right not in caller.rights:
        raise _RefusedError("not-allowed", f"{caller.name or 'this key'} has not the role {right}")


def _kind(request: bytes) -> str:
    if len(request) > MAX_REQUEST_BYTES:
        raise _RefusedError(
            "malformed", f"a request has at most {MAX_REQUEST_BYTES} bytes, not {len(request)}"
        )
    header = _decode(request, RequestHeader)
    if header.v != VERSION:
        raise _RefusedError("unknown-version", f"v is {header.v}; this daemon speaks {VERSION}")
    if header.type not in RIGHTS:
        raise _RefusedError("unknown-type", f"type is none of {', '.join(RIGHTS)}")
    return header.type


def _decode(request: bytes, kind: type[RequestT]) -> RequestT:
    try:
        return msgspec.json.decode(request, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _RefusedError("malformed", f"not a request: {error}") from None


def _alerts(request: AlertsRequest, journal: AlertJournal) -> Reply:
    alerts = journal.since(request.since, min(request.limit, MAX_ALERTS))
    return _page("alerts", request.since, alerts, journal, journal.next_n)


def _active(request: ActiveRequest, journal: AlertJournal) -> Reply:
    active = [(entry.n, entry.body) for entry in journal.active() if entry.n >= request.since]
    end = active[-1][0] + 1 if active else journal.next_n
    limit = min(request.limit, MAX_ALERTS)
    return _page("active", request.since, iter(active[:limit]), journal, end)


def _page(
    kind: Literal["alerts", "active"],
    since: int,
    alerts: Iterator[tuple[int, bytes]],
    journal: AlertJournal,
    end: int,
) -> Reply:
    """As many alerts as fit; there are none from number ``end`` on."""
    following, room = max(end, journal.next_n), MAX_REPLY_BYTES
    bodies: list[bytes] = []
    for n, body in alerts:
        if bodies and len(body) > room:
            break
        bodies.append(body)
        room -= len(body)
        following = n + 1
    more = bool(bodies) and following < end
    header = AlertsReply(type=kind, since=since, next=following, oldest=journal.oldest, more=more)
    return Reply(kind, "ok", [_encode(header), *bodies])


def _acknowledge(
    request: AcknowledgeRequest, journal: AlertJournal, actions: StreamActions, caller: Caller
) -> Reply:
    if (request.id, request.stream, request.all).count(UNSET) != 2:
        raise _RefusedError("malformed", "expected one of the keys id, stream, all")
    if request.id is not UNSET:
        if journal.find(request.id) is None:
            raise _RefusedError("unknown-episode", "no episode of that id is under way")
        actions.acknowledge([request.id], caller.name)
        return Reply("acknowledge", "ok", [_encode(AcknowledgeReply(id=request.id))])
    chosen = [e for e in journal.active() if request.stream in (UNSET, e.stream)]
    if request.stream is not UNSET and not chosen:
        raise _RefusedError("unknown-episode", "no episode of that stream is under way")
    unseen = [each.id for each in chosen if not _acknowledged(each)]
    if unseen:
        actions.acknowledge(unseen, caller.name)
    reply = AcknowledgeReply(stream=request.stream, all=request.all, count=len(unseen))
    return Reply("acknowledge", "ok", [_encode(reply)])


def _acknowledged(entry: JournalEntry) -> bool:
    try:
        return msgspec.json.decode(entry.body, type=_Acknowledged).acknowledged
    except msgspec.MsgspecError:
        return False


def _streams(request: StreamsRequest, actions: StreamActions) -> Reply:
    limit = min(request.limit, MAX_ALERTS)
    found = actions.streams(request.after, limit + 1)
    shown = found[:limit]
    header = StreamsReply(
        after=shown[-1].stream if shown else request.after, more=len(found) > limit
    )
    return Reply("streams", "ok", [_encode(header), *map(_encode, shown)])


def _discharge(
    request: DischargeRequest, journal: AlertJournal, actions: StreamActions, caller: Caller
) -> Reply:
    entry = actions.stream(request.stream)
    alarms = request.stream and any(e.stream == request.stream for e in journal.active())
    if entry is None and not alarms:
        raise _RefusedError("unknown-stream", "no such stream is known, and no alarm of it")
    actions.discharge(request.stream, caller.name)
    sending = entry is not None and entry.state == "watched"
    reply = DischargeReply(stream=request.stream, sending=sending)
    return Reply("discharge", "ok", [_encode(reply)])
