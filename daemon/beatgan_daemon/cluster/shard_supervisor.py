"""Runs one shard's daemon as a child process, again and again: what a Ray actor does for a shard.

Knows nothing of Ray. A daemon that ends is started again, one that hangs is killed first; it gets
SIGTERM when this process dies, so that none goes on that nobody looks after.
"""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Final, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from beatgan.errors import UsageError
from beatgan_daemon.clients.process import COMMAND, DaemonProcess, environment
from beatgan_daemon.cluster.tied_process import tied
from beatgan_daemon.reload_socket import ask_for_reload
from beatgan_daemon.sharding.registry import ShardRecord, is_running, read_records

LOG, FORMER_LOG = "log", "log.1"  # of the daemon's life and the one before, beside its state
LOOK_S: Final = 0.2  # whether it still runs
LIVEZ_EVERY_S: Final = 5.0
LIVEZ_TIMEOUT_S: Final = 2.0
HANGS: Final = 3  # times in a row that /livez fails: the daemon hangs
BACKOFF_S: Final = (1.0, 30.0)  # before it is started again; twice as long each time
LIVED_S: Final = 60.0  # then it is started again at once
RELOAD_S: Final = 50.0
STOP_S: Final = 10.0


class ShardOrder(NamedTuple):
    """Which shard is to run, and how; paths as the shard's machine sees them.

    ``bind``: the address that it listens at; ``settings``: TABLE.KEY=VALUE.
    """

    directory: str
    name: str
    bind: str
    config: str | None
    settings: tuple[str, ...]


class ShardState(NamedTuple):
    """How a shard stands. ``said``: the daemon's last line, where it is not ready."""

    name: str
    pid: int | None
    ready: bool
    starts: int
    said: str


class ShardSupervisor:
    """One shard; any thread may ask."""

    def __init__(self, order: ShardOrder, command: Sequence[str] = COMMAND) -> None:
        """Begin to run it; ``command``: the daemon's."""
        self._command = command
        self._order, self._directory = order, Path(order.directory)
        self._own = self._directory / order.name
        self._daemon: DaemonProcess | None = None
        self._starts, self._trouble = 0, ""
        self._stopping = Event()
        self._thread = Thread(target=self._supervise, name="supervisor", daemon=True)
        self._thread.start()

    def state(self) -> ShardState:
        """How it stands now."""
        daemon = self._daemon
        if daemon is None or daemon.ended():
            return ShardState(self._order.name, None, False, self._starts, self._said())
        ready = self._record() is not None
        said = "" if ready else self._said()
        return ShardState(self._order.name, daemon.process.pid, ready, self._starts, said)

    def reload(self) -> str:
        """Let it read its settings and model again; what it says of that."""
        daemon = self._daemon
        if daemon is None or daemon.ended():
            return "refused: it does not run"
        try:
            return ask_for_reload(daemon.process.pid, RELOAD_S)
        except UsageError as error:
            return f"failed: {error}"

    def stop(self) -> None:
        """End it for good, as a service manager would; it may take STOP_S."""
        self._stopping.set()
        self._thread.join()

    def _supervise(self) -> None:
        pause = BACKOFF_S[0]
        while not self._stopping.is_set():
            began = monotonic()
            try:
                self._live()
            except (OSError, UsageError) as error:
                self._trouble = f"cannot be started: {error}"
            lived = monotonic() - began
            pause = BACKOFF_S[0] if lived > LIVED_S else min(2 * pause, BACKOFF_S[1])
            self._stopping.wait(pause if lived < LIVED_S else 0.0)

    def _live(self) -> None:
        """One life of the daemon. Raises OSError where it cannot begin."""
        self._own.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._state_is_free():
            return
        log = self._own / LOG
        if log.exists():
            log.replace(self._own / FORMER_LOG)
        with log.open("w", encoding="utf-8") as stderr:
            process = subprocess.Popen(
                tied((*self._command, "run", *self._arguments())),
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                text=True,
                env=environment(),
            )
        self._starts += 1
        daemon = self._daemon = DaemonProcess(process, log)
        failed, next_look = 0, monotonic() + LIVEZ_EVERY_S
        while not daemon.ended():
            if self._stopping.wait(LOOK_S):
                daemon.stop(STOP_S)
            elif monotonic() >= next_look:
                next_look = monotonic() + LIVEZ_EVERY_S
                failed = failed + 1 if self._hangs() else 0
                if failed == HANGS:
                    process.kill()

    def _state_is_free(self) -> bool:
        """Wait until no other process has the shard's state, as one does that is about to end;
        false if it is to stop before."""
        while is_running(self._directory, self._order.name):
            record = self._last_record()
            who = "" if record is None else f", process {record.pid} on {record.host}"
            self._trouble = f"another one has its state{who}: it is waited for"
            if self._stopping.wait(LOOK_S):
                return False
        self._trouble = ""
        return True

    def _arguments(self) -> list[str]:
        order = self._order
        config = [] if order.config is None else ["--config", order.config]
        own = (
            *(f"shard.dir={order.directory}", f"shard.name={order.name}", "log.format=json"),
            *(f"shard.host={order.bind}", f"http.listen={order.bind}:0", *self._endpoints()),
        )
        return [*config, *(word for each in (*own, *order.settings) for word in ("--set", each))]

    def _endpoints(self) -> list[str]:
        """Where it listens: where it did before, so that sources and clients find it again, or on
        ports that are free."""
        before = self._last_record() if self._starts < 1 or self._ready_once() else None
        host = self._order.bind

        def again(endpoint: str) -> str:
            match = re.fullmatch(r"tcp://(.*):(\d+)", endpoint)
            return f"tcp://{host}:{match[2] if match and match[1] == host else '*'}"

        ingest = before.ingest[0] if before is not None and before.ingest else ""
        publish = before.publish if before is not None else ""
        control = before.control if before is not None else ""
        return [
            f"ingest.bind={again(ingest)}",
            f"publish.bind={again(publish)}",
            f"control.bind={again(control)}",
        ]

    def _ready_once(self) -> bool:
        """Whether the life that ended had begun: else its ports may be somebody else's by now."""
        record, daemon = self._last_record(), self._daemon
        return record is not None and daemon is not None and record.pid == daemon.process.pid

    def _last_record(self) -> ShardRecord | None:
        records, _ = read_records(self._directory)
        return next((each for each in records if each.shard == self._order.name), None)

    def _record(self) -> ShardRecord | None:
        """What the daemon that runs says of itself, once it is ready."""
        record, daemon = self._last_record(), self._daemon
        if record is None or daemon is None or record.pid != daemon.process.pid:
            return None
        return record

    def _hangs(self) -> bool:
        """Whether a daemon that was ready says that it makes no progress, or says nothing."""
        record = self._record()
        if record is None or not record.http:
            return False
        try:
            with urlopen(f"{record.http}/livez", timeout=LIVEZ_TIMEOUT_S):
                return False
        except (HTTPError, URLError, OSError):
            return True

    def _said(self) -> str:
        if self._trouble or self._daemon is None:
            return self._trouble
        return self._daemon.last_words()
