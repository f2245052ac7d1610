"""Beat, alert and status messages, and their bytes, both ways (docs/protocol.md).

Fields and their order are the protocol's. Knows no socket and nothing of how a message came about.
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from beatgan.protocol.names import topic_of

VERSION: Final = 1  # of the protocol, both ways
_encoder = msgspec.json.Encoder()


class Probabilities(msgspec.Struct, frozen=True, gc=False):
    """How probable each class of a beat is; the keys are the classes' letters."""

    N: float
    S: float
    V: float
    F: float
    Q: float


class BeatMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One beat: where it is, its score and its class.

    ``beat_class``, ``class`` in the JSON: the most probable. ``components``: what each part of the
    model adds to ``score``. ``revised``: it replaces the message before of the same ``n``. A field
    that is UNSET is not in the JSON.
    """

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
    beat_class: str | UnsetType = msgspec.field(default=UNSET, name="class")
    probabilities: Probabilities | UnsetType = UNSET
    components: dict[str, float] | UnsetType = UNSET
    revised: bool | UnsetType = UNSET


class Delay(msgspec.Struct, frozen=True):
    """The two parts of an alert's delay, in ms: event to recognition, recognition to message."""

    condition: float
    signal: float


class Explanation(msgspec.Struct, frozen=True):
    """A beat, its reconstruction by the model, and how unusual each sample, at ``fs`` Hz, is.

    ``spread``: the standard deviation of normal beats round ``expected``; ``reference``: the
    patient's own normal beat as it was before this one, in the window's units. UNSET, and so not in
    the JSON, where the model does not say, or there is none.
    """

    sample: int
    fs: float
    window: list[float]
    expected: list[float]
    error: list[float]
    spread: list[float] | UnsetType = UNSET
    reference: list[float] | UnsetType = UNSET


class RhythmStrip(msgspec.Struct, frozen=True, kw_only=True):
    """ECG from sample ``first`` on, as in the payload of a frame: base64 in the JSON."""

    first: int
    fs: float
    leads: tuple[str, ...]
    dtype: Literal["<i2"] = "<i2"
    scale: float
    offset: float
    samples: bytes


class AlertMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One phase of one episode.

    ``beat_class``, ``class`` in the JSON: of the beat that ``score`` belongs to.
    ``probabilities``: of that beat; ``components``: what each part of the model adds to ``score``.
    ``text``: the same for people, in a sentence. ``heart_rate``:
    beats a minute. ``strip``: the ECG up to the moment at which the condition was recognised.
    ``former_code``: what ``code`` was called in the release before, where it was renamed.
    ``by``: the client who acknowledged the episode, or discharged its stream; ``acknowledged_ns``
    and ``discharged_ns``: when, UNIX time. ``fence``: where several daemons share the streams, of
    two that tell of a bucket the one with the higher fence counts. ``repeat``: sent again, for late
    joiners, or told by another daemon before. A field that is UNSET is not in the JSON.
    """

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
    beat_class: str | UnsetType = msgspec.field(default=UNSET, name="class")
    probabilities: Probabilities | UnsetType = UNSET
    components: dict[str, float] | UnsetType = UNSET
    heart_rate: float | UnsetType = UNSET
    strip: RhythmStrip | UnsetType = UNSET
    former_code: str | UnsetType = UNSET
    by: str | UnsetType = UNSET
    acknowledged_ns: int | UnsetType = UNSET
    discharged_ns: int | UnsetType = UNSET
    text: str | UnsetType = UNSET
    fence: int | UnsetType = UNSET
    repeat: bool | UnsetType = UNSET


class Totals(msgspec.Struct, frozen=True):
    """Samples of a stream since the daemon first heard it; received + lost = sent."""

    received: int
    lost: int
    repeated: int


State = Literal[
    "started", "gap", "restarted", "leads-changed", "clock", "shed", "resumed", "restored", "ended"
]


class StatusMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A stream begins, ends, or goes on otherwise than before."""

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
    return [topic_of(message.type, message.stream), encode_json(message)]


def encode_json(message: Message) -> bytes:
    """The message's JSON object alone, on one line."""
    return _encoder.encode(message)


def encode_lines(messages: Sequence[Message]) -> bytes:
    """The messages' JSON objects, each as `encode_json` has it and ended by a newline."""
    return _encoder.encode_lines(messages)


def decode_alert(body: bytes) -> AlertMessage:
    """The alert in the second part of a message. Raises msgspec.MsgspecError."""
    return _alert_decoder.decode(body)


_alert_decoder = msgspec.json.Decoder(AlertMessage)


# --- JSON Lines, as a comparison with reference beats reads them --------------------------------


class BeatLine(msgspec.Struct, frozen=True, tag_field="type", tag="beat"):
    """What is needed of a beat; other programs' lines may lack the rest."""

    stream: str
    sample: int
    epoch: int = 0
    time_ns: int = 0
    score: float | UnsetType | None = UNSET
    quality: str | UnsetType = UNSET
    revised: bool = False
    beat_class: str | UnsetType | None = msgspec.field(default=UNSET, name="class")


class AlertLine(msgspec.Struct, frozen=True, tag_field="type", tag="alert"):
    """What is needed of an alert: whether it suspends scoring, and from where on."""

    stream: str
    epoch: int
    id: str
    kind: str
    phase: str
    onset_sample: int
    end_sample: int | None
    sample: int | None = None
    suspended: bool = False


class StatusLine(msgspec.Struct, frozen=True, tag_field="type", tag="status"):
    """What is needed of a status message."""

    stream: str
    epoch: int = 0


Line = BeatLine | AlertLine | StatusLine


def decode_line(line: str | bytes) -> Line:
    """One message of a file of JSON Lines. Raises msgspec.MsgspecError."""
    return _line_decoder.decode(line)


_line_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)
