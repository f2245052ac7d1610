"""Beats of a daemon as they come. They are in no journal: what a cut loses is counted by their
numbers."""

from collections.abc import Iterator

import msgspec
import zmq

from beatgan.protocol.names import BEAT_BATCH
from beatgan_daemon import zmq_endpoints
from beatgan_daemon.bridges.counts import AlertCount
from beatgan_daemon.clients.subscriber import Subscriber
from beatgan_daemon.security.curve import ConfigureSocket

MAX_STREAMS = 100_000
END_S = 1.0


class Beat(msgspec.Struct):
    """What is needed of a beat; ``body``: its whole JSON."""

    stream: str
    epoch: int
    n: int
    time_ns: int
    revised: bool = False
    body: bytes = b""


class BeatFeed:
    """Used by one thread; where the daemon is away, it is waited for."""

    def __init__(
        self, publish: str, count: AlertCount, configure: ConfigureSocket | None = None
    ) -> None:
        """Counts into ``count``. Raises UsageError on an impossible endpoint."""
        self._count = count
        self._next: dict[str, tuple[int, int]] = {}  # epoch and number of each stream's next beat
        self._context = zmq.Context[zmq.Socket[bytes]]()
        try:
            self._subscriber = Subscriber(self._context, publish, "publish", configure)
        except BaseException:
            self._context.term()
            raise
        self._subscriber.subscribe(BEAT_BATCH)

    def wait(self, seconds: float) -> Iterator[Beat]:
        """Those that have come, waited for at most so long."""
        self._subscriber.wait(seconds)
        for _, lines in self._subscriber.messages():
            for line in lines.splitlines():
                beat = _decoder.decode(line)
                beat.body = line
                self._number(beat)
                yield beat

    def _number(self, beat: Beat) -> None:
        self._count.beats += 1
        if beat.revised:
            return
        epoch, following = self._next.get(beat.stream, (beat.epoch, beat.n))
        if epoch == beat.epoch:
            self._count.beats_missed += max(0, beat.n - following)
        if len(self._next) >= MAX_STREAMS:
            self._next.clear()
        self._next[beat.stream] = beat.epoch, beat.n + 1

    def close(self) -> None:
        """End the connection."""
        self._subscriber.close()
        zmq_endpoints.terminate(self._context, END_S)


_decoder = msgspec.json.Decoder(Beat)
