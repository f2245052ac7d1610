"""Files that decide who may do what: read only where nobody else can have written them."""

import os
import stat
from pathlib import Path

from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.regular_file import open_regular, text_of

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def read_trusted(path: Path) -> str:
    """The text of a file that only root and this process's user can write.

    Raises StartError where it cannot be read, is no regular file, or
    belongs to, or may be written or replaced by, anybody else.
    """
    try:
        real = path.resolve(strict=True)
        with open_regular(real) as file:
            _refuse_others(path, os.fstat(file.fileno()), real.parent.stat())
            return text_of(file, path)
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        raise StartError(f"{path}: cannot be read: {error}") from None


def _refuse_others(path: Path, file: os.stat_result, folder: os.stat_result) -> None:
    """Refuse a file or folder that others could have changed."""
    if file.st_uid not in (0, os.geteuid()):
        raise StartError(
            f"{path}: it belongs to user {file.st_uid}, who may change it; expected root or user "
            f"{os.geteuid()}, who runs the daemon: run `chown root {path}`"
        )
    if file.st_mode & _OTHERS_WRITE:
        raise StartError(
            f"{path}: others may write it (mode {stat.S_IMODE(file.st_mode):04o}); "
            f"run `chmod go-w {path}`"
        )
    if folder.st_mode & _OTHERS_WRITE and not folder.st_mode & stat.S_ISVTX:
        mode = f"{stat.S_IMODE(folder.st_mode):04o}"
        raise StartError(
            f"{path}: others may replace it: they may write its folder (mode {mode}); "
            f"run `chmod go-w {path.parent}`"
        )
