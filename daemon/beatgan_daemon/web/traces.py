"""The rings of the streams that somebody looks at, filled from the daemon's tap."""

from collections.abc import Set as AbstractSet
from typing import Final

from beatgan.protocol.names import topic_of
from beatgan_daemon.clients.subscribers import Subscribers
from beatgan_daemon.web.attention import MOST
from beatgan_daemon.web.ring import Ring
from beatgan_daemon.web.units import read_frame

OTHER_EPOCH_S: Final = 1.0  # a new epoch is believed when the old one was silent for as long


class Traces:
    """One ring for each wanted stream."""

    def __init__(self, tap: Subscribers | None) -> None:
        """``tap``: None where there is none; then there are no samples."""
        self._tap = tap
        self._rings: dict[str, Ring | None] = {}
        self._heard: dict[str, float] = {}
        self.heard: float | None = None  # when the last frame came
        self.unreadable = 0

    def ring(self, stream: str) -> Ring | None:
        """The stream's; None as long as nothing came."""
        return self._rings.get(stream)

    def want(self, streams: AbstractSet[str]) -> None:
        """Hear these streams, no others; no more than MOST."""
        if self._tap is None:
            return
        for stream in self._rings.keys() - streams:
            self._tap.unsubscribe(topic_of("ecg", stream))
            del self._rings[stream]
            self._heard.pop(stream, None)
        for stream in sorted(streams - self._rings.keys())[: max(0, MOST - len(self._rings))]:
            self._rings[stream] = None
            self._tap.subscribe(topic_of("ecg", stream))

    def frame(self, stream: str, head: bytes, payload: bytes, now: float) -> None:
        """Take in one frame of the tap."""
        self.heard = now
        if stream not in self._rings:
            return  # a topic is a prefix: bed-1 brings bed-10 along
        try:
            header, units = read_frame(head, payload)
        except ValueError:
            self.unreadable += 1
            return
        ring = self._rings[stream]
        if ring is not None and header.epoch != ring.epoch:
            if now - self._heard.get(stream, 0.0) < OTHER_EPOCH_S:
                return  # perhaps a second source under the same name: the first one stays
            ring = None
        if ring is None or not ring.fits(header.epoch, header.fs, header.leads):
            ring = Ring(header.epoch, header.fs, header.leads, header.first)
            self._rings[stream] = ring
        self._heard[stream] = now
        ring.write(header.first, units)
