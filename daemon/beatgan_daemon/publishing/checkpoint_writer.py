"""Checkpoints on their way to the disk, on a thread of their own: what cannot be written waits.

A later checkpoint of a stream takes an earlier one's place. Knows nothing of what they say.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from itertools import islice
from time import monotonic
from typing import Protocol

from beatgan_daemon import log
from beatgan_daemon.storage.disk_thread import DiskThread

SAVED = 32  # checkpoints written at a time
RETRY_S = 1.0  # after a failure
STALLED_S = 10.0  # a call to the disk that takes longer: checkpoints cannot be written


class CheckpointStore(Protocol):
    """Where checkpoints are stored; each call may block for as long as the disk does."""

    trouble: str | None

    def save(self, checkpoints: Sequence[tuple[str, bytes]]) -> bool:
        """Store the latest checkpoint of each of these streams; whether that is done."""

    def forget(self, names: Sequence[str]) -> bool:
        """These streams are over; whether that is done."""


class Observer(Protocol):
    """Receives every count as it happens."""

    def checkpointed(self, streams: int) -> None:
        """So many checkpoints were written."""

    def checkpoint_failed(self, streams: int) -> None:
        """So many checkpoints could not be written; they are tried again."""


class CheckpointWriter:
    """Used by one thread, which it never keeps waiting."""

    def __init__(
        self, store: CheckpointStore | None, observer: Observer, done: Callable[[], None]
    ) -> None:
        """``store`` None: nothing is stored. ``done`` is called, in another thread, when there may
        be more to do."""
        self.trouble: str | None = None  # why checkpoints are not on the disk
        self._store, self._observer, self._done = store, observer, done
        self._waiting: dict[str, bytes | None] = {}  # None: to be forgotten
        self._writing: dict[str, bytes | None] = {}
        self._then: list[Callable[[], None]] = []
        self._call: Future[bool] | None = None
        self._began = self._retry_at = 0.0
        self._disk = DiskThread("checkpoints")

    def add(self, checkpoints: Mapping[str, bytes | None]) -> None:
        """Write these; None: the stream's is to be forgotten."""
        if self._store is not None:
            self._waiting.update(checkpoints)

    def call_when_written(self, then: Callable[[], None]) -> None:
        """Call ``then`` once all that waits now has been written."""
        self._then.append(then)

    def step(self) -> None:
        """Take in what has been done, and begin with some of what waits."""
        now = monotonic()
        if not self._settle(now):
            return
        if not self._waiting:
            then, self._then = self._then, []
            for each in then:
                each()
        if not self._waiting or now < self._retry_at:
            return
        names = list(islice(self._waiting, SAVED))
        self._writing = {name: self._waiting.pop(name) for name in names}
        self._began = now
        self._call = self._disk.submit(self._write)
        self._call.add_done_callback(lambda _: self._done())

    def _write(self) -> bool:
        """In the disk's thread."""
        assert self._store is not None
        saved = [(name, state) for name, state in self._writing.items() if state is not None]
        gone = [name for name, state in self._writing.items() if state is None]
        stored = self._store.save(saved) if saved else True
        return (self._store.forget(gone) if gone else True) and stored

    def _settle(self, now: float) -> bool:
        """Whether the disk's thread is at rest."""
        if self._call is None:
            return True
        if not self._call.done():
            if now > self._began + STALLED_S:
                self._fail(f"the disk has not answered for {STALLED_S:g} s")
            return False
        stored, self._call = self._call.result(), None
        streams = sum(state is not None for state in self._writing.values())
        if stored:
            self._observer.checkpointed(streams)
            self._recover()
        else:
            self._observer.checkpoint_failed(streams)
            self._waiting = self._writing | self._waiting  # a later one wins
            self._retry_at = now + RETRY_S
            self._fail(self._store.trouble or "it is not known why" if self._store else "")
        self._writing = {}
        return True

    def _fail(self, why: str) -> None:
        if self.trouble is None:
            log.get().error("checkpoints cannot be written", why=why)
        self.trouble = why

    def _recover(self) -> None:
        if self.trouble is not None:
            log.get().warning("checkpoints are written again", why=self.trouble)
        self.trouble = None

    def finish(self, seconds: float) -> int:
        """Write what waits, for so long at most; how many checkpoints are not on the disk then."""
        end = monotonic() + seconds
        self.step()
        while self._call is not None and monotonic() < end:
            wait([self._call], end - monotonic())
            self.step()
        self._disk.close()
        left = self._waiting | self._writing
        return sum(state is not None for state in left.values())
