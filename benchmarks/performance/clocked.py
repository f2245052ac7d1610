"""The front end's compiled functions once more, some of them with a clock round them.

Each module of the core that has compiled functions is copied, so that the copies call one another,
and what is shipped stays as it is and knows of no clock. Compiled anew in each process.
"""

import ctypes
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pkgutil import iter_modules
from types import FunctionType, ModuleType
from typing import Any

import numba
import numpy as np
from numba.core import cgutils, types
from numba.core.extending import intrinsic

PACKAGES = ("beatgan.signal", "beatgan.beats")
INTERRUPTED = 1_000_000  # nanoseconds: what takes as long was interrupted by another process
CLOCK_MONOTONIC = 1
carray: Any = numba.carray  # type: ignore[attr-defined]
_clock_gettime: Any = ctypes.CDLL(None).clock_gettime
_clock_gettime.argtypes = [ctypes.c_int, ctypes.c_size_t]
_now = np.zeros(2, np.int64)  # seconds and nanoseconds
_NOW = _now.ctypes.data


def _pointer_to(_context: Any, address: Any) -> Any:
    """An address as a pointer, by which compiled code reads an array that is no argument."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), generate


_pointer: Any = intrinsic(_pointer_to)


def _read_clock() -> int:
    _clock_gettime(CLOCK_MONOTONIC, _NOW)
    now = carray(_pointer(_NOW), 2, np.int64)
    return int(now[0] * 1_000_000_000 + now[1])


_nanoseconds: Any = numba.njit(_read_clock)


def _clocked(function: Any, address: int) -> Any:
    """``function``, which adds to the three numbers at ``address``: see `_taken`."""

    @numba.njit(nogil=True, error_model="numpy")
    def run(*arguments: Any) -> Any:
        began: int = _nanoseconds()
        result = function(*arguments)
        took = _nanoseconds() - began
        sums = carray(_pointer(address), 3, np.int64)
        sums[0] += 1
        if took < INTERRUPTED:
            sums[1] += 1
            sums[2] += took
        return result

    return run


@numba.njit
def _nothing() -> None:
    pass


class Clocks:
    """Copies of the modules, and what the named functions in them took.

    ``stages``: functions as module.name for each name; one that does not exist is left out.
    """

    def __init__(self, stages: Mapping[str, Sequence[str]]) -> None:
        originals = [
            import_module(f"{package}.{each.name}")
            for package in PACKAGES
            for each in iter_modules(sys.modules[package].__path__)
        ]
        self._modules = {each.__name__: _copy(each) for each in originals}
        names = {name.rsplit(".", 1)[1]: copy for name, copy in self._modules.items()}
        functions: dict[Any, Any] = {}
        self._sums: dict[str, Any] = {}
        for each in originals:
            for value in vars(each).values():
                if isinstance(value, numba.core.registry.CPUDispatcher):
                    functions[value] = self._compiled(value)
        for stage, places in stages.items():
            for module, name in (place.split(".") for place in places):
                if module not in names:
                    continue
                original = vars(sys.modules[names[module].__name__]).get(name)
                if original is not None:
                    sums = self._sums.setdefault(stage, np.zeros(3, np.int64))
                    functions[original] = _clocked(functions[original], sums.ctypes.data)
        for copy in self._modules.values():
            for name, value in vars(copy).items():
                if isinstance(value, ModuleType) and value.__name__ in self._modules:
                    setattr(copy, name, self._modules[value.__name__])
                elif isinstance(value, numba.core.registry.CPUDispatcher) and value in functions:
                    setattr(copy, name, functions[value])
        self._inside, self._outside = self._overhead()

    def _compiled(self, dispatcher: Any) -> Any:
        plain = dispatcher.py_func
        copy = self._modules[plain.__module__]
        made = FunctionType(plain.__code__, vars(copy), plain.__name__, plain.__defaults__)
        return numba.njit(nogil=True, error_model="numpy")(made)

    def _overhead(self) -> tuple[float, float]:
        """Seconds that a clock adds to what it measures, and to what is round it."""
        count, sums = 2_000, np.zeros((2, 3), np.int64)
        inner = _clocked(_nothing, sums[0].ctypes.data)

        @numba.njit(nogil=True)
        def loop() -> None:
            for _ in range(count):
                inner()

        outer = _clocked(loop, sums[1].ctypes.data)
        outer()
        best = [np.inf, np.inf]
        for _ in range(100):
            sums[:] = 0
            outer()
            best = [min(a, _taken(b) / count) for a, b in zip(best, sums, strict=True)]
        return best[0], best[1]

    def module(self, name: str) -> ModuleType:
        """The copy of a module."""
        return self._modules[name]

    def reset(self) -> None:
        """Begin to count anew."""
        for sums in self._sums.values():
            sums[:] = 0

    def read(self) -> dict[str, float]:
        """Seconds of each stage, without those of the clocks."""
        calls = {name: int(sums[0]) for name, sums in self._sums.items()}
        whole = next(iter(calls))  # the first has all others in it
        taken = {
            name: _taken(sums) - self._inside * calls[name] for name, sums in self._sums.items()
        }
        inner = sum(calls.values()) - calls[whole]
        return {**taken, whole: taken[whole] - self._outside * inner}


def _taken(sums: Any) -> float:
    """Seconds that all calls took; ``sums``: calls, those not interrupted, their nanoseconds."""
    calls, whole_calls, nanoseconds = sums.tolist()
    return float(1e-9 * nanoseconds * calls / max(whole_calls, 1))


def _copy(module: ModuleType) -> ModuleType:
    copy = ModuleType(module.__name__)
    vars(copy).update(vars(module))
    return copy
