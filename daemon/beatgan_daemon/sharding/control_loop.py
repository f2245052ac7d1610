"""Keeps the map of a directory as the coordinator wants it: shards that die lose their buckets.

A shard is alive while it holds the lock of its state; where the shards are on several machines,
the directory's file system must have locks for all of them.
"""

import fcntl
import os
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from beatgan.errors import UsageError
from beatgan_daemon import log
from beatgan_daemon.log import Rejections
from beatgan_daemon.sharding.coordinator import AFTER_S, Coordinator, Decision
from beatgan_daemon.sharding.overview import Overview
from beatgan_daemon.sharding.shard_map import only_editor, read_map, write_map
from beatgan_daemon.signals import stop_signals
from beatgan_daemon.systemd import Notifier

LOCK = "coordinator.lock"  # in the directory: of several, one is at work and the others wait
EVERY_S: Final = 0.2


class ControlLoop:
    """Looks at the shards of ``directory`` and changes their map, whenever it is asked to."""

    def __init__(self, directory: Path, after_s: float = AFTER_S) -> None:
        """``after_s``: how long a shard may be dead and keep its buckets."""
        self._directory, self._coordinator = directory, Coordinator(after_s)
        self._log = log.get()
        self._troubles = Rejections(self._log, event="the shards cannot be looked after")
        self._alive: frozenset[str] | None = None
        self._stranded = 0

    def look(self, now: float) -> Decision | None:
        """Once more, every EVERY_S or so; what was decided and done, None where that failed.

        ``now``: seconds of a clock that only goes forward. What fails is logged and tried again.
        """
        try:
            decision, seen = self._decide(now)
        except UsageError as error:
            self._troubles.add("failed", str(error), now)
            return None
        self._tell(decision, seen)
        return decision

    def _decide(self, now: float) -> tuple[Decision, Overview]:
        with only_editor(self._directory):
            seen = Overview.of(self._directory)
            decision = self._coordinator.decide(seen.running, seen.draining, seen.shard_map, now)
            if decision.shard_map is not None:
                write_map(self._directory, decision.shard_map)
        for text in seen.problems:
            self._troubles.add("registry", text, now)
        return decision, seen

    def _tell(self, decision: Decision, seen: Overview) -> None:
        alive, before = seen.running, seen.shard_map
        known = alive if self._alive is None else self._alive
        for name in sorted(known - alive):
            self._log.warning("shard does not run", shard=name, buckets=len(before.fences_of(name)))
        for name in sorted(alive - known):
            self._log.info("shard runs", shard=name)
        self._alive = alive
        routes = Counter((before.assignments[b].shard, to) for b, to in decision.moves.items())
        for (shard, to), buckets in sorted(routes.items()):
            why = "it is dead" if shard in decision.lost else "shares, or it is to be empty"
            self._log.info("buckets move", shard=shard, to=to, buckets=buckets, why=why)
        if decision.stranded != self._stranded:
            self._stranded = decision.stranded
            if decision.stranded:
                self._log.error("nobody is there to take buckets", buckets=decision.stranded)


def keep(directory: Path, after_s: float = AFTER_S) -> None:
    """Keep it until SIGTERM or Ctrl-C. Of several on one directory, one is at work; the others
    wait to take its place. Raises UsageError where there is no map."""
    with stop_signals(last=True) as stopping, ExitStack() as resources:
        read_map(directory)
        notifier = Notifier()
        loop = ControlLoop(directory, after_s)
        notifier.send("READY=1")
        if _alone(directory, resources, stopping):
            log.get().info("looking after the shards", dir=str(directory), after_s=after_s)
        while not stopping():
            notifier.send("WATCHDOG=1")
            loop.look(monotonic())
            sleep(EVERY_S)
        notifier.send("STOPPING=1")


def _alone(directory: Path, resources: ExitStack, stopping: Callable[[], bool]) -> bool:
    """Wait until no other is at work there; false if it is to stop before."""
    try:
        lock = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"{directory}: cannot be used: {error.strerror}") from None
    resources.callback(os.close, lock)
    waiting = False
    while not stopping():
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not waiting:
                log.get().info("another one looks after the shards: waiting to take its place")
            waiting = True
            sleep(EVERY_S)
        else:
            return True
    return False
