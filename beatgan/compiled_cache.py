"""Machine code on disk, between numba and its files: what keeps it from being kept stops nobody.

In place of numba's own cache, which fails where it cannot write, even if all is there to be read,
and where a file is damaged (a machine that lost its power). Here a file is whole, as its checksum
says, or as good as none; what cannot be written is compiled again at the next start, and listed.
Knows files and numba's compile results, and nothing of what is compiled.
"""

import os
import pickle
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import numba
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps as _dumps

CHECKSUM_BYTES = sha256().digest_size
dumps: Callable[[Any], bytes] = _dumps

_troubles: dict[str, None] = {}  # why, in order, each once


def troubles() -> list[str]:
    """Why machine code of this process could not be read or kept, so far; empty if all was."""
    return list(_troubles)


class CompiledCache(NullCache):
    """The compiled versions of one function, each in a file of its own in ``folder``.

    Without a folder none is kept.
    """

    def __init__(self, function: Callable[..., Any], folder: Path | None) -> None:
        self._function, self._folder = function, folder

    @property
    def cache_path(self) -> str | None:
        """The folder, as numba's statistics show it."""
        return None if self._folder is None else str(self._folder)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The version for these types on this processor; None where there is none on disk."""
        target_context.refresh()  # numba's own must be there before what refers to it
        path = self._path(sig, target_context.codegen())
        content = None if path is None else _read(path)
        if content is None:
            return None
        # As in numba's own cache: whoever may write the file may also decide what is run.
        reduced = pickle.loads(content)  # noqa: S301
        result: Any = CompileResult
        return result._rebuild(target_context, *reduced)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a version that was just compiled, if that can be."""
        path = self._path(sig, data.codegen)
        if path is not None and not data.lifted and not data.library.has_dynamic_globals:
            _write(path, dumps(data._reduce()))

    def _path(self, sig: Any, codegen: Any) -> Path | None:
        """The file for these types: its name says everything on which the machine code depends.

        But not the functions that this one calls: the folder is for one version of them all.
        """
        function = self._function
        source = _file_digest(function.__code__.co_filename)
        if self._folder is None or source is None or function.__closure__:
            return None
        version = (numba.__version__, sys.implementation.cache_tag, codegen.magic_tuple())
        key = (version, sig, function.__code__.co_firstlineno, source)
        name = f"{function.__module__}.{function.__qualname__}".replace("<locals>", "locals")
        return self._folder / f"{name}-{sha256(repr(key).encode()).hexdigest()[:24]}"


def _read(path: Path) -> bytes | None:
    """What was written; None if that is not there, or not whole."""
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            status = os.fstat(file.fileno())
            if _is_strangers(status):
                _note(f"{path} belongs to, or may be written by, other users")
                return None
            content = file.read() if stat.S_ISREG(status.st_mode) else b""
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        _note(f"cannot read {path}: {error.strerror}")
        return None
    checksum, content = content[:CHECKSUM_BYTES], content[CHECKSUM_BYTES:]
    if sha256(content).digest() == checksum:
        return content
    _note(f"{path} is damaged")
    return None


def _is_strangers(status: os.stat_result) -> bool:
    """Whether somebody else decides what is in the file, and so what would be run: not root, not
    this user, not whoever installed this package."""
    trusted = {0, os.geteuid(), os.stat(__file__).st_uid}
    return status.st_uid not in trusted or bool(status.st_mode & stat.S_IWOTH)


def _without_waiting(path: str, flags: int) -> int:
    """Opens anything, a FIFO that nobody writes to as well."""
    return os.open(path, flags | os.O_NONBLOCK)


def _write(path: Path, content: bytes) -> None:
    """Write it whole or not at all; several processes may."""
    unfinished = path.with_name(f".{uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(unfinished, "xb", opener=_for_owner) as file:
            file.write(sha256(content).digest() + content)
        unfinished.replace(path)
    except OSError as error:
        _note(f"cannot write to {path.parent}: {error.strerror}")
        with suppress(OSError):
            unfinished.unlink()


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
