"""Every alert on the disk before it is sent, and what is needed to go on after a restart.

Reports a failing disk, raises nothing because of it, and writes what is missing once the disk works
again. Knows no socket and nothing of what an alert means.
"""

import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from time import time_ns

from beatgan.protocol.control import JournalEntry
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.storage import sqlite
from beatgan_daemon.storage.journal_tables import JournalTables, StoredState
from beatgan_daemon.storage.sequence_file import SequenceFile

BACKLOG_BYTES = 64 * 2**20  # of alerts that wait in memory for the disk; the oldest go first
AT_ONCE = 1_000  # alerts of the backlog in one transaction
STEP = 500  # alerts deleted in one transaction
PAGES = 500  # given back to the file system at a time
IN_MEMORY_MB = 16.0
DAY_NS = 86_400 * 10**9
MEBIBYTE = 2**20


class Journal:
    """The alerts of one daemon; used by one thread at a time.

    ``path`` None stores them in memory, as long as the daemon lives.
    """

    def __init__(
        self, path: Path | None, report: Callable[[str], None], now_ns: Callable[[], int] = time_ns
    ) -> None:
        """``report`` is called with what an operator should know; ``now_ns`` is UNIX time.

        A damaged file is set aside. Raises StartError where the directory is not there or not to
        be written to, another daemon uses it, or the file is of another version.
        """
        self.trouble: str | None = None  # why alerts are not on the disk
        self.failures = 0  # attempts to write that failed
        self.unjournaled = 0  # alerts that never will be on the disk
        self.bytes = 0  # on the disk
        self._path, self._report, self._now_ns = path, report, now_ns
        self._active: dict[str, JournalEntry] = {}
        self._oldest: int | None = None  # on the disk
        self._backlog: deque[JournalEntry] = deque()
        self._backlog_bytes = 0
        self._states: dict[str, bytes | None] = {}  # of the backlog
        self._tables: JournalTables | None = None
        self._sequence_file = None if path is None else SequenceFile(path.with_suffix(".n"))
        try:
            salvaged = self._start()
        except BaseException:
            self.close()
            raise
        self.next_n = max(salvaged, self._sequence_file.read() if self._sequence_file else 0)

    def _start(self) -> int:
        """Open what is there, or set it aside; the next number as far as the file knows it."""
        try:
            return self._resume()
        except sqlite3.Error as error:
            if sqlite.is_out_of_reach(error):  # monitoring begins all the same
                self._fail(error)
                return 0
            if not sqlite.is_damage(error):
                raise StartError(f"{self._path}: cannot open the journal: {error}") from None
            damage = error
        try:
            self._set_aside(damage)
            return self._resume()
        except (sqlite3.Error, OSError) as error:
            raise StartError(f"{self._path}: cannot begin a new journal: {error}") from None

    def _resume(self) -> int:
        self._tables = tables = self._open()
        try:
            self._active = {entry.id: entry for entry in tables.active()}
            span = tables.span()
        except sqlite3.Error:
            self._close_tables()
            raise
        self._measure()
        known = [entry.n for entry in self._active.values()]
        return max(*known, -1, -1 if span is None else span[1]) + 1

    def _open(self) -> JournalTables:
        opened = sqlite.open_database(self._path)
        try:
            return JournalTables(opened)
        except BaseException:
            sqlite.close_database(opened)
            raise

    # --- what is written --------------------------------------------------------------------

    def append(
        self, entries: Sequence[JournalEntry], states: Mapping[str, bytes | None], now_ns: int
    ) -> None:
        """Take in alerts, in order of ``n``, with the alarm states of streams after them.

        Returns when they are on the disk; where that fails they wait in memory (`retry_backlog`).
        A state of None forgets the stream's.
        """
        for entry in entries:
            self._update_active(entry)
        if not self._written(entries, states, now_ns):
            self._postpone(entries, states)
        if self._sequence_file is not None and entries:
            self._sequence_file.write(self.next_n)

    def _update_active(self, entry: JournalEntry) -> None:
        self.next_n = entry.n + 1
        self._active.pop(entry.id, None)
        if not entry.ends_episode:
            self._active[entry.id] = entry  # at the end: they are in order of n

    def _written(
        self, entries: Sequence[JournalEntry], states: Mapping[str, bytes | None], now_ns: int
    ) -> bool:
        if self.trouble is not None or self._tables is None:
            return False
        try:
            self._tables.write(entries, states, self.next_n, now_ns)
        except sqlite3.Error as error:
            self._fail(error)
            return False
        if self._oldest is None and entries:
            self._oldest = entries[0].n
        return True

    def _postpone(
        self, entries: Sequence[JournalEntry], states: Mapping[str, bytes | None]
    ) -> None:
        self._backlog.extend(entries)
        self._states.update(states)
        self._backlog_bytes += sum(len(entry.body) for entry in entries)
        while self._backlog_bytes > BACKLOG_BYTES:
            self._backlog_bytes -= len(self._backlog.popleft().body)
            self.unjournaled += 1

    def retry_backlog(self, now_ns: int) -> bool:
        """Write some of what waits, if the disk takes it; to be called about once a second.

        Whether there is more to write at once.
        """
        more = False
        if self.trouble is not None:
            try:
                more = self._catch_up(now_ns)
            except (sqlite3.Error, OSError) as error:
                self._fail(error)
        self._measure()
        return more

    def _catch_up(self, now_ns: int) -> bool:
        """The oldest that wait; whether there are more."""
        if self._tables is None:
            self._tables = self._open()
        entries = list(islice(self._backlog, AT_ONCE))
        if len(entries) < len(self._backlog):
            self._tables.write(entries, {}, self.next_n, now_ns)
            self._take_off(entries)
            return True
        # The table of active episodes may have missed some that waited and were given up.
        active = self._active.values()
        self._tables.write(entries, self._states, self.next_n, now_ns, active)
        self._take_off(entries)
        self._states.clear()
        missing = f", {self.unjournaled} alerts are missing in it" if self.unjournaled else ""
        self._report(f"the journal is written again{missing}; it was not, because: {self.trouble}")
        self.trouble = None
        return False

    def _take_off(self, entries: Sequence[JournalEntry]) -> None:
        for entry in entries:
            self._backlog.popleft()
            self._backlog_bytes -= len(entry.body)

    # --- what goes wrong ----------------------------------------------------------------------

    def _fail(self, error: sqlite3.Error | OSError) -> None:
        """Say why, once, and get a damaged file out of the way."""
        self.failures += 1
        if self.trouble is None:
            self._report(f"the journal cannot be written, alerts wait in memory: {error}")
        self.trouble = str(error)
        if isinstance(error, sqlite3.Error) and sqlite.is_damage(error):
            with suppress(OSError):
                self._set_aside(error)

    def _set_aside(self, error: sqlite3.Error) -> None:
        """Set the damaged file aside. Raises OSError."""
        self._close_tables()
        if self._path is not None:
            aside = sqlite.set_aside(self._path, self._now_ns())
            self._report(
                f"the journal was damaged ({error}); set aside as {aside}, a new one begun"
            )

    def _close_tables(self) -> None:
        if self._tables is not None:
            sqlite.close_database(self._tables.database)
            self._tables = None

    # --- what is read -------------------------------------------------------------------------

    def since(self, n: int, limit: int) -> Iterator[tuple[int, bytes]]:
        """Numbers and JSON of the alerts from ``n`` on, in order, at most ``limit``.

        To be used up before the journal is written to. Where the file is found to be damaged,
        what is left of it is missing.
        """
        waiting = ((entry.n, entry.body) for entry in self._backlog if entry.n >= n)
        return islice(chain(self._stored(n, limit), waiting), limit)

    def _stored(self, n: int, limit: int) -> Iterator[tuple[int, bytes]]:
        if self._tables is None:
            return
        try:
            yield from self._tables.since(n, limit)
        except sqlite3.Error as error:
            self._fail(error)

    def active(self) -> Sequence[JournalEntry]:
        """The last alert of every episode under way, in order of ``n``."""
        return tuple(self._active.values())

    def find(self, episode: str) -> JournalEntry | None:
        """The last alert of one episode under way."""
        return self._active.get(episode)

    def states(self) -> list[StoredState]:
        """The last alarm state of every stream; asked for at the start."""
        try:
            return [] if self._tables is None else self._tables.states()
        except sqlite3.Error as error:
            self._fail(error)
            return []

    @property
    def oldest(self) -> int:
        """The number of the oldest alert stored; the next one's where there is none."""
        if self._oldest is not None:
            return self._oldest
        return self._backlog[0].n if self._backlog else self.next_n

    @property
    def backlog(self) -> int:
        """Alerts that wait in memory for the disk."""
        return len(self._backlog)

    def _measure(self) -> None:
        """What is not asked for at each alert."""
        with suppress(sqlite3.Error):
            if self._tables is not None:
                span = self._tables.span()
                self._oldest = span[0] if span else None
                self.bytes = self._tables.size()

    # --- what is given up ----------------------------------------------------------------------

    def retain(self, keep_days: float, keep_mb: float, now_ns: int) -> bool:
        """Delete some of the alerts that are older than ``keep_days`` or beyond ``keep_mb`` MiB
        (in memory IN_MEMORY_MB at most).

        The oldest first, a few at a time; whether there is more to do. Episodes under way keep
        their last alert, see `active`.
        """
        if self._path is None:
            keep_mb = min(keep_mb, IN_MEMORY_MB)
        if self.trouble is not None or self._tables is None:
            return False
        try:
            return self._prune(self._tables, keep_mb * MEBIBYTE, now_ns - keep_days * DAY_NS)
        except sqlite3.Error as error:
            self._fail(error)
            return False

    def _prune(self, tables: JournalTables, most: float, before_ns: float) -> bool:
        full = tables.used() > most
        dropped = tables.drop(STEP, None if full else int(before_ns))
        before = tables.size()
        if dropped or before > most:
            tables.shrink(PAGES)
        self._measure()
        return dropped == STEP or most < self.bytes < before

    def close(self) -> None:
        """One more attempt to write what waits, then free the file; again does nothing."""
        if self._path is not None and self._sequence_file is None:
            return
        while self.trouble is not None and self.retry_backlog(self._now_ns()):
            pass
        self._close_tables()
        if self._sequence_file is not None:
            self._sequence_file.close()
            self._sequence_file = None
