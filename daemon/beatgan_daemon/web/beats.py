"""The beats of the streams that are heard, and their heart rates."""

from collections.abc import Set as AbstractSet
from typing import Any, Final

import msgspec

from beatgan.protocol.messages import BeatMessage
from beatgan.protocol.names import topic_of
from beatgan_daemon.clients.subscribers import Subscribers
from beatgan_daemon.web.heart_rate import HeartRate
from beatgan_daemon.web.recent import Recent

RECENT: Final = 400  # beats of a stream that are kept: a minute of any heart, revisions included
SHOWN: Final = (
    "sample", "rr_ms", "class", "score", "threshold", "quality", "anomalous", "lead", "revised",
)  # fmt: skip

_check = msgspec.json.Decoder(BeatMessage).decode


class StreamBeats:
    """Of one stream."""

    def __init__(self) -> None:
        self.recent: Recent[dict[str, Any]] = Recent(RECENT)
        self.rate = HeartRate()
        self.quality: str | None = None  # of the latest
        self.epoch: int | None = None


class Beats:
    """Of all streams that are heard."""

    def __init__(self, outlet: Subscribers) -> None:
        self._outlet = outlet
        self._streams: dict[str, StreamBeats] = {}

    def of(self, stream: str) -> StreamBeats | None:
        """None where they are not heard."""
        return self._streams.get(stream)

    def want(self, streams: AbstractSet[str]) -> None:
        """Hear these streams' beats, no others."""
        for stream in self._streams.keys() - streams:
            self._outlet.unsubscribe(topic_of("beat", stream))
            del self._streams[stream]
        for stream in streams - self._streams.keys():
            self._outlet.subscribe(topic_of("beat", stream))
            self._streams[stream] = StreamBeats()

    def beat(self, body: bytes, now: float) -> None:
        """One beat message. Raises msgspec.MsgspecError where it is none."""
        _check(body)
        message = msgspec.json.decode(body, type=dict[str, Any])
        beats = self._streams.get(message["stream"])
        if beats is None:
            return
        if beats.epoch != message["epoch"]:
            beats.rate, beats.quality, beats.epoch = HeartRate(), None, message["epoch"]
            beats.recent.clear()  # their samples are counted from somewhere else
        if not message.get("revised"):
            beats.rate.beat(message["rr_ms"], message["quality"], now)
            beats.quality = message["quality"]
        beats.recent.add({key: message[key] for key in SHOWN if key in message})
