"""What waits between the pipeline and the publisher: a bounded queue that never blocks.

Alerts are never dropped. Knows neither of the two threads, and of a message nothing but its type.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from threading import Lock
from typing import NamedTuple

from beatgan.pipeline.outgoing import Outgoing
from beatgan.protocol.messages import AlertMessage, Message

DROPPABLE = 100_000  # beats and status messages that may wait
States = Mapping[str, bytes | None]  # by stream; None: forget it


class Then(NamedTuple):
    """To be called, in the publisher's thread, with what was put before and with it done:
    ``published`` when alerts and alarm states are journaled and all is sent; ``saved`` when
    checkpoints are written, too."""

    published: Callable[[], None] | None = None
    saved: Callable[[], None] | None = None


class Batch(NamedTuple):
    """Everything that waited, and the last state of each stream whose state did."""

    outgoing: Outgoing
    alarm_states: dict[str, bytes | None]
    checkpoints: dict[str, bytes | None]
    handed_over: list[str]  # ids of episodes that go on elsewhere
    then: list[Then]


def _empty() -> Batch:
    return Batch(Outgoing(), {}, {}, [], [])


class OutgoingQueue:
    """Any thread puts; one thread takes, and polls `wakeup_fd` to know when."""

    def __init__(self, dropped: Callable[[str, int], None], bound: int = DROPPABLE) -> None:
        """``dropped`` is called, in the thread that puts, with a type and how many were dropped."""
        self.wakeup_fd = os.eventfd(
            0, os.EFD_NONBLOCK | os.EFD_CLOEXEC
        )  # readable: something waits
        self._dropped, self._bound = dropped, bound
        self._lock = Lock()
        self._waiting = _empty()
        self._droppable = 0

    def put(
        self,
        outgoing: Outgoing,
        alarm_states: States,
        checkpoints: Iterable[tuple[str, bytes]],
        handed_over: Iterable[str] = (),
        then: Then | None = None,
    ) -> None:
        """Hand over messages, in order: of beats and status messages those that have room. Of as
        many arrivals the latency is counted.

        ``alarm_states`` are those after the messages; None: nothing of the stream is needed any
        more. A later state takes the place of one that still waits. ``handed_over``: ids of
        episodes that are under way here no more.
        """
        with self._lock:
            lost = self._add(outgoing.messages)
            room = self._bound - len(self._waiting.outgoing.arrivals)
            self._waiting.outgoing.arrivals.extend(outgoing.arrivals[:room])
            self._waiting.alarm_states.update(alarm_states)
            self._waiting.checkpoints.update(checkpoints)
            gone = [stream for stream, state in alarm_states.items() if state is None]
            self._waiting.checkpoints.update(dict.fromkeys(gone))
            self._waiting.handed_over.extend(handed_over)
            if then is not None:
                self._waiting.then.append(then)
        for kind in set(lost):
            self._dropped(kind, lost.count(kind))
        self.wake()

    def _add(self, messages: Sequence[Message]) -> list[str]:
        """The types of those for which there was no room."""
        waiting = self._waiting.outgoing.messages
        if self._droppable + len(messages) <= self._bound:
            waiting.extend(messages)
            self._droppable += len(messages)  # or less: alerts count only where room is scarce
            return []
        lost: list[str] = []
        for each in messages:
            if isinstance(each, AlertMessage):
                waiting.append(each)
            elif self._droppable < self._bound:
                waiting.append(each)
                self._droppable += 1
            else:
                lost.append(each.type)
        return lost

    def wake(self) -> None:
        """Wake the taker, whatever waits, unless there is none any more."""
        with self._lock:
            if self.wakeup_fd >= 0:
                os.eventfd_write(self.wakeup_fd, 1)

    def take(self) -> Batch:
        """Everything that waits; `wakeup_fd` is not readable afterwards."""
        with suppress(BlockingIOError):
            os.eventfd_read(self.wakeup_fd)
        with self._lock:
            batch, self._waiting = self._waiting, _empty()
            self._droppable = 0
        return batch

    def close(self) -> None:
        """Nobody will put or take any more; a thread that is still at work may `wake`."""
        with self._lock:
            if self.wakeup_fd >= 0:
                os.close(self.wakeup_fd)
                self.wakeup_fd = -1
