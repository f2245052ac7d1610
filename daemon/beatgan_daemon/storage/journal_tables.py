"""The journal's tables and every SQL statement on them. Raises what SQLite raises.

An alert is a number, a few keys and its bytes; knows nothing of what they say.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from beatgan.protocol.alert_journal import JournalEntry
from beatgan_daemon.exit_codes import StartError

VERSION = 1  # of the tables
_TABLES = (
    "CREATE TABLE alerts (n INTEGER PRIMARY KEY, id TEXT NOT NULL, stream TEXT NOT NULL,"
    " phase TEXT NOT NULL, at_ns INTEGER NOT NULL, body BLOB NOT NULL) STRICT",
    # The last message of every episode under way; its own copy, so that the start need not search
    # and retention cannot take it.
    "CREATE TABLE active (id TEXT PRIMARY KEY, n INTEGER NOT NULL, stream TEXT NOT NULL,"
    " phase TEXT NOT NULL, body BLOB NOT NULL) STRICT",
    "CREATE TABLE alarm_states (stream TEXT PRIMARY KEY, n INTEGER NOT NULL,"
    " state BLOB NOT NULL) STRICT",
    f"PRAGMA user_version = {VERSION}",
)
# How long the daemon had run, in all its lives, when ``n`` was the number of the next alert: alerts
# age by that, because the clock may jump. Journals made before have no such table.
_RUNNING_TIME = (
    "CREATE TABLE IF NOT EXISTS running_time"
    " (ran_ns INTEGER PRIMARY KEY, n INTEGER NOT NULL) STRICT"
)


class StoredState(NamedTuple):
    """A stream's alarms as they stood when ``n`` was the next alert's number."""

    stream: str
    n: int
    state: bytes


class JournalTables:
    """Alerts, active episodes and alarm states in one SQLite database."""

    def __init__(self, database: sqlite3.Connection) -> None:
        """Makes the tables where there are none. Raises StartError on those of another version."""
        self.database = database
        self.new = False  # there were none
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version == 0:
            self.new = True
            with self._transaction():
                for statement in (*_TABLES, _RUNNING_TIME):
                    database.execute(statement)
        elif version != VERSION:
            raise StartError(
                f"the journal's tables are of version {version}, this beatgan's of {VERSION}; "
                "upgrade it, or move the file away"
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing; on the disk when it is over."""
        self.database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.database.execute("COMMIT")
        except BaseException:
            if self.database.in_transaction:  # SQLite ends it by itself on some errors
                self.database.execute("ROLLBACK")
            raise

    def write(
        self,
        entries: Sequence[JournalEntry],
        states: Mapping[str, bytes | None],
        next_n: int,
        now_ns: int,
        active: Iterable[JournalEntry] | None = None,
    ) -> None:
        """Take in alerts and the alarm states after them (None: the stream is forgotten).

        ``active``: write this as the whole table of active episodes, whatever stood there.
        """
        with self._transaction():
            self.database.executemany(
                "INSERT OR REPLACE INTO alerts VALUES (?, ?, ?, ?, ?, ?)",
                [(e.n, e.id, e.stream, e.phase, now_ns, e.body) for e in entries],
            )
            if active is None:
                self._update_active(entries)
            else:
                self.database.execute("DELETE FROM active")
                self._activate(active)
            self._write_states(states, next_n)

    def _update_active(self, entries: Sequence[JournalEntry]) -> None:
        """Bring the active episodes up to date."""
        last = {entry.id: entry for entry in entries}
        over = [(entry.id,) for entry in last.values() if entry.ends_episode]
        self.database.executemany("DELETE FROM active WHERE id = ?", over)
        self._activate(entry for entry in last.values() if not entry.ends_episode)

    def _activate(self, entries: Iterable[JournalEntry]) -> None:
        self.database.executemany(
            "INSERT OR REPLACE INTO active VALUES (?, ?, ?, ?, ?)",
            [(e.id, e.n, e.stream, e.phase, e.body) for e in entries],
        )

    def _write_states(self, states: Mapping[str, bytes | None], next_n: int) -> None:
        gone = [(stream,) for stream, state in states.items() if state is None]
        self.database.executemany("DELETE FROM alarm_states WHERE stream = ?", gone)
        stored = [(name, next_n, state) for name, state in states.items() if state is not None]
        self.database.executemany("INSERT OR REPLACE INTO alarm_states VALUES (?, ?, ?)", stored)

    def since(self, n: int, limit: int) -> Iterator[tuple[int, bytes]]:
        """Numbers and bodies from ``n`` on, in order, at most ``limit``."""
        return iter(
            self.database.execute(
                "SELECT n, body FROM alerts WHERE n >= ? ORDER BY n LIMIT ?", (n, limit)
            )
        )

    def active(self) -> list[JournalEntry]:
        """The last message of every episode that is not over, in order of ``n``."""
        rows = self.database.execute("SELECT n, id, stream, phase, body FROM active ORDER BY n")
        return [JournalEntry(*row) for row in rows]

    def states(self) -> list[StoredState]:
        """The last alarm state of every stream."""
        rows = self.database.execute("SELECT stream, n, state FROM alarm_states")
        return [StoredState(*row) for row in rows]

    def span(self) -> tuple[int, int] | None:
        """The first and the last number stored; None where there is none."""
        first, last = self.database.execute(
            "SELECT (SELECT min(n) FROM alerts), (SELECT max(n) FROM alerts)"
        ).fetchone()
        return None if first is None else (first, last)

    def ran_ns(self) -> int:
        """How long the daemon had run, in all its lives, when that was last put down."""
        if not self._has_running_time():
            return 0
        (ran,) = self.database.execute("SELECT max(ran_ns) FROM running_time").fetchone()
        return ran or 0

    def _has_running_time(self) -> bool:
        tables = "SELECT count(*) FROM sqlite_master WHERE name = 'running_time'"
        return bool(self.database.execute(tables).fetchone()[0])

    def put_down_running_time(self, ran_ns: int, next_n: int, oldest_ns: int) -> None:
        """The daemon has run for so long now that ``next_n`` is the next alert's number.

        Nobody will ask `older_than` for a time before ``oldest_ns`` any more.
        """
        with self._transaction():
            self.database.execute(_RUNNING_TIME)
            self.database.execute(
                "INSERT OR IGNORE INTO running_time VALUES (?, ?)", (ran_ns, next_n)
            )
            self.database.execute(
                "DELETE FROM running_time WHERE ran_ns <"
                " (SELECT max(ran_ns) FROM running_time WHERE ran_ns <= ?)",
                (oldest_ns,),
            )

    def older_than(self, ran_ns: int) -> int:
        """All alerts below this number were written before the daemon had run for ``ran_ns``."""
        found = self.database.execute(
            "SELECT n FROM running_time WHERE ran_ns <= ? ORDER BY ran_ns DESC LIMIT 1", (ran_ns,)
        ).fetchone()
        return 0 if found is None else int(found[0])

    def drop(self, oldest: int, before_n: int | None) -> int:
        """Delete the ``oldest`` so many alerts, but none from number ``before_n`` on.

        How many there were.
        """
        bound = 2**63 - 1 if before_n is None else before_n
        (last,) = self.database.execute(
            "SELECT max(n) FROM (SELECT n FROM alerts WHERE n < ? ORDER BY n LIMIT ?)",
            (bound, oldest),
        ).fetchone()
        if last is None:
            return 0
        with self._transaction():
            return self.database.execute("DELETE FROM alerts WHERE n <= ?", (last,)).rowcount
