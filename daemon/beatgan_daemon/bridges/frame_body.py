"""A frame of the protocol as the body of one message, for what has topics or keys of its own.

The length of its header (4 bytes, big-endian), the header (MessagePack), the samples, the last two
as docs/protocol.md says. The stream's name is not in it.
"""

from collections.abc import Sequence
from typing import Final

from beatgan.errors import StreamError
from beatgan.protocol.frames import MAX_HEADER
from beatgan.protocol.names import topic_of

LENGTH: Final = 4  # bytes


def frame_parts(stream: str, body: bytes) -> list[bytes]:
    """The three parts of the frame in it. Raises StreamError where there are none."""
    length = int.from_bytes(body[:LENGTH], "big")
    if len(body) < LENGTH + length or length > MAX_HEADER:
        raise StreamError(
            "header", f"a header of {length} bytes does not fit into a body of {len(body)}"
        )
    end = LENGTH + length
    return [topic_of("ecg", stream), body[LENGTH:end], body[end:]]


def frame_body(parts: Sequence[bytes]) -> bytes:
    """The body of a frame's three ``parts``, without its topic."""
    _, header, payload = parts
    return len(header).to_bytes(LENGTH, "big") + header + payload
