"""Names on the wire: topics, and what a stream may be called (docs/protocol.md)."""

import re
from typing import Final, Literal

MAX_NAME: Final = 64  # characters in the name of a stream or of a lead
MAX_RECORD_NAME: Final = MAX_NAME - 8  # of a record's name: leaves room for `:2` and so on
STREAM_CHARACTERS: Final = "A-Za-z0-9_:-"

STREAM_PATTERN: Final = rf"^[{STREAM_CHARACTERS}]{{1,{MAX_NAME}}}\Z"

ECG: Final = b"ecg."  # each prefix is followed by the stream's name
ALERTS: Final = b"alert."
BEATS: Final = b"beat."
STATUS: Final = b"status."
BEAT_BATCH: Final = b"batch.beat"  # the topic of many beats in one message, those of all streams

_ECG_TOPIC = re.compile(rb"ecg\.([%b]{1,%d})" % (STREAM_CHARACTERS.encode(), MAX_NAME))
_OTHER_CHARACTER = re.compile(f"[^{STREAM_CHARACTERS}]")


def topic_of(kind: Literal["ecg", "beat", "alert", "status"], stream: str) -> bytes:
    """The topic under which a stream's frames, or its messages of one type, are sent."""
    return f"{kind}.{stream}".encode("ascii")


def stream_of_topic(topic: bytes) -> str | None:
    """The name of the stream whose frames have this topic; None if it is no stream's."""
    match = _ECG_TOPIC.fullmatch(topic)
    return None if match is None else match[1].decode("ascii")


def stream_of_record(record: str) -> str:
    """What the stream of a record is called: characters that no stream's name has become ``_``."""
    return _OTHER_CHARACTER.sub("_", record)[:MAX_RECORD_NAME] or "_"
