"""How long a daemon takes from its start until it is ready: nothing compiled, and all compiled.

    python -m benchmarks.performance.start
    python -m benchmarks.performance.start --against ../release --no-cold
Ready is when a service manager would be told so (READY=1). Seconds, and those of CPU among them,
which other processes disturb less. Python's own bytecode is cached, as it is where a package is
installed; compiled code is not at the first start (cold), and is at all others (warm), of which
the median is shown. `imports`: until the daemon begins to load its model.
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from beatgan.errors import BeatganError
from benchmarks.performance.load import processes

HERE = Path(__file__).parents[2]
MODEL = Path("models/student.pt")
LONGEST_S = 600.0
LOOK_S = 1.0  # between two looks whether it still runs
ARGUMENTS = (
    *("-m", "beatgan_daemon", "run", "--device", "cpu", "--http", "127.0.0.1:0"),
    *("--ingest-bind", "tcp://127.0.0.1:*", "--publish-bind", "tcp://127.0.0.1:*"),
    *("--set", "control.bind=tcp://127.0.0.1:*"),
)


@dataclass(frozen=True)
class Start:
    """Seconds since the process was started."""

    imports: float
    ready: float
    cpu: float  # among them, of all threads
    memory: int  # resident bytes when it is ready


def start(checkout: Path, model: Path, folder: Path, python: str | None = None) -> Start:
    """One start of the checkout's daemon, whose caches lie in ``folder``.

    By ``python``, or the checkout's own.
    """
    with _manager(folder / "notify") as manager, TemporaryDirectory(dir=folder) as work:
        environment = {
            **processes.environment(checkout),
            "NOTIFY_SOCKET": str(folder / "notify"),
            "NUMBA_CACHE_DIR": str(folder / "compiled"),
            "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
            "PYTHONDONTWRITEBYTECODE": "",
        }
        log = Path(work) / "log"
        began = time.monotonic()
        with processes.started(
            [*ARGUMENTS, "--model", checkout / model],
            os.sched_getaffinity(0),
            log,
            program=python or processes.python_of(checkout),
            **environment,
        ) as process:
            imports = _until("STATUS=loading", manager, process, log) - began
            ready = _until("READY=1", manager, process, log) - began
            used = processes.usage(process.pid)
            process.terminate()
            process.wait(processes.STOP_S)
    return Start(imports, ready, used.cpu, used.memory)


@contextmanager
def _manager(path: Path) -> Iterator[socket.socket]:
    """The socket of a service manager."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(LOOK_S)
        manager.bind(str(path))
        yield manager
    path.unlink()


def _until(word: str, manager: socket.socket, process: subprocess.Popen[str], log: Path) -> float:
    """When the manager is told so; raises BeatganError where it is not."""
    latest = time.monotonic() + LONGEST_S
    while time.monotonic() < latest and process.poll() is None:
        with suppress(TimeoutError):
            if manager.recv(1024).decode().startswith(word):
                return time.monotonic()
    raise BeatganError(f"the daemon did not start: {log.read_text()}")


def line(name: str, starts: list[Start]) -> str:
    """The medians."""
    columns = ([each.imports for each in starts], [each.ready for each in starts])
    cpu = median(each.cpu for each in starts)
    cells = "".join(f"{median(values):9.2f}" for values in columns)
    return f"{name:16}{cells}{cpu:9.2f}   {min(columns[1]):.2f} to {max(columns[1]):.2f}"


def main(
    model: Annotated[Path, typer.Option(help="in each checkout")] = MODEL,
    runs: Annotated[int, typer.Option(min=1, help="warm starts of each")] = 5,
    against: Annotated[
        Path | None, typer.Option(help="another checkout, in turn with this", file_okay=False)
    ] = None,
    cold: Annotated[bool, typer.Option(help="show the start that compiles, too")] = True,
) -> None:
    """Print the table."""
    checkouts = {"this": HERE} | ({"other": against.resolve()} if against else {})
    typer.echo(f"{'seconds':16}{'imports':>9}{'ready':>9}{'CPU':>9}   ready, range")
    with TemporaryDirectory(prefix="start-") as name:
        folders = {which: Path(name) / which for which in checkouts}
        warm: dict[str, list[Start]] = {which: [] for which in checkouts}
        for which, folder in folders.items():
            folder.mkdir()
            first = start(checkouts[which], model, folder)
            if cold:
                typer.echo(line(f"{which}, cold", [first]))
        for _ in range(runs):
            for which, folder in folders.items():
                warm[which].append(start(checkouts[which], model, folder))
        for which, starts in warm.items():
            typer.echo(line(f"{which}, warm", starts))


if __name__ == "__main__":
    typer.run(main)
