"""What a shard has already, so that it need not be sent again: it says so of each stream. Pure."""

from collections.abc import Iterable

from beatgan.protocol.control import StreamEntry
from beatgan.protocol.frame_header import FrameExtent


class KnownSamples:
    """As the shard's streams stood at one moment; each stream's frames are to be asked in order."""

    def __init__(self, streams: Iterable[StreamEntry] = ()) -> None:
        self._streams = {each.stream: each for each in streams}

    def has(self, frame: FrameExtent) -> bool:
        """Whether the shard has all of ``frame``, or is beyond its source's epoch."""
        known = self._streams.get(frame.stream)
        if known is None:
            return False
        if frame.epoch == known.epoch:
            has = frame.first + frame.size <= known.next_sample
        else:
            has = frame.t_ns < known.last_sample_ns
        if not has:
            del self._streams[frame.stream]  # nor any that follows
        return has
