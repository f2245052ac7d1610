"""The alerts of all shards' journals as they come: shards come, go and move meanwhile."""

from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread

from beatgan.errors import UsageError
from beatgan_daemon.clients.address import Daemon
from beatgan_daemon.clients.client import STEP_S, follow_alerts
from beatgan_daemon.clients.shards import ShardDirectory, Silences
from beatgan_daemon.clients.shards_client import ShardAlert, ShardsClient
from beatgan_daemon.security.curve import ConfigureSocket


class ShardsFollower:
    """`client.follow_alerts` of each shard, in a thread each, handed out by one.

    ``position``: which alerts come next, by shard.
    """

    def __init__(
        self,
        directory: Path,
        read: ShardsClient,
        told: Callable[[str], None],
        *,
        configure: ConfigureSocket | None = None,
    ) -> None:
        """It goes on where ``read`` has come to. ``told`` is called with what there is to say of
        shards that do not answer, and do again.

        Raises UsageError where it is no directory of shards."""
        self._directory, self._configure, self._told = ShardDirectory(directory), configure, told
        self.position, self._fences = dict(read.position), read.fences
        self._found: SimpleQueue[tuple[Event, ShardAlert]] = SimpleQueue()
        self._threads: dict[str, tuple[Daemon, Event]] = {}  # with what ends each
        self._latest: dict[str, Event] = {}  # likewise, of a shard that has gone, too
        self._unanswered: dict[str, str] = {}  # by shard, as its thread says
        self._silences = Silences(told)

    def alerts(self, stopping: Callable[[], bool]) -> Iterator[ShardAlert]:
        """Every alert from the position on, and those that come, until ``stopping`` says so."""
        try:
            while not stopping():
                self._look()
                try:
                    thread, found = self._found.get(timeout=STEP_S)
                except Empty:
                    continue
                if self._latest[found.shard] is not thread:
                    continue  # of where the shard was before: it is asked for again
                self.position[found.shard] = found.alert.n + 1
                if self._fences.accepts_journaled(found.alert):
                    yield found
                else:
                    self._told(
                        f"{found.shard}: ignored an alert under an old fence: {found.alert.id}"
                    )
        finally:
            self._directory.close()
            for _, stop in self._threads.values():
                stop.set()

    def _look(self) -> None:
        """Follow who is there now, where it is now; say who is silent."""
        shards = self._directory.shards
        for name, (daemon, stop) in [*self._threads.items()]:
            if shards.daemons.get(name) != daemon:
                stop.set()
                del self._threads[name]
                self._unanswered.pop(name, None)
        for name in shards.daemons.keys() - self._threads.keys():
            self._follow(shards.daemons[name])
        self._silences.now({**self._directory.absent, **self._unanswered})

    def _follow(self, daemon: Daemon) -> None:
        assert daemon.control is not None
        control, stop = daemon.control, Event()
        self._threads[daemon.name], self._latest[daemon.name] = (daemon, stop), stop

        def waiting(why: UsageError | None) -> None:
            if why is None:
                self._unanswered.pop(daemon.name, None)
            elif not stop.is_set():
                silence = self._directory.shards.silence({daemon.name: str(why)})
                self._unanswered[daemon.name] = silence

        def follow() -> None:
            bodies = follow_alerts(
                control,
                self.position.get(daemon.name, 0),
                stop.is_set,
                configure=self._configure,
                waiting=waiting,
            )
            for body in bodies:
                self._found.put((stop, ShardAlert.read(daemon.name, body)))

        Thread(target=follow, name=daemon.name, daemon=True).start()
