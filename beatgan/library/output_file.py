"""A command's output: a file that appears whole or not at all, or standard output."""

import errno
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import IO

from beatgan.errors import UsageError
from beatgan.records import files_of

NEW_MODE = 0o666  # of a new file, less the umask


@contextmanager
def writing(
    out: Path | None, inputs: Sequence[str] = (), option: str = "--out"
) -> Iterator[IO[bytes]]:
    """To write to; what stood in the file ``out`` stays until the block ends without an error.

    None is standard output. A pipe or a device is written to as it is. Raises UsageError where
    ``out``, which ``option`` says, cannot be written, or is one of the ``inputs``.
    """
    if out is None:
        yield sys.stdout.buffer
        return
    target = Path(os.path.realpath(out))  # a link stays one
    if target.exists():
        for each in inputs:
            if any(target.samefile(part) for part in files_of(each) if part.exists()):
                raise UsageError(f"{option} {out}: is one of the recordings to be read, {each}")
    try:
        if target.exists() and not target.is_file():
            with target.open("wb") as file:
                yield file
            return
        with _replacing(target) as file:
            yield file
    except OSError as error:
        raise UsageError(f"{option} {out}: {error.strerror}") from None


@contextmanager
def _replacing(target: Path) -> Iterator[IO[bytes]]:
    """A file beside ``target`` that takes its place, and its mode, if the block succeeds."""
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    mode = target.stat().st_mode & 0o7777 if target.exists() else NEW_MODE & ~_umask()
    descriptor, unfinished = mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            os.fchmod(file.fileno(), mode)
        os.replace(unfinished, target)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
