"""The streams' checkpoints on disk: the latest of each, so that a restart can go on with it.

Bytes under names; knows nothing of what they say. A checkpoint may be lost with the machine's
power, and then an older one, or none, is there: what must not be lost is in the journal.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from time import time_ns

from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.storage.sqlite import (
    close_database,
    identity,
    is_damage,
    is_out_of_reach,
    open_database,
    open_to_read,
    set_aside,
    set_aside_other,
    write_again,
)

VERSION = 1  # of the table
_TABLE = "CREATE TABLE streams (name TEXT PRIMARY KEY, state BLOB NOT NULL) STRICT"


class CheckpointStore:
    """Checkpoints in one SQLite file; to be used by one thread at a time, and each call may block
    for as long as the disk does."""

    def __init__(self, path: Path, clock: Callable[[], int] = time_ns) -> None:
        """Open ``path``, or begin it; ``clock`` gives UNIX time in ns.

        What is damaged, of another version or no regular file is set aside, to ``aside``, and a
        new one begun. Where the disk is full, or somebody locks the file, that is ``trouble``
        until it is over. Raises StartError where it cannot be had for another reason.
        """
        self._path, self._clock = path, clock
        self.aside: Path | None = None
        self.anew: str | None = None  # why there are no checkpoints, though there was a file
        self.trouble: str | None = None  # why the latest checkpoints are not on disk
        self._identity: tuple[int, int] | None = None
        self._database: sqlite3.Connection | None = None
        try:
            self._database = self._open()
        except (sqlite3.Error, OSError) as error:
            if not (isinstance(error, sqlite3.Error) and is_out_of_reach(error)):
                raise StartError(f"state.dir: cannot open {path}: {error}") from None
            self.trouble, self.anew = str(error), f"it cannot be read: {error}"

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
        if aside := set_aside_other(self._path, self._clock()):
            self.aside, self.anew = aside, "it was no regular file"
        existed = self._path.exists()
        try:
            database = open_database(self._path, synchronous="NORMAL")
            version = _version(database)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            database, version = self._begin_anew(f"it was damaged ({error})"), 0
        else:
            if version not in (0, VERSION):
                close_database(database)
                why = f"it was of version {version}, this beatgan reads {VERSION}"
                database = self._begin_anew(why)
            elif version == 0 and existed:
                self.anew = "it was empty"
        if version != VERSION:
            _make_table(database)
        self._identity = identity(self._path)
        return database

    def _begin_anew(self, why: str) -> sqlite3.Connection:
        self.aside, self.anew = set_aside(self._path, self._clock()), why
        return open_database(self._path, synchronous="NORMAL")

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


def read_checkpoints(path: Path) -> list[tuple[str, bytes]]:
    """Every checkpoint in the file at ``path``, which another process may be writing.

    Raises sqlite3.Error.
    """
    with closing(open_to_read(path)) as database:
        return database.execute("SELECT name, state FROM streams").fetchall()


def _version(database: sqlite3.Connection) -> int:
    """That of the table, 0 where there is none."""
    try:
        (version,) = database.execute("PRAGMA user_version").fetchone()
    except BaseException:
        close_database(database)
        raise
    return int(version)


def _make_table(database: sqlite3.Connection) -> None:
    try:
        database.execute("DROP TABLE IF EXISTS streams")
        database.execute(_TABLE)
        database.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        close_database(database)
        raise
