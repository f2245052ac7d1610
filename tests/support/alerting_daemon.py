"""A daemon as who takes its alerts sees it: publishes, keeps a journal, answers; no ECG, no model.

One thread. It can go away and come back at the same endpoints, with its journal or with another.
"""

from collections.abc import Sequence
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, Self

import msgspec
import zmq

from beatgan.protocol.alert_journal import JournalEntry
from beatgan.protocol.control_answers import answer
from beatgan.protocol.messages import AlertMessage, encode_json
from tests.support.actions import RecordedActions
from tests.support.messages import alert_message

Socket = zmq.Socket[bytes]


def alerts(count: int, first: int = 0, stream: str = "bed-7") -> list[AlertMessage]:
    """So many, one an episode, numbered from ``first`` on."""
    return [alert_message(n, f"{stream}/{n}", stream=stream) for n in range(first, first + count)]


class _Journal:
    """See `protocol.alert_journal.AlertJournal`."""

    def __init__(self, oldest: int) -> None:
        self.entries: list[JournalEntry] = []
        self.oldest = self.next_n = oldest

    def keep(self, entry: JournalEntry) -> None:
        self.entries.append(entry)
        self.next_n = entry.n + 1

    def since(self, n: int, limit: int) -> Any:
        return ((e.n, e.body) for e in [e for e in self.entries if e.n >= n][:limit])

    def active(self) -> Sequence[JournalEntry]:
        last = {entry.id: entry for entry in self.entries}
        return [entry for entry in last.values() if not entry.ends_episode]

    def find(self, episode: str) -> JournalEntry | None:
        return next((entry for entry in self.active() if entry.id == episode), None)


class AlertingDaemon:
    """Used as a context; ``publish`` and ``control`` say where it is."""

    def __init__(
        self,
        journal: Sequence[AlertMessage] = (),
        *,
        publish: str = "tcp://127.0.0.1:*",
        control: str = "tcp://127.0.0.1:*",
        oldest: int = 0,
    ) -> None:
        self.publish, self.control = publish, control
        self._journal = _Journal(oldest)
        for message in journal:
            self._keep(message)
        self._queue: SimpleQueue[list[bytes]] = SimpleQueue()
        self._ready, self._over = Event(), Event()
        self._thread = Thread(target=self._run)

    def alert(self, message: AlertMessage, *, live: bool = True) -> None:
        """Journal it and, if it is ``live``, publish it."""
        self._keep(message)
        if live:
            self.send(f"alert.{message.stream}", encode_json(message))

    def send(self, topic: str, body: bytes) -> None:
        """Publish whatever."""
        self._queue.put([topic.encode(), body])

    def repeat(self, message: AlertMessage) -> None:
        """As for somebody who has just subscribed."""
        repeated = msgspec.structs.replace(message, repeat=True)
        self.send(f"alert.{message.stream}", encode_json(repeated))

    def _keep(self, message: AlertMessage) -> None:
        body = encode_json(message)
        entry = JournalEntry(message.n, message.id, message.stream, message.phase, body)
        self._journal.keep(entry)

    def _run(self) -> None:
        with (
            zmq.Context[Socket]() as context,
            context.socket(zmq.PUB) as publisher,
            context.socket(zmq.ROUTER) as control,
        ):
            publisher.linger = control.linger = 0
            publisher.bind(self.publish)
            control.bind(self.control)
            self.publish = publisher.getsockopt_string(zmq.LAST_ENDPOINT)
            self.control = control.getsockopt_string(zmq.LAST_ENDPOINT)
            self._ready.set()
            while not self._over.is_set():
                while not self._queue.empty():
                    publisher.send_multipart(self._queue.get())
                if control.poll(5):
                    sender, *_, request = control.recv_multipart()
                    reply = answer(request, self._journal, RecordedActions())
                    control.send_multipart([sender, *reply.frames])

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(5.0)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
