"""What the daemon says, and its bytes: beat, alert and status messages (docs/protocol.md).

Fields and their order are the protocol's. Knows no socket and nothing of how a message came about.
"""

from typing import Literal

import msgspec

VERSION = 1  # of the protocol, both ways
_encoder = msgspec.json.Encoder()


class BeatMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One beat: where it is and what the model says of it."""

    v: int = VERSION
    type: Literal["beat"] = "beat"
    stream: str
    epoch: int
    n: int
    sample: int
    time_ns: int
    lead: str
    rr_ms: float | None
    score: float | None
    threshold: float | None
    anomalous: bool
    quality: str


class Delay(msgspec.Struct, frozen=True):
    """The two parts of an alert's delay, in ms: event to recognised, recognised to sent."""

    condition: float
    signal: float


class Explanation(msgspec.Struct, frozen=True):
    """A beat, what the model expected, and how unusual each tick at ``fs`` Hz is."""

    sample: int
    fs: float
    window: list[float]
    expected: list[float]
    error: list[float]


class AlertMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One phase of one episode."""

    v: int = VERSION
    type: Literal["alert"] = "alert"
    id: str
    n: int
    stream: str
    epoch: int
    kind: str
    code: str
    priority: str
    phase: str
    onset_sample: int
    onset_ns: int
    end_sample: int | None
    sample: int
    lead: str | None
    suspended: bool
    latched: bool = False
    acknowledged: bool = False
    suppressed: int = 0
    raised_ns: int
    score: float | None
    threshold: float | None
    beats: tuple[int, ...]
    delay_ms: Delay
    explanation: Explanation | None


class Totals(msgspec.Struct, frozen=True):
    """Samples of a stream since the daemon first heard it; received + lost = sent."""

    received: int
    lost: int
    repeated: int


State = Literal[
    "started", "gap", "restarted", "leads-changed", "clock", "shed", "resumed", "restored", "ended"
]


class StatusMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A turn in a stream's life."""

    v: int = VERSION
    type: Literal["status"] = "status"
    stream: str
    epoch: int
    state: State
    sample: int
    time_ns: int
    fs: float
    leads: tuple[str, ...]
    lead: str
    lost: int
    totals: Totals
    text: str


Message = BeatMessage | AlertMessage | StatusMessage


def encode_message(message: Message) -> list[bytes]:
    """The message's two parts: topic and one UTF-8 JSON object."""
    return [f"{message.type}.{message.stream}".encode("ascii"), encode_json(message)]


def encode_json(message: Message) -> bytes:
    """The message's JSON object alone, on one line."""
    return _encoder.encode(message)
