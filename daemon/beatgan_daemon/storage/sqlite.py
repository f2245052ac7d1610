"""SQLite files of the state directory: opened, checked, set aside where damaged, written again
where removed.

Knows how SQLite fails; knows no table.
"""

import os
import re
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

COMPANIONS = ("", "-wal", "-shm")  # what SQLite lays beside a database in WAL mode
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_OUT_OF_REACH = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY}
BUSY_S = 0.2  # to wait for somebody else's lock, an operator's shell for example
_PRIMARY = 0xFF  # the primary result code within an extended one


def open_database(
    path: Path | None, synchronous: Literal["FULL", "NORMAL"] = "FULL"
) -> sqlite3.Connection:
    """The database at ``path``, created where there is none; in memory for None.

    Transactions are begun and ended by hand; space that is no longer needed can be given back by
    ``PRAGMA incremental_vacuum``. May be handed to another thread, not shared with it.
    Raises sqlite3.Error, among it what `is_damage` knows.
    """
    database = sqlite3.connect(
        ":memory:" if path is None else path,
        timeout=BUSY_S,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        _check(database)  # before anything is written to it
        if database.execute("PRAGMA page_count").fetchone() == (0,):
            database.execute("PRAGMA auto_vacuum = INCREMENTAL")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(f"PRAGMA synchronous = {synchronous}")
        database.execute("PRAGMA journal_size_limit = 4194304")  # bytes of -wal left for reuse
    except BaseException:
        close_database(database)
        raise
    return database


def open_to_read(path: Path) -> sqlite3.Connection:
    """The database at ``path``, which another process may be writing. Raises sqlite3.Error."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)


def _check(database: sqlite3.Connection) -> None:
    """Reads the whole file, some 1 GB a second; indices are not compared with their tables."""
    (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(f"malformed: {found}")


def close_database(database: sqlite3.Connection) -> None:
    """Free the file; what an open transaction wrote is undone."""
    with suppress(sqlite3.Error):
        database.close()


def used(database: sqlite3.Connection) -> int:
    """Bytes of the pages in use."""
    return size(database) - _pragma(database, "freelist_count") * _pragma(database, "page_size")


def size(database: sqlite3.Connection) -> int:
    """Bytes of the file, without its -wal."""
    return _pragma(database, "page_count") * _pragma(database, "page_size")


def shrink(database: sqlite3.Connection, pages: int) -> None:
    """Give so many unused pages back to the file system."""
    database.executescript(f"PRAGMA incremental_vacuum({pages})")  # execute: one page


def _pragma(database: sqlite3.Connection, name: str) -> int:
    (value,) = database.execute(f"PRAGMA {name}").fetchone()
    return int(value)


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is not what it should be."""
    code = _code(error)
    if code == sqlite3.SQLITE_ERROR:  # our statements are right: the tables are not
        return re.match("no such (table|column)|table .* has ", str(error)) is not None
    return code in _DAMAGE if code is not None else type(error) is sqlite3.DatabaseError  # _check


def is_out_of_reach(error: sqlite3.Error) -> bool:
    """Whether the disk is full or fails, or the file is locked: it may recover by itself."""
    return _code(error) in _OUT_OF_REACH


def _code(error: sqlite3.Error) -> int | None:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & _PRIMARY


def identity(path: Path) -> tuple[int, int] | None:
    """Which file lies at ``path``: its device and inode; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def set_aside_other(path: Path, now_ns: int) -> Path | None:
    """Set aside what lies at ``path``, or beside it, and can be no file of ours: a directory, a
    FIFO, a device or a link to one or to nothing.

    Where it is now; None: there was no such thing. Raises OSError.
    """
    for companion in (path.with_name(path.name + each) for each in COMPANIONS):
        if os.path.lexists(companion) and not companion.is_file():
            return set_aside(path, now_ns, "replaced")
    return None


def write_again(database: sqlite3.Connection, path: Path, now_ns: int) -> None:
    """Bring to ``path`` what ``database`` holds, whose file was removed from there, and close it.

    The system keeps a removed file as long as it is open. What lies at ``path`` meanwhile is set
    aside. Raises sqlite3.Error or OSError; ``database`` is open then.
    """
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with closing(sqlite3.connect(new)) as copy:
        database.backup(copy)
    if os.path.lexists(path):
        set_aside(path, now_ns, "replaced")
    close_database(database)  # before the new one lies there: closing removes the -wal of that name
    for companion in COMPANIONS[1:]:  # unless the file was moved; it is in the copy
        path.with_name(path.name + companion).unlink(missing_ok=True)
    new.rename(path)


def set_aside(path: Path, now_ns: int, why: str = "damaged") -> Path:
    """Rename a database, and what lies beside it, so that a new one can be begun.

    ``now_ns`` is UNIX time; the new name, which says ``why``, is returned. Raises OSError.
    """
    name = (
        f"{path.name}.{why}-{datetime.fromtimestamp(now_ns // 1_000_000_000, UTC):%Y%m%dT%H%M%SZ}"
    )
    aside = path.with_name(name)
    attempt = 1
    while os.path.lexists(aside):
        attempt += 1
        aside = path.with_name(f"{name}-{attempt}")
    for companion in COMPANIONS:
        with suppress(FileNotFoundError):
            path.with_name(path.name + companion).rename(aside.with_name(aside.name + companion))
    return aside
