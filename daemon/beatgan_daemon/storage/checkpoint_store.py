"""The streams' checkpoints on disk: the latest of each, so that a restart can go on with it.

Bytes under names; knows nothing of what they say. A checkpoint may be lost with the machine's
power, and then an older one, or none, is there: what must not be lost is in the journal.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import time_ns

from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.storage.sqlite import (
    close_database,
    identity,
    is_damage,
    open_database,
    set_aside,
    write_again,
)

VERSION = 1  # of the table
_TABLE = "CREATE TABLE streams (name TEXT PRIMARY KEY, state BLOB NOT NULL) STRICT"


class CheckpointStore:
    """Checkpoints in one SQLite file; to be used by one thread at a time, and each call may block
    for as long as the disk does."""

    def __init__(self, path: Path, clock: Callable[[], int] = time_ns) -> None:
        """Open ``path``, or begin it; ``clock`` gives UNIX time in ns.

        A damaged file is set aside, to ``aside``, and a new one begun. Raises
        StartError where that cannot be done.
        """
        self._path, self._clock = path, clock
        self.aside: Path | None = None
        self.trouble: str | None = None  # why the latest checkpoints are not on disk
        self._identity: tuple[int, int] | None = None
        self._database: sqlite3.Connection | None
        try:
            self._database = self._open()
        except (sqlite3.Error, OSError) as error:
            raise StartError(f"state.dir: cannot open {path}: {error}") from None

    def save(self, checkpoints: Sequence[tuple[str, bytes]]) -> bool:
        """Replace these streams' checkpoints, all or none; whether they are on the disk, and
        ``trouble`` says why not. Raises nothing."""
        return self._write("INSERT OR REPLACE INTO streams VALUES (?, ?)", checkpoints)

    def forget(self, names: Sequence[str]) -> bool:
        """Drop these streams' checkpoints; likewise."""
        return self._write("DELETE FROM streams WHERE name = ?", [(name,) for name in names])

    def check(self) -> bool:
        """Make the file again, as it was, where it was removed or replaced; whether it could be
        had. Raises nothing."""
        try:
            self._restore_file(self._ready())
        except (sqlite3.Error, OSError) as error:
            self.trouble = str(error)
            return False
        return True

    def _restore_file(self, database: sqlite3.Connection) -> None:
        if identity(self._path) == self._identity:
            return
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        write_again(database, self._path, self._clock())
        self._database = None
        self._ready()

    def load(self) -> list[tuple[str, bytes]]:
        """Every checkpoint there is; none where the file is found to be damaged."""
        try:
            return self._ready().execute("SELECT name, state FROM streams").fetchall()
        except (sqlite3.Error, OSError) as error:
            self._recover(error)
            return []

    def close(self) -> None:
        """Free the file."""
        if self._database is not None:
            close_database(self._database)

    def _ready(self) -> sqlite3.Connection:
        """The database, opened again if that failed before."""
        if self._database is None:
            self._database = self._open()
        return self._database

    def _open(self) -> sqlite3.Connection:
        try:
            database = _opened(self._path)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            self.aside = set_aside(self._path, self._clock())
            database = _opened(self._path)
        self._identity = identity(self._path)
        return database

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> bool:
        if not self.check():
            return False
        try:
            database = self._ready()
            database.execute("BEGIN IMMEDIATE")
            database.executemany(statement, rows)
            database.execute("COMMIT")
            self.trouble = None
            return True
        except (sqlite3.Error, OSError) as error:
            self._recover(error)
            return False

    def _recover(self, error: Exception) -> None:
        """After a failure: begin anew where the file is damaged, else wait for a better day."""
        self.trouble = str(error)
        database = self._database
        if database is None:
            return
        with suppress(sqlite3.Error):
            database.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error) and is_damage(error):
            close_database(database)
            self._database = None  # the next use sets it aside


def _opened(path: Path) -> sqlite3.Connection:
    """The database with its table; a checkpoint of another version is of no use to anybody."""
    database = open_database(path, synchronous="NORMAL")
    try:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version != VERSION:
            database.execute("DROP TABLE IF EXISTS streams")
            database.execute(_TABLE)
            database.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        close_database(database)
        raise
    return database
