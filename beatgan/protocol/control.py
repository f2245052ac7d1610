"""Control requests and their replies, as bytes, both ways (docs/protocol.md).

Any bytes are answered. Knows no socket; of the journal only what `AlertJournal` says.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple, Protocol, TypeVar

import msgspec
from msgspec import Meta

from beatgan.protocol.messages import VERSION

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
    """Somebody has seen the episode ``id``."""

    id: Annotated[str, Meta(max_length=1_024)]


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
    id: str
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


class _RefusedError(Exception):
    """A request that cannot be served. Arguments: the error's word and text."""


RequestT = TypeVar("RequestT", bound=msgspec.Struct)
_encode = msgspec.json.Encoder().encode
_reply_decoder = msgspec.json.Decoder(ReplyHeader)


def encode_request(kind: str, **keys: Any) -> bytes:
    """A request of this type, with its other keys."""
    return _encode({"v": VERSION, "type": kind, **keys})


def decode_reply(frame: bytes) -> ReplyHeader:
    """The first frame of a reply. Raises msgspec.MsgspecError."""
    return _reply_decoder.decode(frame)


def answer(request: bytes, journal: AlertJournal, acknowledge: Callable[[str], None]) -> Reply:
    """The reply to any bytes. ``acknowledge`` is called with the id of an episode under way."""
    kind = "unknown"
    try:
        kind = _kind(request)
        if kind == "alerts":
            return _alerts(_decode(request, AlertsRequest), journal)
        if kind == "active":
            return _active(_decode(request, ActiveRequest), journal)
        return _acknowledge(_decode(request, AcknowledgeRequest), journal, acknowledge)
    except UnavailableError as error:
        word, text = "unavailable", str(error)
    except _RefusedError as refusal:
        word, text = refusal.args
    return Reply(kind, word, [_encode(ErrorReply(error=word, text=text))])


def _kind(request: bytes) -> str:
    if len(request) > MAX_REQUEST_BYTES:
        raise _RefusedError(
            "malformed", f"a request has at most {MAX_REQUEST_BYTES} bytes, not {len(request)}"
        )
    header = _decode(request, RequestHeader)
    if header.v != VERSION:
        raise _RefusedError("unknown-version", f"v is {header.v}; this daemon speaks {VERSION}")
    if header.type not in ("alerts", "active", "acknowledge"):
        raise _RefusedError("unknown-type", "type is none of alerts, active, acknowledge")
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
    request: AcknowledgeRequest, journal: AlertJournal, acknowledge: Callable[[str], None]
) -> Reply:
    if journal.find(request.id) is None:
        raise _RefusedError("unknown-episode", "no episode of that id is under way")
    acknowledge(request.id)
    return Reply("acknowledge", "ok", [_encode(AcknowledgeReply(id=request.id))])
