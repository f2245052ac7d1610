"""The journal's files: opened, written and read, set aside where damaged, made again where removed.

Every call may block for as long as the disk does, and is made on one thread at a time. Knows how
files fail; what is held in memory is the journal's.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from beatgan.protocol.alert_journal import JournalEntry
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.storage import sqlite
from beatgan_daemon.storage.journal_tables import JournalTables, StoredState
from beatgan_daemon.storage.sequence_file import MAX_NUMBER, SequenceFile

STEP = 500  # alerts deleted in one transaction
PAGES = 500  # given back to the file system at a time
LONGEST_NS = 2**62  # that a daemon has run: 146 years
HOUR_NS = 3_600 * 10**9  # between two times that the running time is put down, at the most
SHARE = 50  # of the time that alerts are kept: likewise


class Found(NamedTuple):
    """What stood in the files at the start."""

    next_n: int
    active: list[JournalEntry]
    oldest: int | None
    new: bool  # there was no journal, or an empty file


class Written(NamedTuple):
    """To be written in one transaction.

    ``states``: alarm states of streams after ``entries``, None: forgotten. ``active``: the whole
    table of active episodes, where it may be wrong on the disk.
    """

    entries: Sequence[JournalEntry]
    states: Mapping[str, bytes | None]
    next_n: int
    now_ns: int
    active: Iterable[JournalEntry] | None


class Size(NamedTuple):
    """What the file holds."""

    oldest: int | None
    bytes: int


class Pruned(NamedTuple):
    """What was deleted, why, and whether there is more to do."""

    size: Size
    deleted: int = 0
    reason: str = "age"  # or size
    more: bool = False


class JournalFile:
    """``journal.db`` and ``journal.n``; in memory for a ``path`` of None."""

    def __init__(
        self, path: Path | None, report: Callable[[str], None], now_ns: Callable[[], int]
    ) -> None:
        """Locks the directory. Raises StartError where it is not there or not to be written to, or
        another daemon uses it."""
        self.tables: JournalTables | None = None
        self.ran_ns = 0  # how long the daemon had run before this life of it
        self.sequence = None if path is None else SequenceFile(path.with_suffix(".n"))
        self._path, self._report, self._now_ns = path, report, now_ns
        self._identity: tuple[int, int] | None = None
        self._put_down_ns: int | None = None  # the running time, when it was last put down

    def start(self) -> Found:
        """Open what is there, and set it aside where it is damaged.

        Raises sqlite3.Error where the disk is full or fails, and StartError on a file of another
        version.
        """
        try:
            return self._resume()
        except sqlite3.Error as error:
            if sqlite.is_out_of_reach(error):
                raise
            if not sqlite.is_damage(error):
                raise StartError(f"{self._path}: cannot open the journal: {error}") from None
            damage = error
        except OSError as error:
            raise StartError(f"{self._path}: cannot be set aside: {error.strerror}") from None
        try:
            self._set_aside(damage)
            return self._resume()._replace(new=False)  # that was said
        except (sqlite3.Error, OSError) as error:
            raise StartError(f"{self._path}: cannot begin a new journal: {error}") from None

    def _resume(self) -> Found:
        tables = self._ready()
        try:
            active, span = tables.active(), tables.span()
        except sqlite3.Error:
            self._close_tables()
            raise
        known = [entry.n for entry in active]
        following = max(*known, -1, -1 if span is None else span[1]) + 1
        if following > MAX_NUMBER or not 0 <= self.ran_ns <= LONGEST_NS:
            self._close_tables()
            self.ran_ns = 0
            raise sqlite3.DatabaseError("malformed: its numbers are out of range")
        return Found(following, active, None if span is None else span[0], tables.new)

    def _ready(self) -> JournalTables:
        """The tables, opened if need be."""
        if self.tables is None:
            self._make_room()
            opened = sqlite.open_database(self._path)
            try:
                self.tables = JournalTables(opened)
                self.ran_ns = max(self.ran_ns, self.tables.ran_ns())
            except BaseException:
                self.tables = None
                sqlite.close_database(opened)
                raise
            self._identity = None if self._path is None else sqlite.identity(self._path)
        return self.tables

    def _make_room(self) -> None:
        """Raises OSError where something else lies in the file's place and cannot be moved."""
        if self._path is not None and (aside := sqlite.set_aside_other(self._path, self._now_ns())):
            self._report(f"{self._path} was no regular file; set aside as {aside}")

    # --- what is written ----------------------------------------------------------------------

    def write(self, written: Written) -> None:
        """All or nothing; on the disk when it returns. The next number is put down in any case.

        Raises sqlite3.Error or StartError.
        """
        try:
            with self._out_of_the_way():
                self._ready().write(*written)
        finally:
            if self.sequence is not None:
                self.sequence.write(written.next_n)

    def check_and_write(self, written: Written | None) -> bool:
        """First `check`, then `write` if there is something to write; what `check` says.

        Raises sqlite3.Error, OSError or StartError.
        """
        displaced = self.check()
        if written is not None:
            self.write(written)
        return displaced

    @contextmanager
    def _out_of_the_way(self) -> Iterator[None]:
        """Where the file is found to be damaged, it is set aside; the next call begins anew."""
        try:
            yield
        except sqlite3.Error as error:
            if sqlite.is_damage(error):
                with suppress(OSError):
                    self._set_aside(error)
            raise

    def _set_aside(self, error: sqlite3.Error) -> None:
        """Set the damaged file aside. Raises OSError."""
        self._close_tables()
        if self._path is not None:
            aside = sqlite.set_aside(self._path, self._now_ns())
            self._report(
                f"the journal was damaged ({error}); set aside as {aside}, a new one begun"
            )

    def _close_tables(self) -> None:
        if self.tables is not None:
            sqlite.close_database(self.tables.database)
            self.tables = None

    def check(self) -> bool:
        """Whether a file was no longer where it was: it is now, as it was.

        Raises sqlite3.Error, OSError or StartError where it cannot be.
        """
        if self._path is None or self.sequence is None:
            return False
        lock, tables = self.sequence.displaced(), self.tables
        moved = tables is not None and sqlite.identity(self._path) != self._identity
        if not lock and not moved:
            return False
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        if lock:
            self.sequence.reopen()
        if moved and tables is not None:
            sqlite.write_again(tables.database, self._path, self._now_ns())
            self.tables = None
            self._ready()
        self._report(
            f"{self._path.parent}: files of the journal were removed or replaced while in use; "
            "they were written again, as they had been"
        )
        return True

    # --- what is read -------------------------------------------------------------------------

    def since(self, n: int, limit: int) -> list[tuple[int, bytes]]:
        """Numbers and bodies from ``n`` on, in order, at most ``limit``. Raises sqlite3.Error."""
        if self.tables is None:
            return []
        with self._out_of_the_way():
            return list(self.tables.since(n, limit))

    def states(self) -> list[StoredState]:
        """The last alarm state of every stream. Raises sqlite3.Error."""
        with self._out_of_the_way():
            return [] if self.tables is None else self.tables.states()

    def size(self) -> Size:
        """What it holds now. Raises sqlite3.Error."""
        if self.tables is None:
            return Size(None, 0)
        span = self.tables.span()
        return Size(None if span is None else span[0], sqlite.size(self.tables.database))

    # --- what is given up ---------------------------------------------------------------------

    def prune(self, keep_ns: int, most_bytes: float, ran_ns: int, next_n: int) -> Pruned:
        """Delete some alerts that are older than ``keep_ns`` or beyond ``most_bytes``.

        ``ran_ns``: how long the daemon has run, in all its lives; alerts age by nothing else.
        Raises sqlite3.Error.
        """
        with self._out_of_the_way():
            if self.tables is None:
                return Pruned(Size(None, 0))
            self._put_down_running_time(self.tables, keep_ns, ran_ns, next_n)
            full = sqlite.used(self.tables.database) > most_bytes
            end = None if full else self.tables.older_than(ran_ns - keep_ns)
            deleted = self.tables.drop(STEP, end)
            before = sqlite.size(self.tables.database)
            if deleted or before > most_bytes:
                sqlite.shrink(self.tables.database, PAGES)
            size = self.size()
            more = deleted == STEP or most_bytes < size.bytes < before
            return Pruned(size, deleted, "size" if full else "age", more)

    def _put_down_running_time(
        self, tables: JournalTables, keep_ns: int, ran_ns: int, next_n: int
    ) -> None:
        last, every = self._put_down_ns, min(HOUR_NS, keep_ns // SHARE)
        if last is None or ran_ns >= last + every:
            tables.put_down_running_time(ran_ns, next_n, ran_ns - keep_ns)
            self._put_down_ns = ran_ns

    def close(self) -> None:
        """Free the files."""
        self._close_tables()
        if self.sequence is not None:
            self.sequence.close()
