"""What waits for the journal, put meanwhile into a file beside it by a thread of its own.

A kill then loses neither alerts nor their numbers. Knows not why they wait.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from time import monotonic

from beatgan.protocol.alert_journal import JournalEntry
from beatgan_daemon.storage.disk_thread import DiskThread
from beatgan_daemon.storage.sequence_file import SequenceFile
from beatgan_daemon.storage.spool_file import Spooled, SpoolFile, joined

SPOOL_S = 0.1  # for the file to take something, before its alerts are sent all the same


class Spool:
    """The alerts that wait, and the number of the next one; used by one thread at a time."""

    def __init__(self, path: Path, sequence: SequenceFile) -> None:
        """``path``: the file; ``sequence``: where the next number is put down."""
        self.path = path
        self._file, self._sequence = SpoolFile(path), sequence
        self._thread = DiskThread("spool")
        self._unwritten: list[Spooled] = []
        self._call: Future[None] | None = None  # the latest of the thread's
        self._used = self._incomplete = False  # since nothing waited

    def read(self) -> list[Spooled]:
        """What a daemon that was killed left in it, in order."""
        found = self._file.read()
        self._used = bool(found)
        return found

    def add(
        self, entries: Sequence[JournalEntry], states: Mapping[str, bytes | None], next_n: int
    ) -> None:
        """Take in what waits from now on too, and the next number. Waits for SPOOL_S at most."""
        self._unwritten.append(Spooled(entries, states))
        self.write(next_n)

    def write(self, next_n: int) -> None:
        """Write what it has taken in, unless the thread is still busy with what was before."""
        if self._call is None or self._call.done():
            waiting, self._unwritten = self._unwritten, []
            self._used = True
            self._call = self._thread.submit(lambda: self._write(waiting, next_n))
            wait([self._call], SPOOL_S)

    def _write(self, waiting: Sequence[Spooled], next_n: int) -> None:
        self._sequence.write(next_n)
        try:
            self._file.add(joined(waiting))
        except OSError:  # as full as the journal's disk
            self._incomplete = True

    def miss(self) -> None:
        """Some of what waits is given up: the file is no longer all of it."""
        self._unwritten.clear()
        self._incomplete = True

    def clear(self) -> None:
        """All that waited is in the journal."""
        self._unwritten.clear()
        if self._used:
            self._thread.submit(self._file.clear)
        self._used = self._incomplete = False

    @property
    def complete(self) -> bool:
        """Whether all that waits is in the file, from which the next start will write it."""
        if not self._used or self._incomplete or self._unwritten:
            return False
        return self._call is None or self._call.done()

    def settle(self, end: float) -> None:
        """Until the thread is at rest, or the time ``end``; for SPOOL_S at least."""
        if self._call is not None:
            wait([self._call], max(SPOOL_S, end - monotonic()))

    def close(self) -> None:
        """End its thread once all is written."""
        self._thread.close()
