"""The publisher's thread: alerts into the journal, then every message to its subscribers.

It owns the publish socket, the control socket and the journal, so that neither a slow disk nor a
slow client delays the pipeline. The disk itself is touched by threads of the journal and of the
checkpoint writer, for which this one waits for a short and bounded time: no disk holds a message
up. Does not read a message's fields.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from math import ceil
from threading import Thread
from time import monotonic, time_ns
from typing import NamedTuple, Protocol

import zmq

from beatgan.pipeline.outgoing import Outgoing
from beatgan.protocol.alert_journal import JournalEntry
from beatgan.protocol.messages import AlertMessage, BeatMessage, Message, encode_json
from beatgan.protocol.names import topic_of
from beatgan_daemon import log
from beatgan_daemon.publishing import checkpoint_writer
from beatgan_daemon.publishing.beat_messages import send_beats
from beatgan_daemon.publishing.checkpoint_writer import CheckpointStore, CheckpointWriter
from beatgan_daemon.publishing.late_joiners import LateJoiners, repeat_of
from beatgan_daemon.publishing.outgoing_queue import Batch, OutgoingQueue, Then
from beatgan_daemon.sockets.control_socket import ControlSocket
from beatgan_daemon.sockets.publish_socket import PublishSocket
from beatgan_daemon.storage.journal import Journal, Unstored

MAINTENANCE_S = 1.0  # between two rounds of maintaining the journal
NEXT_STEP_S = 0.02  # between steps of maintenance that takes several
ANSWERS_S = 0.01  # spent on clients before alerts are delivered again
_NONE: Mapping[str, bytes | None] = {}
REPEATS = 100  # alerts repeated at a time
CHECKPOINTS_S = 0.4  # for checkpoints that wait, at the end


class Observer(checkpoint_writer.Observer, Protocol):
    """Receives every count as it happens; must return at once and never raise.

    ``dropped`` is called in the thread of the pipeline, ``latencies`` in either, all others in the
    publisher's.
    """

    def latencies(self, arrivals: Sequence[float], sent: float) -> None:
        """The last samples that messages needed had arrived then, and by ``sent`` all were sent."""

    def dropped(self, kind: str, messages: int = 1) -> None:
        """So many messages of a type were dropped because publishing was too slow."""

    def journal(self, alerts: int, size: int, backlog: int, lost: int = 0) -> None:
        """So many alerts stored in so many bytes; ``backlog`` wait for the disk, ``lost`` never got
        there since the start."""

    def journal_failed(self) -> None:
        """An attempt to write the journal failed."""

    def journal_deleted(self, reason: str, alerts: int) -> None:
        """So many alerts were deleted from the journal, for their age or its size."""


class Retention(NamedTuple):
    """How long the journal holds alerts."""

    days: float = 30.0
    mb: float = 256.0


class PublisherError(RuntimeError):
    """The publisher's thread is no more, though nobody closed it."""


class Publisher:
    """Started, it takes what is `put` until it is closed."""

    def __init__(
        self,
        sink: PublishSocket,
        control: ControlSocket,
        journal: Journal,
        store: CheckpointStore | None,
        observer: Observer,
        retention: Retention,
    ) -> None:
        """Begin at once. The sockets and the journal are its own from now on, and it closes them;
        the store is until the publisher is closed. ``retention`` may be changed at any time."""
        self.retention = retention
        self._sink, self._control, self._journal = sink, control, journal
        self._observer = observer
        self._queue = OutgoingQueue(observer.dropped)
        self._late_joiners = LateJoiners()
        self._checkpoints = CheckpointWriter(store, observer, self._queue.wake)
        self._deleted: Counter[str] = Counter()  # from the journal, as far as they were counted
        self._unsaved = 0  # checkpoints that were not written before the end
        self._failures = 0  # of the journal, as far as they have been counted
        self._next_maintenance = self._moved = monotonic()
        self._requests_wait = self._reopening = self._closing = False
        self._failure: BaseException | None = None
        self._thread = Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    # --- for other threads --------------------------------------------------------------------

    def put(
        self,
        outgoing: Outgoing,
        alarm_states: Mapping[str, bytes | None] = _NONE,
        checkpoints: Iterable[tuple[str, bytes]] = (),
        handed_over: Sequence[str] = (),
        then: Then | None = None,
    ) -> None:
        """See `OutgoingQueue.put`; never blocks. Raises PublisherError if the publisher failed."""
        if not self._thread.is_alive():
            raise PublisherError("the publisher has stopped") from self._failure
        if outgoing.messages or alarm_states or checkpoints or handed_over or then:
            self._queue.put(outgoing, alarm_states, checkpoints, handed_over, then)
        elif outgoing.arrivals:  # of beats that nobody is subscribed to
            self._observer.latencies(outgoing.arrivals, monotonic())

    def moved(self) -> float:
        """When it last completed an iteration (monotonic s); at rest there is one a second."""
        return self._moved

    @property
    def trouble(self) -> str | None:
        """Why alerts are not on the disk; None where they are."""
        return self._journal.trouble

    @property
    def checkpoint_trouble(self) -> str | None:
        """Why checkpoints are not on the disk; None where they are."""
        return self._checkpoints.trouble

    def unready(self) -> str | None:
        """Why what is to be stored is not; None where it is."""
        if (why := self.trouble) is not None:
            return f"alerts cannot be written: {why}"
        if (why := self.checkpoint_trouble) is not None:
            return f"checkpoints cannot be written: {why}"
        return None

    def unstored(self) -> Unstored:
        """After `close`: alerts that are not on the disk and never will be."""
        return self._journal.unstored()

    @property
    def unsaved(self) -> int:
        """After `close`: checkpoints that are not on the disk."""
        return self._unsaved

    def reopen(self) -> None:
        """End all connections to both sockets, soon: whoever may come in again calls again."""
        self._reopening = True
        if self._thread.is_alive():
            self._queue.wake()

    def close(self, seconds: float) -> bool:
        """Publish and store what was put, and end; whether that took less than ``seconds``."""
        self._closing = True
        if self._thread.is_alive():
            self._queue.wake()
            self._thread.join(seconds)
        if self._thread.is_alive():
            return False
        self._queue.close()
        return True

    # --- its own thread -----------------------------------------------------------------------

    def _run(self) -> None:
        try:
            poller = zmq.Poller()
            poller.register(self._queue.wakeup_fd, zmq.POLLIN)
            self._register(poller)
            while not self._closing:
                poller.poll(self._poll_timeout_ms())
                self._iterate(poller)
            self._finish()
        except Exception as failure:  # noqa: BLE001 - the pipeline learns of it with its next `put`
            self._failure = failure
        finally:
            self._sink.close()
            self._control.close()
            self._journal.close()

    def _register(self, poller: zmq.Poller) -> None:
        poller.register(self._sink.socket, zmq.POLLIN)
        poller.register(self._control.socket, zmq.POLLIN)

    def _poll_timeout_ms(self) -> int:
        """How long there is nothing to do unless somebody comes."""
        if self._requests_wait:
            return 0
        again = self._late_joiners.due()
        until = self._next_maintenance if again is None else min(self._next_maintenance, again)
        return ceil(max(0.0, 1000 * (until - monotonic())))

    def _iterate(self, poller: zmq.Poller) -> None:
        if self._reopening:
            self._reopen(poller)
        for topic in self._sink.subscriptions():
            self._late_joiners.subscribed(topic)
        self._deliver(self._queue.take())
        self._checkpoints.step()
        if self._sink.overfull:
            log.get().warning("too many subscriptions", why="all connections to publish are ended")
            self._reopen_sink(poller)
        self._repeat()
        self._requests_wait = self._control.serve(self._journal, ANSWERS_S)
        self._maintain()
        self._moved = monotonic()

    def _deliver(self, batch: Batch) -> None:
        """Alerts and alarm states on the disk, then every message to its subscribers."""
        messages, arrivals = batch.outgoing.messages, batch.outgoing.arrivals
        alerts = [each for each in messages if isinstance(each, AlertMessage)]
        entries = [
            JournalEntry(each.n, each.id, each.stream, each.phase, encode_json(each))
            for each in alerts
        ]
        if entries or batch.alarm_states or batch.handed_over:
            self._journal.append(entries, batch.alarm_states, time_ns(), batch.handed_over)
        self._send(messages, (entry.body for entry in entries))
        if arrivals:
            self._observer.latencies(arrivals, monotonic())
        self._checkpoints.add(batch.checkpoints)
        for published, saved in batch.then:
            if published is not None:
                published()
            if saved is not None:
                self._checkpoints.call_when_written(saved)

    def _send(self, messages: Sequence[Message], alerts: Iterator[bytes]) -> None:
        """In order; ``alerts``: the JSON of those among the messages."""
        for kind, some in groupby(messages, type):
            if kind is BeatMessage:
                send_beats(self._sink, [each for each in some if isinstance(each, BeatMessage)])
                continue
            for each in some:
                body = next(alerts) if kind is AlertMessage else encode_json(each)
                self._sink.send(topic_of(each.type, each.stream), body)

    def _repeat(self) -> None:
        """Repeat to those who subscribed lately what is under way."""
        if self._late_joiners.due() is None:
            return
        for episode in self._late_joiners.episodes(self._journal.active(), monotonic(), REPEATS):
            entry = self._journal.find(episode)
            if entry is not None:  # it may be over by now
                self._sink.send(topic_of("alert", entry.stream), repeat_of(entry))

    def _maintain(self) -> None:
        """Once a second: what the journal has to make up for, and what it may delete."""
        now = monotonic()
        if now < self._next_maintenance:
            return
        more = self._journal.retry_backlog(time_ns())
        more = self._journal.retain(*self.retention) or more
        self._next_maintenance = now + (NEXT_STEP_S if more else MAINTENANCE_S)
        self._count()

    def _count(self) -> None:
        journal = self._journal
        alerts = journal.next_n - journal.oldest
        self._observer.journal(alerts, journal.bytes, journal.backlog, journal.unjournaled)
        while self._failures < journal.failures:
            self._failures += 1
            self._observer.journal_failed()
        for reason, alerts in (journal.deleted - self._deleted).items():
            self._observer.journal_deleted(reason, alerts)
            log.get().info("alerts deleted", count=alerts, reason=reason, oldest=journal.oldest)
        self._deleted = journal.deleted.copy()

    def _reopen(self, poller: zmq.Poller) -> None:
        self._reopening = False
        poller.unregister(self._sink.socket)
        poller.unregister(self._control.socket)
        self._sink.reopen()
        self._control.reopen()
        self._register(poller)

    def _reopen_sink(self, poller: zmq.Poller) -> None:
        poller.unregister(self._sink.socket)
        self._sink.reopen()
        poller.register(self._sink.socket, zmq.POLLIN)

    def _finish(self) -> None:
        """Whatever was put before the end."""
        self._deliver(self._queue.take())
        self._unsaved = self._checkpoints.finish(CHECKPOINTS_S)
        self._control.serve(self._journal, ANSWERS_S)
        self._moved = monotonic()
