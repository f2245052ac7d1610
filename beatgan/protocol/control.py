"""What a client may ask and what it is answered: bytes in, frames out (docs/protocol.md).

Any bytes are answered. Knows no socket; of the journal only what it is asked for.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Literal, NamedTuple, Protocol, TypeVar

import msgspec
from msgspec import Meta

from beatgan.protocol.messages import VERSION

MAX_REQUEST_BYTES = 4_096  # bytes of a request
MAX_ALERTS = 1_000  # in one reply
MAX_REPLY_BYTES = 2**20  # likewise; one alert is sent however long it is

Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Limit = Annotated[int, Meta(ge=1)]


class RequestHeader(msgspec.Struct, frozen=True):
    """What every request has."""

    v: int
    type: str


class AlertsRequest(msgspec.Struct, frozen=True):
    """The alerts from number ``since`` on."""

    since: Number
    limit: Limit = MAX_ALERTS


class ActiveRequest(msgspec.Struct, frozen=True):
    """The last alerts of the episodes under way, from number ``since`` on."""

    since: Number = 0
    limit: Limit = MAX_ALERTS


class AcknowledgeRequest(msgspec.Struct, frozen=True):
    """Somebody has seen the episode."""

    id: Annotated[str, Meta(max_length=1_024)]


class AlertsReply(msgspec.Struct, frozen=True, kw_only=True):
    """Followed by the alerts, one a frame; ``next``: ask for those since, where there is more."""

    v: int = VERSION
    type: Literal["alerts", "active"]
    since: int
    next: int
    oldest: int
    more: bool


class AcknowledgeReply(msgspec.Struct, frozen=True, kw_only=True):
    """It is under way; what comes of it will be published."""

    v: int = VERSION
    type: Literal["acknowledge"] = "acknowledge"
    id: str
    ok: bool = True


class ErrorReply(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is no other answer: one word, and a line for people."""

    v: int = VERSION
    type: Literal["error"] = "error"
    error: str
    text: str


class Reply(NamedTuple):
    """The frames of an answer; what was asked for and how it went, both words from fixed lists."""

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
    def over(self) -> bool:
        """Whether its episode is over with it."""
        return self.phase == "end"


class AlertJournal(Protocol):
    """What a journal is asked for."""

    next_n: int

    @property
    def oldest(self) -> int:
        """The number of the oldest alert kept."""

    def since(self, n: int, limit: int) -> Iterator[tuple[int, bytes]]:
        """Numbers and JSON of alerts."""

    def active(self) -> Sequence[JournalEntry]:
        """The last alert of every episode under way, in order of ``n``."""

    def find(self, episode: str) -> JournalEntry | None:
        """The last alert of one episode under way."""


class _RefusedError(Exception):
    """A request that cannot be served: the error's word and text."""


RequestT = TypeVar("RequestT", bound=msgspec.Struct)
_encode = msgspec.json.Encoder().encode


def answer(request: bytes, book: AlertJournal, acknowledge: Callable[[str], None]) -> Reply:
    """The answer to any bytes; ``acknowledge`` hears of an episode under way that was seen."""
    kind = "unknown"
    try:
        kind = _kind(request)
        if kind == "alerts":
            return _alerts(_decode(request, AlertsRequest), book)
        if kind == "active":
            return _active(_decode(request, ActiveRequest), book)
        return _acknowledge(_decode(request, AcknowledgeRequest), book, acknowledge)
    except _RefusedError as refusal:
        word, text = refusal.args
        return Reply(kind, word, [_encode(ErrorReply(error=word, text=text))])


def _kind(request: bytes) -> str:
    if len(request) > MAX_REQUEST_BYTES:
        raise _RefusedError(
            "malformed", f"a request has at most {MAX_REQUEST_BYTES} bytes, not {len(request)}"
        )
    asked = _decode(request, RequestHeader)
    if asked.v != VERSION:
        raise _RefusedError("unknown-version", f"v is {asked.v}; this daemon speaks {VERSION}")
    if asked.type not in ("alerts", "active", "acknowledge"):
        raise _RefusedError("unknown-type", "type is none of alerts, active, acknowledge")
    return asked.type


def _decode(request: bytes, form: type[RequestT]) -> RequestT:
    try:
        return msgspec.json.decode(request, type=form)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _RefusedError("malformed", f"not a request: {error}") from None


def _alerts(request: AlertsRequest, book: AlertJournal) -> Reply:
    told = book.since(request.since, min(request.limit, MAX_ALERTS))
    return _page("alerts", request.since, told, book, book.next_n)


def _active(request: ActiveRequest, book: AlertJournal) -> Reply:
    active = [(entry.n, entry.body) for entry in book.active() if entry.n >= request.since]
    end = active[-1][0] + 1 if active else book.next_n
    limit = min(request.limit, MAX_ALERTS)
    return _page("active", request.since, iter(active[:limit]), book, end)


def _page(
    kind: Literal["alerts", "active"],
    since: int,
    told: Iterator[tuple[int, bytes]],
    book: AlertJournal,
    end: int,
) -> Reply:
    """As many alerts as fit; there are none from number ``end`` on."""
    following, room = max(end, book.next_n), MAX_REPLY_BYTES
    bodies: list[bytes] = []
    for n, body in told:
        if bodies and len(body) > room:
            break
        bodies.append(body)
        room -= len(body)
        following = n + 1
    more = bool(bodies) and following < end
    header = AlertsReply(type=kind, since=since, next=following, oldest=book.oldest, more=more)
    return Reply(kind, "ok", [_encode(header), *bodies])


def _acknowledge(
    request: AcknowledgeRequest, book: AlertJournal, acknowledge: Callable[[str], None]
) -> Reply:
    if book.find(request.id) is None:
        raise _RefusedError("unknown-episode", "no episode of that id is under way")
    acknowledge(request.id)
    return Reply("acknowledge", "ok", [_encode(AcknowledgeReply(id=request.id))])
