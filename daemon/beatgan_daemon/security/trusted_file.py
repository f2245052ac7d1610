"""Files that decide who may do what: read only where nobody else can have written them."""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.regular_file import open_regular, text_of

MAX_LINKS = 40  # on the way to a file, as for Linux
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def read_trusted(path: Path) -> str:
    """The text of a file that only root and this process's user can write.

    Raises StartError where it cannot be read, is no regular file, or
    belongs to, or may be written or replaced by, anybody else.
    """
    try:
        with _opened(path) as file:
            return text_of(file, path)
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"{path}: cannot be read: {error}") from None


def distrusted(files: Iterable[Path | None]) -> Iterator[str]:
    """Why `read_trusted` would refuse some of the ``files``, for others that may be read all the
    same; None: there is none."""
    for path in files:
        try:
            if path is not None:
                _opened(path).close()
        except StartError as error:
            yield str(error)
        except OSError:  # whoever reads it says so
            continue


def _opened(path: Path) -> IO[bytes]:
    """Raises OSError, and StartError where others may have changed it."""
    for step in _way(path):
        _refuse_replaceable(path, step, step.lstat())
    file = open_regular(path)
    try:
        _refuse_writable(path, os.fstat(file.fileno()))
    except BaseException:
        file.close()
        raise
    return file


def _way(path: Path) -> Iterator[Path]:
    """Every folder and link on the way to ``path``, from the root on; those of links' targets too.

    Raises OSError.
    """
    here, parts, links = Path("/"), [*reversed(path.absolute().parts[1:])], 0
    yield here
    while parts:
        if (part := parts.pop()) == "..":
            here = here.parent
            continue
        step = here / part
        if step.is_symlink():
            links += 1
            if links > MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
            yield step
            target = step.readlink()
            parts += [each for each in reversed(target.parts) if each != "/"]
            here = Path("/") if target.is_absolute() else here
        else:
            here = step
            if parts:
                yield here


def _refuse_replaceable(path: Path, step: Path, status: os.stat_result) -> None:
    """Refuse a folder or link on the way to ``path`` that others could have changed."""
    what = "link" if stat.S_ISLNK(status.st_mode) else "folder"
    if status.st_uid not in (0, os.geteuid()):
        raise StartError(
            f"{path}: others may replace it: the {what} {step} belongs to user {status.st_uid}; "
            f"expected root or user {os.geteuid()}, who runs the daemon"
        )
    open_to_all = status.st_mode & _OTHERS_WRITE and not status.st_mode & stat.S_ISVTX
    if what == "folder" and open_to_all:
        mode = f"{stat.S_IMODE(status.st_mode):04o}"
        raise StartError(
            f"{path}: others may replace it: they may write the folder {step} (mode {mode}); "
            f"run `chmod go-w {step}`"
        )


def _refuse_writable(path: Path, file: os.stat_result) -> None:
    """Refuse a file that others could have changed."""
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
