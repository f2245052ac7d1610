"""The latest beats of every stream, for the strips."""

from collections import deque
from typing import Final

import msgspec

from beatgan.protocol.messages import BeatMessage, encode_lines

SECONDS: Final = 40.0
MOST: Final = 200  # of a stream
FORGET_AT: Final = 4_096  # streams

_decode = msgspec.json.Decoder(BeatMessage).decode_lines


class RecentBeats:
    """By stream, as they were heard."""

    def __init__(self) -> None:
        self._streams: dict[str, deque[tuple[float, BeatMessage]]] = {}

    def add(self, body: bytes, now: float) -> None:
        """A batch of beats. Raises msgspec.MsgspecError where it is none."""
        for beat in _decode(body):
            beats = self._streams.pop(beat.stream, None) or deque(maxlen=MOST)
            self._streams[beat.stream] = beats
            beats.append((now, beat))
            while beats[0][0] < now - SECONDS:
                beats.popleft()
        while len(self._streams) > FORGET_AT:
            del self._streams[next(iter(self._streams))]

    def within(self, stream: str, epoch: int, begin: int, end: int) -> bytes:
        """Those from sample ``begin`` to ``end``, a revised one in its last form, as JSON Lines."""
        found = {
            beat.sample: beat
            for _, beat in self._streams.get(stream, ())
            if beat.epoch == epoch and begin <= beat.sample < end
        }
        return encode_lines([found[sample] for sample in sorted(found)])
