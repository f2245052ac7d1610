"""Compilation of sample-by-sample loops: typed, cached, strict IEEE arithmetic (no fast-math).

Loops with carried state are written in plain Python and compiled here by numba. A loop over
samples does not know how the signal was cut into chunks, so its result cannot depend on it.

An index out of bounds is undefined behaviour, as in C. With numba's own NUMBA_BOUNDSCHECK=1 in
the environment each index is checked, and one out of bounds is an IndexError; that code is slower,
and cached in a folder of its own.

Of the core, only this file, ``compiled_cache.py`` and ``records/`` touch files, and only this one
reads an environment variable (XDG_CACHE_HOME): numba must know, when a module is imported, where
the machine code of this very source lies, and a saved state must name the code that wrote it.
"""

import ast
import os
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba

from beatgan.compiled_cache import CompiledCache

P = ParamSpec("P")
R = TypeVar("R")

PACKAGE = Path(__file__).parent
# Nothing there is compiled, nor called by what is: a change there leaves the machine code valid.
NOT_COMPILED = ("ec57", "explain", "library", "pipeline", "playback", "records")
STATE_CODE = ("signal", "beats", "frontend.py")  # decides what a saved front end's bytes mean


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` at its first call, with the machine code cached on disk."""
    dispatcher: Any = numba.njit(function, nogil=True, error_model="numpy")
    dispatcher._cache = CompiledCache(function, cache_folders())
    return cast("Callable[P, R]", dispatcher)


@cache
def source_digest() -> str:
    """A short name for this version of what may be compiled; any change of it changes that."""
    files = (path for path in sorted(PACKAGE.rglob("*.py")) if _room(path) not in NOT_COMPILED)
    return sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def _room(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0]


@cache
def state_digest() -> str:
    """A short name for the code that decides the state of a front end.

    Comments, docstrings and layout do not change it; nor does code outside STATE_CODE.
    """
    places = [PACKAGE / place for place in STATE_CODE]
    files = [file for place in places for file in ([place] if place.is_file() else _under(place))]
    return sha256("\n".join(map(_code, files)).encode()).hexdigest()[:12]


def _under(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def _code(file: Path) -> str:
    """The syntax tree of ``file`` as text, without docstrings."""
    tree = ast.parse(file.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            del node.body[0]
    return ast.dump(tree)


@cache
def cache_folders() -> tuple[Path, ...]:
    """Where machine code is looked for and kept, the first where it can be: in NUMBA_CACHE_DIR
    alone, or else beside the source and in the user's cache.

    Whoever installs this package may write beside the source; who runs it may have nothing but a
    cache. Each is a folder for this version of the source, because a function's machine code
    contains that of the functions that it calls.
    """
    settings: Any = numba.config
    if settings.CACHE_DIR:
        bases = [Path(settings.CACHE_DIR)]
    else:
        users = _users_cache()
        bases = [PACKAGE / "__pycache__", *([] if users is None else [users])]
    kind = "checked" if settings.BOUNDSCHECK else "compiled"
    return tuple(base / f"{kind}-{source_digest()}" for base in bases)


def _users_cache() -> Path | None:
    """A user may have no home, as the one that systemd makes for a service."""
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given) / "beatgan"
    home = os.path.expanduser("~")
    return None if home == "~" else Path(home) / ".cache" / "beatgan"
