"""From the pipeline to the publisher: messages, with what is to be written of their streams.

Runs in the pipeline's thread.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec.structs import replace

from beatgan.pipeline.checkpointing import Checkpointer, PendingWrites
from beatgan.pipeline.outgoing import Outgoing
from beatgan.protocol.messages import AlertMessage, BeatMessage, Message, StatusMessage
from beatgan_daemon import log
from beatgan_daemon.publishing.outgoing_queue import Then
from beatgan_daemon.publishing.publisher import Publisher

NOTHING = PendingWrites({}, [])


class Delivery:
    """Hands messages over to the publisher."""

    def __init__(
        self,
        publisher: Publisher,
        checkpointer: Checkpointer | None,
        clock: Callable[[], float],
        fence_of: Callable[[str], int | None] = lambda _: None,
    ) -> None:
        """``checkpointer`` None: no stream survives a restart. ``fence_of``: of a stream's bucket,
        where shards share them."""
        self._publisher, self._checkpointer, self._clock = publisher, checkpointer, clock
        self._fence_of = fence_of
        self._log = log.get()

    def publish(self, outgoing: Outgoing) -> None:
        """Hand over messages, and what is to be written of the streams after them.

        Raises PublisherError if the publisher failed.
        """
        self._deliver(outgoing, {}, None)

    def release(
        self, outgoing: Outgoing, states: Mapping[str, bytes], published: Callable[[], None]
    ) -> None:
        """`publish` of `Engine.release`; ``states``: the alarm states of the streams let go, which
        stay written down until `forget`."""
        self._deliver(outgoing, states, Then(published=published))

    def _deliver(self, outgoing: Outgoing, states: Mapping[str, bytes], then: Then | None) -> None:
        others = self._fenced(outgoing)
        writes = NOTHING
        if self._checkpointer is not None:
            writes = self._checkpointer.pending_writes(others, self._clock())
        alarms = {**writes.alarms, **states}
        self._publisher.put(outgoing, alarms, writes.checkpoints, then=then)
        self._log_status(others)

    def forget(self, streams: Iterable[str], episodes: Sequence[str]) -> None:
        """Somebody else goes on with these."""
        self._publisher.put(Outgoing(), dict.fromkeys(streams), handed_over=episodes)

    def take_over(
        self,
        alerts: Sequence[AlertMessage],
        states: Mapping[str, bytes],
        checkpoints: Mapping[str, bytes],
        saved: Callable[[], None],
    ) -> None:
        """Alerts and streams with which this daemon goes on from now on."""
        outgoing = Outgoing([*alerts])
        self._fenced(outgoing)
        self._publisher.put(outgoing, states, [*checkpoints.items()], then=Then(saved=saved))

    def _fenced(self, outgoing: Outgoing) -> list[Message]:
        """The messages but beats, once alerts bear the fences of their buckets."""
        others: list[Message] = []
        for k, message in enumerate(outgoing.messages):
            if isinstance(message, BeatMessage):
                continue
            if isinstance(message, AlertMessage):
                fence = self._fence_of(message.stream)
                if fence is not None:
                    message = outgoing.messages[k] = replace(message, fence=fence)
            others.append(message)
        return others

    def _log_status(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if isinstance(message, StatusMessage):
                self._log.debug(message.text, stream=message.stream, state=message.state)

    def save_all(self) -> None:
        """Hand over the checkpoints of all streams; after `Engine.drain`."""
        if self._checkpointer is not None:
            self._publisher.put(Outgoing(), checkpoints=self._checkpointer.all())
