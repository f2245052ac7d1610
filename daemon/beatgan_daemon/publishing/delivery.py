"""From the pipeline to the publisher: messages, with what is to be written of their streams.

Runs in the pipeline's thread.
"""

from collections.abc import Callable

from beatgan.pipeline.checkpointing import Checkpointer, PendingWrites
from beatgan.pipeline.outgoing import Outgoing
from beatgan.protocol.messages import BeatMessage, StatusMessage
from beatgan_daemon import log
from beatgan_daemon.publishing.publisher import Publisher

NOTHING = PendingWrites({}, [])


class Delivery:
    """Hands messages over to the publisher."""

    def __init__(
        self, publisher: Publisher, checkpointer: Checkpointer | None, clock: Callable[[], float]
    ) -> None:
        """``checkpointer`` None: no stream survives a restart."""
        self._publisher, self._checkpointer, self._clock = publisher, checkpointer, clock
        self._log = log.get()

    def publish(self, outgoing: Outgoing) -> None:
        """Hand over messages, and what is to be written of the streams after them.

        Raises PublisherError if the publisher failed.
        """
        others = [each for each in outgoing.messages if not isinstance(each, BeatMessage)]
        writes = NOTHING
        if self._checkpointer is not None:
            writes = self._checkpointer.pending_writes(others, self._clock())
        self._publisher.put(outgoing, writes.alarms, writes.checkpoints)
        for message in others:
            if isinstance(message, StatusMessage):
                self._log.debug(message.text, stream=message.stream, state=message.state)

    def save_all(self) -> None:
        """Hand over the checkpoints of all streams; after `Engine.drain`."""
        if self._checkpointer is not None:
            self._publisher.put(Outgoing(), checkpoints=self._checkpointer.all())
