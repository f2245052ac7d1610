"""Signals as flags that a loop reads between iterations. Knows no loop.

Only a process's main thread may enter the blocks.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM or SIGINT came while the block runs; a second Ctrl-C interrupts as usual."""
    caught: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        caught.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(caught)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def hold_reload() -> None:
    """Let SIGHUP wait, instead of ending the process, until `reload_signal` or `release_reload`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def release_reload() -> None:
    """Let SIGHUP, and one that waits, have its effect."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


@contextmanager
def reload_signal() -> Iterator[Callable[[], bool]]:
    """Whether SIGHUP came since this was last asked, while the block runs, or was held before."""
    caught: list[int] = []

    def asked() -> bool:
        came = bool(caught)
        if came:
            caught.clear()  # one that comes between these two lines is of the same reload
        return came

    before = signal.signal(signal.SIGHUP, lambda number, _: caught.append(number))
    release_reload()
    try:
        yield asked
    finally:
        signal.signal(signal.SIGHUP, before)
