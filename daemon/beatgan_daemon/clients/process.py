"""A daemon as a child process: started on free loopback ports, awaited until ready, stopped.

Used by the demo, by end-to-end tests and by benchmarks. Knows the log's `ready` line only.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from beatgan_daemon.exit_codes import StartError

COMMAND = (sys.executable, "-m", "beatgan_daemon.cli")
LOOPBACK = (
    *("--ingest-bind", "tcp://127.0.0.1:*", "--publish-bind", "tcp://127.0.0.1:*"),
    *("--http", "127.0.0.1:0", "--set", "control.bind=tcp://127.0.0.1:*"),
)
START_S = 180.0  # the very first start compiles the signal path
STOP_S = 10.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a daemon listens, by its own word."""

    ingest: str
    publish: str
    control: str
    http: str
    tap: str | None


class DaemonProcess:
    """A daemon's process; its log, in JSON Lines, goes to a file."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self.log = process, log

    def ended(self) -> bool:
        """Whether the process is gone."""
        return self.process.poll() is not None

    def logged(self) -> list[dict[str, Any]]:
        """What it has logged so far; lines that are not JSON are left out."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def last_words(self) -> str:
        """The last line that it wrote, for an error message."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return lines[-1].removeprefix("beatgan-daemon: ") if lines else "it said nothing"

    def wait_until_ready(
        self, seconds: float = START_S, stopping: Callable[[], bool] = lambda: False
    ) -> Endpoints | None:
        """Where it listens, as soon as it is ready; None if ``stopping`` says so before.

        Raises StartError, with its last words, where it ends or takes longer than ``seconds``.
        """
        end = monotonic() + seconds
        while not stopping():
            over = self.ended() or monotonic() > end
            for line in self.logged():
                if line["event"] == "ready":
                    return Endpoints(
                        line["ingest"][0],
                        line["publish"],
                        line["control"],
                        line["http"],
                        next(iter(line.get("tap", ())), None),
                    )
            if over:
                raise StartError(f"the daemon did not start: {self.last_words()}")
            sleep(_POLL_S)
        return None

    def stop(self, seconds: float = STOP_S) -> int:
        """End it as a service manager would, by force after ``seconds``; its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without the daemon's settings, on one thread; and ``extra``."""
    others = {key: value for key, value in os.environ.items() if not key.startswith("BEATGAN_")}
    return {**others, "OMP_NUM_THREADS": "1", **(extra or {})}


@contextmanager
def start_daemon(
    arguments: Sequence[str],
    log: Path,
    *,
    extra_environment: Mapping[str, str] | None = None,
    command: Sequence[str] = COMMAND,
) -> Iterator[DaemonProcess]:
    """``command`` run with ``arguments`` on free loopback ports; stopped when the block is left.

    It is not awaited, see `DaemonProcess.wait_until_ready`. It has a session of its own: Ctrl-C
    reaches it through its parent alone.
    """
    with log.open("w", encoding="utf-8") as stderr:
        process = subprocess.Popen(
            [*command, "run", *LOOPBACK, "--set", "log.format=json", *arguments],
            stderr=stderr,
            text=True,
            env=environment(extra_environment),
            start_new_session=True,
        )
    daemon = DaemonProcess(process, log)
    try:
        yield daemon
    finally:
        daemon.stop()
