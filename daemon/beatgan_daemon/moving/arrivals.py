"""Buckets that this shard has from now on: what was left of them goes on here."""

from collections.abc import Mapping
from queue import SimpleQueue

import msgspec

from beatgan.pipeline.checkpointing import end_unattended, restore_streams
from beatgan.pipeline.engine import Engine
from beatgan.protocol.messages import AlertMessage, decode_alert
from beatgan_daemon import log
from beatgan_daemon.metrics import Metrics
from beatgan_daemon.moving.shared_directory import SharedDirectory
from beatgan_daemon.publishing.delivery import Delivery
from beatgan_daemon.sharding.handover import BucketState

WHY = "goes on in another shard"  # of the streams' status messages


class Arrivals:
    """Used by one thread."""

    def __init__(
        self, engine: Engine, delivery: Delivery, directory: SharedDirectory, metrics: Metrics
    ) -> None:
        self._engine, self._delivery = engine, delivery
        self._directory, self._metrics = directory, metrics
        self._saved: SimpleQueue[tuple[int, int]] = SimpleQueue()

    def go_on(self, bucket: int, fence: int, handover: BucketState | None, now: float) -> None:
        """Go on with the bucket under ``fence``; None: nothing was left of it.

        Of alarms under way those end that nobody is left to end. The others are told again.
        """
        if handover is None:
            self._saved.put((bucket, fence))
            self._metrics.bucket_moved("in")
            return
        engine, states, checkpoints = self._engine, handover.states, handover.checkpoints
        problems = restore_streams(engine, states.items(), checkpoints.items(), now, WHY)
        told = engine.active_alarms.take_over(_alerts(handover, problems))
        ended = end_unattended(engine, told)
        self._delivery.take_over(
            [*told, *ended], states, checkpoints, lambda: self._saved.put((bucket, fence))
        )
        for problem in problems:
            log.get().warning("a stream's state is of no use", why=problem)
        self._metrics.bucket_moved("in")
        log.get().info(
            "bucket taken over",
            bucket=f"{bucket:02x}",
            fence=fence,
            of=handover.shard,
            streams=len(states | checkpoints),
            alarms=len(told),
        )

    def step(self, held: Mapping[int, int]) -> None:
        """Claim what is on the disk here, unless it has gone on: ``held``, fences by bucket."""
        saved: dict[int, int] = {}
        while not self._saved.empty():
            bucket, fence = self._saved.get()
            if held.get(bucket) == fence:
                saved[bucket] = fence
        if saved:
            self._directory.claim(saved)


def _alerts(handover: BucketState, problems: list[str]) -> list[AlertMessage]:
    alerts: list[AlertMessage] = []
    for body in handover.alerts:
        try:
            alerts.append(decode_alert(body))
        except msgspec.MsgspecError as error:
            problems.append(f"an alert: {error}")
    return alerts
