"""Control requests and their replies, as bytes, both ways (docs/protocol.md).

How a request is answered: `control_answers`. Knows no socket.
"""

from typing import Annotated, Any, Final, Literal

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
    """Somebody has seen the episode ``id``, those of a ``stream``, or ``all``: one of the keys.

    ``by``: the person's name, as the client says.
    """

    id: Annotated[str, Meta(max_length=1_024)] | UnsetType = UNSET
    stream: Annotated[str, Meta(max_length=MAX_NAME)] | UnsetType = UNSET
    all: Literal[True] | UnsetType = UNSET
    by: Annotated[str, Meta(min_length=1, max_length=MAX_NAME)] | UnsetType = UNSET


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

    ``next_sample``: the first of which something can still be made. That is the one behind
    ``last_sample``; after a restart an earlier one, until what came since the checkpoint has come
    again.
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
    next_sample: int = 0  # of a daemon before it said so
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
