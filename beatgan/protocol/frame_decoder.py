"""From a frame's bytes to a Chunk. What they must be is in frames.py and docs/protocol.md.

Law: any bytes decode to a Chunk or raise StreamError. Knows no socket, no stream's past, no clock.
"""

from collections.abc import Sequence

import numpy as np

from beatgan.protocol import payload
from beatgan.protocol.frame_header import check_times, count_samples, read_header
from beatgan.types import Chunk


def warm_up() -> None:
    """Have compiled what decoding needs: the first frame is not to wait for that."""
    for decode in payload.DECODERS.values():
        decode(b"", 1.0, 0.0, np.empty((0, 1), np.float32))


def decode_frame(parts: Sequence[bytes]) -> Chunk:
    """The Chunk in a frame's three ``parts``: topic, header, payload.

    Samples come out as float32 millivolt, shape (n, leads), in memory of their own; whatever is
    no voltage (marked lost, not finite, beyond a kilovolt) comes out as NaN. Raises StreamError,
    with one of the reasons that docs/protocol.md lists, on anything malformed.
    """
    stream, header, leads = read_header(parts)
    count = count_samples(header, parts[2])
    check_times(header, count)
    millivolt = np.empty((count, len(leads)), np.float32)
    payload.DECODERS[header.dtype](parts[2], header.scale, header.offset, millivolt)
    return Chunk(
        stream,
        header.epoch,
        header.seq,
        header.first,
        header.t_ns,
        header.fs,
        leads,
        millivolt,
    )
