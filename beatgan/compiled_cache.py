"""Machine code on disk, between numba and its files: what keeps it from being kept stops nobody.

In place of numba's own cache, which fails where it cannot write, even if all is there to be read,
and where a file is damaged (a machine that lost its power). Here a file is whole, as its checksum
says, or as good as none; what cannot be written is compiled again at the next start, and listed.
Knows files, and nothing of what is compiled.
"""

import os
import stat
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import numba
from numba.core.caching import NullCache

from beatgan.machine_code import from_bytes, to_bytes

CHECKSUM_BYTES = sha256().digest_size

_troubles: dict[str, None] = {}  # why, in order, each once
_places: dict[Path, None] = {}  # likewise


def troubles() -> list[str]:
    """Why machine code of this process could not be read or kept, so far; empty if all was."""
    return list(_troubles)


def places() -> list[Path]:
    """The folders in which machine code of this process was found or put, so far."""
    return list(_places)


def unwritable(folders: Sequence[Path]) -> str | None:
    """Why nothing can be put into any of ``folders``; None where something can."""
    name = f".{uuid4().hex}"
    try:
        (_write(folders, name, b"") / name).unlink()
    except OSError as error:
        return str(error)
    return None


class CompiledCache(NullCache):
    """The compiled versions of one function, each in a file of its own.

    It is read from the first of ``folders`` in which it lies, and written to the first in which it
    can be.
    """

    def __init__(self, function: Callable[..., Any], folders: Sequence[Path]) -> None:
        self._function, self._folders = function, folders

    @property
    def cache_path(self) -> str:
        """The first folder, as numba's statistics show it."""
        return str(self._folders[0])

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The version for these types on this processor; None where there is none on disk."""
        name = self._name(sig, target_context.codegen())
        content = None if name is None else _read_first([each / name for each in self._folders])
        return None if content is None else from_bytes(content, target_context)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a version that was just compiled, if that can be."""
        name = self._name(sig, data.codegen)
        if name is None or data.lifted or data.reload_init or data.library.has_dynamic_globals:
            return
        try:
            _places[_write(self._folders, name, to_bytes(data))] = None
        except OSError as error:
            _note(str(error))

    def _name(self, sig: Any, codegen: Any) -> str | None:
        """The file for these types: its name says everything on which the machine code depends.

        But not the functions that this one calls: the folder is for one version of them all. None
        where a name cannot say that.
        """
        function = self._function
        source = _file_digest(function.__code__.co_filename)
        if source is None or function.__closure__:
            return None
        version = (numba.__version__, sys.implementation.cache_tag, codegen.magic_tuple())
        key = (version, sig, function.__code__.co_firstlineno, source)
        name = f"{function.__module__}.{function.__qualname__}".replace("<locals>", "locals")
        return f"{name}-{sha256(repr(key).encode()).hexdigest()[:24]}"


class _UnusableError(Exception):
    """Something lies there, and it is of no use."""


def _read_first(paths: Sequence[Path]) -> bytes | None:
    """What was written to the first of ``paths`` that is there and whole; None if none is."""
    faults: list[str] = []
    for path in paths:
        try:
            content = _read(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            faults.append(f"cannot read {path}: {error.strerror}")
            continue
        except _UnusableError as error:
            faults.append(f"{path} {error}")
            continue
        _places[path.parent] = None
        return content
    for fault in faults:
        _note(fault)
    return None


def _read(path: Path) -> bytes:
    """What was written; raises OSError or _UnusableError where it cannot be had, or not whole."""
    with open(path, "rb", opener=_without_waiting) as file:
        status = os.fstat(file.fileno())
        if _is_strangers(status):
            raise _UnusableError("belongs to, or may be written by, other users")
        content = file.read() if stat.S_ISREG(status.st_mode) else b""
    checksum, content = content[:CHECKSUM_BYTES], content[CHECKSUM_BYTES:]
    if sha256(content).digest() != checksum:
        raise _UnusableError("is damaged")
    return content


def _is_strangers(status: os.stat_result) -> bool:
    """Whether somebody else decides what is in the file, and so what would be run: not root, not
    this user, not whoever installed this package."""
    trusted = {0, os.geteuid(), os.stat(__file__).st_uid}
    return status.st_uid not in trusted or bool(status.st_mode & stat.S_IWOTH)


def _without_waiting(path: str, flags: int) -> int:
    """Opens anything, a FIFO that nobody writes to as well."""
    return os.open(path, flags | os.O_NONBLOCK)


def _write(folders: Sequence[Path], name: str, content: bytes) -> Path:
    """Write the file into the first of ``folders`` in which that can be done; that folder.

    Raises OSError, with what is wrong with each, where there is none.
    """
    faults: list[str] = []
    for folder in folders:
        try:
            _write_whole(folder / name, content)
        except OSError as error:
            faults.append(f"{folder}: {error.strerror}")
        else:
            return folder
    raise OSError(f"cannot write to {', nor to '.join(faults)}")


def _write_whole(path: Path, content: bytes) -> None:
    """Write it whole or not at all; several processes may."""
    unfinished = path.with_name(f".{uuid4().hex}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(unfinished, "xb", opener=_for_owner) as file:
            file.write(sha256(content).digest() + content)
        unfinished.replace(path)
    except OSError:
        with suppress(OSError):
            unfinished.unlink()
        raise


def _for_owner(path: str, flags: int) -> int:
    """Opens a file that nobody else may write, whatever the umask."""
    return os.open(path, flags, 0o644)


def _note(text: str) -> None:
    _troubles[text] = None


@cache
def _file_digest(file: str) -> str | None:
    try:
        return sha256(Path(file).read_bytes()).hexdigest()
    except OSError:  # typed in by hand
        return None
