"""A bridge as a process: signals, systemd, its counts in the log, and the line at its end."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

from beatgan_daemon import log
from beatgan_daemon.bridges.counts import Count
from beatgan_daemon.signals import stop_signals
from beatgan_daemon.systemd import Notifier

TURN_S: Final = 0.2  # how long a loop may wait for its peer, so that a signal to stop is seen
COUNT_S: Final = 60.0  # between lines of counts in the log
PINGS: Final = 4  # in each of the watchdog's intervals


class BridgeProcess:
    """What a bridge's loop says of itself as it goes round."""

    def __init__(self, name: str, count: Count, stopping: Callable[[], bool]) -> None:
        self.stopping = stopping
        self._name, self._count, self._notifier = name, count, Notifier()
        self._status = ""
        self._ping_at, self._log_at = 0.0, monotonic() + COUNT_S

    def ready(self, status: str) -> None:
        """Both sides are begun; whoever is away is waited for."""
        self._notifier.send("READY=1")
        log.get().info("ready", bridge=self._name)
        self.turn(status)

    def turn(self, status: str) -> None:
        """Once in each round of the loop; ``status``: how it stands, for systemd."""
        now = monotonic()
        watched = self._notifier.watchdog_s
        if watched is not None and now >= self._ping_at:
            self._notifier.send("WATCHDOG=1")
            self._ping_at = now + watched / PINGS
        if status != self._status:
            self._notifier.send(f"STATUS={status}")
            self._status = status
        if now >= self._log_at:
            log.get().info("counts", bridge=self._name, **self._count.fields())
            self._log_at = now + COUNT_S

    def end(self) -> None:
        """Say that it stops."""
        self._notifier.send("STOPPING=1")

    def account(self) -> None:
        """The counts, in the log and, for people, on stderr."""
        log.get().info("counts", bridge=self._name, **self._count.fields())
        print(f"beatgan-bridge {self._name}: {self._count.line()}", file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def running(name: str, count: Count, close: Callable[[], None]) -> Iterator[BridgeProcess]:
    """Run a bridge, the block, until it is left; ``close`` then ends what counts into ``count``.

    The block is to look at ``stopping`` each TURN_S. Its counts are told however it ends.
    """
    log.configure()
    with stop_signals(last=True) as stopping:
        process = BridgeProcess(name, count, stopping)
        try:
            yield process
        finally:
            process.end()
            close()
            process.account()
