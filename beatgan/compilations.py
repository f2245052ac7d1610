"""What this process must compile, because no compiled code of it was found, and how long it takes.

Knows numba's events, and nothing of what is compiled.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from numba.core import event

Began = Callable[[str], None]  # the function's name
Ended = Callable[[str, float], None]  # and seconds


class Compilations(event.Listener):
    """Counts the functions that are compiled, and the seconds that takes."""

    def __init__(self, began: Began, ended: Ended) -> None:
        """``began`` and ``ended`` are told of each that Python called.

        What such a function calls is compiled with it. What ``began`` raises prevents that.
        """
        self.functions = 0
        self.seconds = 0.0
        self._tell_began, self._tell_ended = began, ended
        self._depth = 0  # numba's lock lets one thread compile at a time
        self._began = 0.0

    def on_start(self, event: event.Event) -> None:
        """Numba begins with a function."""
        self._depth += 1
        if self._depth == 1:
            self._began = perf_counter()
            self._tell_began(_name(event))

    def on_end(self, event: event.Event) -> None:
        """Numba is done with it."""
        self._depth -= 1
        self.functions += 1
        if not self._depth:
            seconds = perf_counter() - self._began
            self.seconds += seconds
            self._tell_ended(_name(event), seconds)


@contextmanager
def compilations(began: Began, ended: Ended = lambda *_: None) -> Iterator[Compilations]:
    """Those of the block, see `Compilations`."""
    with event.install_listener("numba:compile", Compilations(began, ended)) as listener:
        yield listener


def _name(event: event.Event) -> str:
    function = event.data["dispatcher"].py_func
    return f"{function.__module__}.{function.__qualname__}"
