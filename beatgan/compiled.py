"""The one door to the compiler: typed, cached, strict IEEE arithmetic (no fast-math).

Sample-by-sample loops with carried state are written in plain Python and compiled here. That
makes them indifferent to how a signal is cut into chunks by construction: there is no block.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` at its first call, with the machine code cached on disk."""
    return cast("Callable[P, R]", njit(function, cache=True, nogil=True))
