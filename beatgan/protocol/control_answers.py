"""What the control socket answers: any bytes in, the frames of a reply out (docs/protocol.md).

Knows no socket; of the journal and the streams only what `AlertJournal` and `StreamActions` say.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple, Protocol, TypeVar

import msgspec
from msgspec import UNSET

from beatgan.protocol.alert_journal import AlertJournal, JournalEntry, JournalUnavailableError
from beatgan.protocol.control import (
    MAX_ALERTS,
    MAX_REPLY_BYTES,
    MAX_REQUEST_BYTES,
    AcknowledgeReply,
    AcknowledgeRequest,
    ActiveRequest,
    AlertsReply,
    AlertsRequest,
    DischargeReply,
    DischargeRequest,
    ErrorReply,
    RequestHeader,
    StreamEntry,
    StreamsReply,
    StreamsRequest,
)
from beatgan.protocol.messages import VERSION


class Reply(NamedTuple):
    """The frames of a reply; ``kind`` of the request and ``outcome``, words from fixed lists."""

    kind: str
    outcome: str
    frames: list[bytes]


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
    except JournalUnavailableError as error:
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
    by = _who(request, caller)
    if request.id is not UNSET:
        if journal.find(request.id) is None:
            raise _RefusedError("unknown-episode", "no episode of that id is under way")
        actions.acknowledge([request.id], by)
        return Reply("acknowledge", "ok", [_encode(AcknowledgeReply(id=request.id))])
    chosen = [e for e in journal.active() if request.stream in (UNSET, e.stream)]
    if request.stream is not UNSET and not chosen:
        raise _RefusedError("unknown-episode", "no episode of that stream is under way")
    unseen = [each.id for each in chosen if not _acknowledged(each)]
    if unseen:
        actions.acknowledge(unseen, by)
    reply = AcknowledgeReply(stream=request.stream, all=request.all, count=len(unseen))
    return Reply("acknowledge", "ok", [_encode(reply)])


def _who(request: AcknowledgeRequest, caller: Caller) -> str | None:
    """The person whom the client names, and in brackets the client, whom the daemon knows."""
    if request.by is UNSET:
        return caller.name
    if not request.by.isprintable() or request.by.strip() != request.by:
        raise _RefusedError("malformed", "by is a name: printable, without spaces at its ends")
    return request.by if caller.name is None else f"{request.by} ({caller.name})"


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
