"""Buckets that another shard has from now on: their streams released, and left for it."""

from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Final, NamedTuple

from msgspec.structs import replace

from beatgan.pipeline.engine import Engine
from beatgan.pipeline.snapshot import encode
from beatgan.protocol.buckets import bucket_of
from beatgan.protocol.messages import encode_json
from beatgan.protocol.names import stream_of_topic
from beatgan_daemon import log
from beatgan_daemon.ingest.frame_queue import FrameQueue
from beatgan_daemon.metrics import Metrics
from beatgan_daemon.moving.shared_directory import SharedDirectory
from beatgan_daemon.publishing.delivery import Delivery
from beatgan_daemon.sharding.handover import BucketState

SETTLE_S: Final = 0.25  # for frames that had arrived when the bucket was no longer listened to


class _Released(NamedTuple):
    """A bucket that was let go: what is left of it, its streams, and episodes under way."""

    state: BucketState
    streams: list[str]
    episodes: list[str]


class Departures:
    """Used by one thread."""

    def __init__(
        self,
        shard: str,
        engine: Engine,
        delivery: Delivery,
        queue: FrameQueue,
        directory: SharedDirectory,
        metrics: Metrics,
        forget: Callable[[str], None],
    ) -> None:
        """``forget`` is called with each stream that is another shard's now."""
        self._shard, self._engine, self._delivery, self._queue = shard, engine, delivery, queue
        self._directory, self._metrics, self._forget = directory, metrics, forget
        self._published: SimpleQueue[_Released] = SimpleQueue()

    def all_read(self, since: float, now: float) -> bool:
        """Whether what arrived before ``since`` has been received, or there was time enough."""
        return self._queue.received_until() > since or now > since + SETTLE_S

    def release(self, bucket: int, fence: int, now: float) -> None:
        """Let go of the bucket, had under ``fence``: what is due is published first."""
        engine, alarms = self._engine, self._engine.active_alarms
        streams = {name for name in engine.streams() if bucket_of(name) == bucket}
        outgoing, snapshots = engine.release(streams, now)
        states = {each.stream: encode(replace(each, frontend=None)) for each in snapshots}
        checkpoints = {each.stream: encode(each) for each in snapshots}
        streams |= {m.stream for m in alarms.active.values() if _is_in(m.stream, bucket)}
        alerts = alarms.hand_over(streams)
        for name in streams:
            self._forget(name)
        if len(self._queue):  # more than could be read: the other shard has heard them, too
            self._queue.drop(lambda topic: _is_in(stream_of_topic(topic), bucket))
        state = BucketState(
            bucket=bucket,
            fence=fence,
            shard=self._shard,
            released=True,
            states={},
            checkpoints=checkpoints,
            alerts=[encode_json(each) for each in alerts],
        )
        released = _Released(state, sorted(streams), [each.id for each in alerts])
        self._delivery.release(outgoing, states, lambda: self._published.put(released))

    def step(self) -> None:
        """Leave for the next shard what all has been published of."""
        published: list[_Released] = []
        while not self._published.empty():
            published.append(self._published.get())
        if published:
            then = partial(self._left, published)
            self._directory.leave([each.state for each in published], then)

    def _left(self, released: list[_Released]) -> None:
        for state, streams, episodes in released:
            self._delivery.forget(streams, episodes)
            self._metrics.bucket_moved("out")
            log.get().info(
                "bucket handed over",
                bucket=f"{state.bucket:02x}",
                fence=state.fence,
                streams=len(state.checkpoints),
                alarms=len(episodes),
            )


def _is_in(stream: str | None, bucket: int) -> bool:
    return stream is not None and stream != "" and bucket_of(stream) == bucket
