"""The terminal that a process was started from: whether it is still there, and what if not.

A terminal that closes sends SIGHUP, as does who wants a reload; only the first takes it away.
"""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

RECHECK_S = 1.0
LATE_S = 2.0  # a SIGHUP that comes so long after the terminal went has another reason


def has_terminal() -> bool:
    """Whether this process has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


class Terminal:
    """The controlling terminal, if there was one when this was made; used by the main thread."""

    def __init__(
        self, present: Callable[[], bool] = has_terminal, clock: Callable[[], float] = monotonic
    ) -> None:
        """A process that nohup started has none in this sense: it is to outlive it."""
        self._present, self._clock = present, clock
        ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        self._there = not ignored and present()
        self._descriptors = [fd for fd in (0, 1, 2) if os.isatty(fd)] if self._there else []
        self._gone: float | None = None  # since when
        self._next = clock()

    def hung_up(self) -> bool:
        """Whether a SIGHUP that came now was the terminal's: it has just gone."""
        self._look()
        return self._gone is not None and self._clock() - self._gone < LATE_S

    def check(self) -> None:
        """See within about a second that it has gone, though no SIGHUP may follow."""
        if self._clock() >= self._next:
            self._look()

    def _look(self) -> None:
        now = self._clock()
        self._next = now + RECHECK_S
        if self._there and self._gone is None and not self._present():
            self._gone = now
            self._write_nowhere()

    def _write_nowhere(self) -> None:
        """To write to a terminal that is gone is an error: let it go nowhere."""
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_RDWR)
            for descriptor in self._descriptors:
                os.dup2(nowhere, descriptor)
            os.close(nowhere)
