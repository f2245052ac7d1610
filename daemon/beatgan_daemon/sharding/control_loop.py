"""Keeps the map of a directory as the coordinator wants it: shards that die lose their buckets.

A shard is alive while it holds the lock of its state; where the shards are on several machines,
the directory's file system must have locks for all of them.
"""

import fcntl
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from beatgan.errors import UsageError
from beatgan_daemon import log
from beatgan_daemon.log import Rejections
from beatgan_daemon.sharding.coordinator import AFTER_S, Coordinator, Decision
from beatgan_daemon.sharding.overview import Overview
from beatgan_daemon.sharding.shard_map import only_editor, read_map, write_map
from beatgan_daemon.systemd import Notifier

LOCK = "coordinator.lock"  # in the directory: of several, one is at work and the others look on
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

    def look(self, now: float, *, at_work: bool = True) -> Decision | None:
        """Once more, every EVERY_S or so; what was decided and done, None where that failed.

        ``now``: seconds of a clock that only goes forward. Not ``at_work``: nothing is changed; it
        gets to know the shards. What fails is logged and tried again.
        """
        try:
            decision, seen = self._decide(now, at_work)
        except UsageError as error:
            self._troubles.add("failed", str(error), now)
            return None
        if at_work:
            self._tell(decision, seen)
        return decision

    def _decide(self, now: float, at_work: bool) -> tuple[Decision, Overview]:
        with only_editor(self._directory):
            seen = Overview.of(self._directory)
            if seen.old:
                raise UsageError(f"{self._directory}: {seen.old}")
            decision = self._coordinator.decide(seen.running, seen.draining, seen.shard_map, now)
            if at_work and decision.shard_map is not None:
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


def keep(directory: Path, after_s: float, stopping: Callable[[], bool]) -> None:
    """Keep it until ``stopping`` says so. Of several on one directory, one is at work; the others
    look on, to take its place. Raises UsageError where there is no map."""
    read_map(directory)
    logger, notifier, loop = log.get(), Notifier(), ControlLoop(directory, after_s)
    notifier.send("READY=1")
    with _lock_file(directory) as lock:
        at_work = _locked(lock)
        if not at_work:
            logger.info("another one looks after the shards: ready to take its place")
        begins = at_work
        while not stopping():
            notifier.send("WATCHDOG=1")
            if begins:
                logger.info("looking after the shards", dir=str(directory), after_s=after_s)
            loop.look(monotonic(), at_work=at_work)
            sleep(EVERY_S)
            begins = not at_work and _locked(lock)
            at_work = at_work or begins
    notifier.send("STOPPING=1")


@contextmanager
def _lock_file(directory: Path) -> Iterator[int]:
    try:
        lock = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"{directory}: cannot be used: {error.strerror}") from None
    try:
        yield lock
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    """Whether it is this process's now, and no other's."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
