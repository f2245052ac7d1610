"""The one door to the compiler: typed, cached, strict IEEE arithmetic (no fast-math).

Sample-by-sample loops with carried state are written in plain Python and compiled here. That
makes them indifferent to how a signal is cut into chunks by construction: there is no block.
"""

import os
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` at its first call, with the machine code cached on disk."""
    settings: Any = numba.config
    before, settings.CACHE_DIR = settings.CACHE_DIR, _folder()
    try:
        return cast(
            "Callable[P, R]", numba.njit(function, cache=True, nogil=True, error_model="numpy")
        )
    finally:
        settings.CACHE_DIR = before


@cache
def source_digest() -> str:
    """Short, and another one for any other version of the core's source."""
    package = Path(__file__).parent
    source = b"".join(path.read_bytes() for path in sorted(package.rglob("*.py")))
    return sha256(source).hexdigest()[:12]


@cache
def _folder() -> str:
    """Where machine code lies: in NUMBA_CACHE_DIR, beside the source, or in the user's cache.

    In a folder for this very source: Numba looks for changes in the file of the function that is
    called, but not in those that this one calls.
    """
    settings: Any = numba.config
    beside = Path(__file__).parent / "__pycache__"
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    base = beside if os.access(beside, os.W_OK) else Path(home) / "beatgan"
    return str(Path(settings.CACHE_DIR or base) / f"compiled-{source_digest()}")
