"""Files that appear whole or not at all, whenever the process is killed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from beatgan.errors import UsageError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; it replaces ``path``, or what that links to, if the block
    succeeds."""
    path = path.resolve()
    unfinished = path.with_name(f"{path.name}.unfinished")
    yield unfinished
    os.replace(unfinished, path)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path``, making folders as needed; UsageError where that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
