"""Signals as flags that a loop reads between iterations. Knows no loop.

Only a process's main thread may enter the blocks.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from beatgan_daemon.terminal import Terminal

_terminal: Terminal | None = None  # as it was at the very start


@contextmanager
def stop_signals(*, last: bool = False) -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM or SIGINT came while the block runs; a second Ctrl-C interrupts as usual.

    ``last``: the process ends after the block, and a further SIGTERM must not spoil its exit code.
    """
    caught: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        caught.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(caught)
    finally:
        if last:
            before[signal.SIGTERM] = signal.SIG_IGN
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def tidy_end() -> Iterator[None]:
    """SIGTERM and SIGHUP end the block as Ctrl-C does, so that what it began is tidied up.

    The process ends with 128 and the signal's number, as a shell reports it.
    """

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def hold_reload() -> None:
    """Let SIGHUP wait, instead of ending the process, until `reload_signal` or `release_reload`.

    It tells of a terminal that closes, too: which one there was must be known before.
    """
    global _terminal
    _terminal = Terminal()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    # Whoever started this process may have left these blocked: it could not be stopped.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})


def release_reload() -> None:
    """Let SIGHUP, and one that waits, have its effect."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


@contextmanager
def reload_signal(*, last: bool = False) -> Iterator[Callable[[], bool]]:
    """Whether SIGHUP came since this was last asked, while the block runs, or was held before.

    One that comes because the terminal closed becomes SIGTERM: nobody is there who wants a reload.
    ``last``: the process ends after the block, and one that comes then is of no interest.
    """
    terminal = _terminal or Terminal()
    caught: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if terminal.hung_up():
            signal.raise_signal(signal.SIGTERM)
        else:
            caught.append(number)

    def asked() -> bool:
        terminal.check()
        came = bool(caught)
        if came:
            caught.clear()  # one that comes between these two lines is of the same reload
        return came

    before = signal.signal(signal.SIGHUP, note)
    release_reload()
    try:
        yield asked
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_IGN if last else before)
