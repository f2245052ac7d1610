"""A small file beside the journal: the number of the next alert, and a lock.

The number survives a damaged journal and a full disk; the lock bars a second daemon from the
same directory. Knows nothing of alerts.
"""

import fcntl
import os
from pathlib import Path
from threading import Lock
from time import monotonic, sleep, time_ns

from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.storage.sqlite import identity, set_aside_other

# Who asks whether a daemon is there, or takes over what it left, holds the lock for moments.
LOCK_WAIT_S, LOCK_EVERY_S = 2.0, 0.02
MAX_NUMBER = 2**53  # no daemon lives to number so many alerts; JSON takes no larger ones


class SequenceFile:
    """The file, open and locked; any thread may write to it."""

    def __init__(self, path: Path) -> None:
        """Raises StartError where the file is not to be had or another daemon holds it."""
        self.trouble: str | None = None  # why the number is not on the disk
        self._path, self._writing = path, Lock()
        self._file, self._identity = _opened(path, LOCK_WAIT_S)
        text = os.pread(self._file, 32, 0).strip()
        self.n = int(text) if text.isdigit() else 0  # the number last written; 0: none
        if self.n > MAX_NUMBER:
            self.n = 0  # no daemon wrote that
        # Now, as long as there is room: later it is overwritten in place, which takes none.
        self._write()

    def write(self, n: int) -> None:
        """Put down a number, unless a higher one is there. Raises nothing, see ``trouble``."""
        with self._writing:
            if n > self.n or self.trouble is not None:
                self.n = max(n, self.n)
                self._write()

    def _write(self) -> None:
        try:
            os.pwrite(self._file, b"%020d\n" % self.n, 0)
            self.trouble = None
        except OSError as error:
            self.trouble = f"{self._path}: cannot be written: {error.strerror}"

    def displaced(self) -> bool:
        """Whether the file is no longer where it was."""
        return identity(self._path) != self._identity

    def reopen(self) -> None:
        """Make and lock it again where it was. Raises StartError as above; the lock is held on."""
        with self._writing:
            before, (self._file, self._identity) = self._file, _opened(self._path)
            os.close(before)
            self._write()

    def close(self) -> None:
        """Let another daemon have the directory."""
        with self._writing:
            os.close(self._file)


def in_use(path: Path) -> bool:
    """Whether a daemon holds the lock of the file at ``path``; false where there is none.

    Raises OSError where that cannot be known.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _opened(path: Path, wait_s: float = 0.0) -> tuple[int, tuple[int, int] | None]:
    """The file, locked within ``wait_s`` seconds, and its identity."""
    try:
        set_aside_other(path, time_ns())
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(f"{path}: cannot be written: {error.strerror}") from None
    end = monotonic() + wait_s
    while not (locked := _lock(file)) and monotonic() < end:
        sleep(LOCK_EVERY_S)
    if not locked:
        os.close(file)
        text = "in use by another daemon; each needs a state.dir of its own"
        raise StartError(f"{path}: {text}") from None
    status = os.fstat(file)
    return file, (status.st_dev, status.st_ino)


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
