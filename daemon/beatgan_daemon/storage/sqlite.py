"""SQLite files of the state directory: opened, checked, and set aside where they are damaged.

Knows how SQLite fails; knows no table.
"""

import sqlite3
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

COMPANIONS = ("", "-wal", "-shm")  # what SQLite lays beside a database in WAL mode
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_OUT_OF_REACH = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
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
        ":memory:" if path is None else path, isolation_level=None, check_same_thread=False
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


def _check(database: sqlite3.Connection) -> None:
    """Reads the whole file, some 1 GB a second; indices are not compared with their tables."""
    (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(f"malformed: {found}")


def close_database(database: sqlite3.Connection) -> None:
    """Free the file; what an open transaction wrote is undone."""
    with suppress(sqlite3.Error):
        database.close()


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is not what it should be."""
    code = _code(error)
    return code in _DAMAGE if code is not None else type(error) is sqlite3.DatabaseError  # _check


def is_out_of_reach(error: sqlite3.Error) -> bool:
    """Whether the disk is full or fails: it may recover by itself."""
    return _code(error) in _OUT_OF_REACH


def _code(error: sqlite3.Error) -> int | None:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & _PRIMARY


def set_aside(path: Path, now_ns: int) -> Path:
    """Rename a damaged database, and what lies beside it, so that a new one can be begun.

    ``now_ns`` is UNIX time; the new name is returned. Raises OSError.
    """
    moment = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC)
    aside = path.with_name(f"{path.name}.damaged-{moment:%Y%m%dT%H%M%SZ}")
    attempt = 1
    while aside.exists():
        attempt += 1
        aside = path.with_name(f"{path.name}.damaged-{moment:%Y%m%dT%H%M%SZ}-{attempt}")
    for companion in COMPANIONS:
        with suppress(FileNotFoundError):
            path.with_name(path.name + companion).rename(aside.with_name(aside.name + companion))
    return aside
