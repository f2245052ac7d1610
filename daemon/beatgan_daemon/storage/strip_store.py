"""Strips of ECG, one for each alarm: `strips.db`, kept for days and within a size.

Every call may block for as long as the disk does, and is made on one thread at a time. A strip is
a few keys and bytes; knows nothing of what these say.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from time import time_ns
from typing import Final, NamedTuple, TypeVar

from beatgan.errors import UsageError
from beatgan_daemon.storage import sqlite

NAME: Final = "strips.db"
VERSION: Final = 1  # of the table
DAY_NS: Final = 86_400 * 10**9
MEBIBYTE: Final = 2**20
STEP, PAGES = 20, 500  # strips deleted, and pages given back to the file system, at a time
_TABLE = (
    "CREATE TABLE IF NOT EXISTS strips (number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL,"
    " stream TEXT NOT NULL, epoch INTEGER NOT NULL, onset INTEGER NOT NULL,"
    " begin INTEGER NOT NULL, end INTEGER NOT NULL,"
    " stored_ns INTEGER NOT NULL, note TEXT NOT NULL, frames BLOB NOT NULL, beats BLOB NOT NULL)"
    " STRICT"
)
_KEYS = "id, stream, epoch, onset, begin, end, note, frames, beats"
_WRITE = f"INSERT OR REPLACE INTO strips ({_KEYS}, stored_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
AnswerT = TypeVar("AnswerT")


class StoredStrip(NamedTuple):
    """Of the alarm ``id``: the source's samples from ``begin`` to ``end``, in whole frames.

    ``note``: what is missing, and why. Without any frame ``frames`` is empty.
    """

    id: str
    stream: str
    epoch: int
    onset: int
    begin: int
    end: int
    note: str
    frames: bytes
    beats: bytes


class Kept(NamedTuple):
    """How many strips there are, and the bytes of the file."""

    strips: int
    bytes: int


class StripStore:
    """The file, opened when it is first needed."""

    def __init__(
        self,
        directory: Path,
        keep_days: float,
        keep_mb: float,
        report: Callable[[str], None] = lambda _: None,
        now_ns: Callable[[], int] = time_ns,
    ) -> None:
        """``report`` is told where a file had to be begun anew."""
        self.path = directory / NAME
        self._keep_ns, self._most = round(keep_days * DAY_NS), keep_mb * MEBIBYTE
        self._report, self._now_ns = report, now_ns
        self._database: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def _ask(self, question: Callable[[sqlite3.Connection], AnswerT]) -> AnswerT:
        """Its answer; a file that is found to be damaged is set aside, and another one asked."""
        try:
            return question(self._open())
        except sqlite3.Error as error:
            if not sqlite.is_damage(error):
                raise
            self.close()
            aside = sqlite.set_aside(self.path, self._now_ns())
            self._report(f"{self.path} was damaged ({error}); set aside as {aside}")
        return question(self._open())

    def _open(self) -> sqlite3.Connection:
        if self._database is not None and sqlite.identity(self.path) != self._identity:
            self.close()  # nobody would find what is written to a file that is not there
            self._report(f"{self.path} was removed or replaced; what lies there now is used")
        if self._database is None:
            self._database = self._opened()
            self._identity = sqlite.identity(self.path)
        return self._database

    def _opened(self) -> sqlite3.Connection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.touch(mode=0o600)
        self.path.chmod(0o600)  # its -wal and -shm get the same
        database = sqlite.open_database(self.path, "NORMAL")
        try:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version not in (0, VERSION):
                raise sqlite3.DatabaseError(f"{self.path} is of version {version}, not {VERSION}")
            if version == 0:
                database.execute(_TABLE)
                database.execute(f"PRAGMA user_version = {VERSION}")
        except BaseException:
            sqlite.close_database(database)
            raise
        return database

    def write(self, strip: StoredStrip) -> Kept:
        """Store it, and give up what is too old or too much. Raises sqlite3.Error or OSError."""
        row = (*strip, self._now_ns())
        self._ask(lambda database: database.execute(_WRITE, row))
        return self.prune()

    def prune(self) -> Kept:
        """Give up what is too old or too much. Raises sqlite3.Error or OSError."""
        return self._ask(self._prune)

    def _prune(self, database: sqlite3.Connection) -> Kept:
        oldest_ns = self._now_ns() - self._keep_ns
        database.execute("DELETE FROM strips WHERE stored_ns < ?", (oldest_ns,))
        while sqlite.used(database) > self._most:
            deleted = database.execute(
                "DELETE FROM strips WHERE number IN"
                " (SELECT number FROM strips ORDER BY number LIMIT ?)",
                (STEP,),
            )
            if not deleted.rowcount:
                break
        sqlite.shrink(database, PAGES)
        (strips,) = database.execute("SELECT count(*) FROM strips").fetchone()
        return Kept(strips, sqlite.size(database))

    def read(self, episode: str) -> StoredStrip | None:
        """The strip of one alarm; None where there is none. Raises sqlite3.Error or OSError."""
        return self._ask(lambda database: _read(database, episode))

    def close(self) -> None:
        """Free the file."""
        if self._database is not None:
            sqlite.close_database(self._database)
            self._database = None


def _read(database: sqlite3.Connection, episode: str) -> StoredStrip | None:
    found = database.execute(f"SELECT {_KEYS} FROM strips WHERE id = ?", (episode,))
    row = found.fetchone()
    return None if row is None else StoredStrip(*row)


def read_stored(directory: Path, episode: str) -> StoredStrip | None:
    """The strip of one alarm in a folder that a page's server may be writing to.

    Raises UsageError where the folder has no strips that can be read.
    """
    path = directory / NAME
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            return _read(database, episode)
    except sqlite3.Error as error:
        raise UsageError(f"--strips {directory}: {NAME} cannot be read: {error}") from None
