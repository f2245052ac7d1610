"""Files in a directory that several daemons share: each appears whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4


def write_whole(path: Path, content: bytes) -> None:
    """Replace ``path``, on the disk when it returns. Raises OSError."""
    replace_file(path, content)
    flush_folder(path.parent)


def replace_file(path: Path, content: bytes) -> None:
    """Replace ``path``, for good once its folder is flushed. Raises OSError."""
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise


def flush_folder(path: Path) -> None:
    """What was replaced in the folder is on the disk. Raises OSError."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
