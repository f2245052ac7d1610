"""A small file beside the journal: the number of the next alert, and a lock.

The number survives a damaged journal and a full disk; the lock bars a second daemon from the
same directory. Knows nothing of alerts.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from beatgan_daemon.exit_codes import StartError


class SequenceFile:
    """The file, open and locked."""

    def __init__(self, path: Path) -> None:
        """Raises StartError where the file is not to be had or another daemon holds it."""
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StartError(f"{path}: cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            text = "in use by another daemon; each needs a state.dir of its own"
            raise StartError(f"{path}: {text}") from None

    def read(self) -> int:
        """The number last written; 0 where there is none."""
        text = os.pread(self._file, 32, 0).strip()
        return int(text) if text.isdigit() else 0

    def write(self, n: int) -> None:
        """Of one length and in place, which takes no room on a full disk; never fails loudly."""
        with suppress(OSError):
            os.pwrite(self._file, b"%020d\n" % n, 0)

    def close(self) -> None:
        """Let another daemon have the directory."""
        os.close(self._file)
