"""The processes of a load run: started on chosen cores, asked what they cost, ended.

Knows files of /proc and the daemon's HTTP; nothing of ECG.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from beatgan.errors import BeatganError, UsageError

START_S = 180.0  # where nothing is compiled yet
STOP_S = 60.0
NAMED_DAEMON = Path(__file__).with_name("named_daemon.py")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cores:
    """The one core of the process that is measured, and those of all others."""

    measured: int
    others: frozenset[int]


def cores() -> Cores:
    """The last core that this process may use, and the rest; raises UsageError with only one."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise UsageError("a load run needs two cores: one for the daemon, one for who feeds it")
    return Cores(usable[-1], frozenset(usable[:-1]))


def python_of(checkout: Path | None) -> str:
    """The interpreter of the checkout's ``.venv`` if it has one, or else this one."""
    own = None if checkout is None else checkout / ".venv" / "bin" / "python"
    return str(own) if own and own.exists() else sys.executable


def environment(checkout: Path | None) -> dict[str, str]:
    """What makes a daemon of ``checkout`` import its own code, and log in JSON."""
    log = {"BEATGAN_LOG__FORMAT": "json"}
    if checkout is None:
        return log
    rooms = (checkout, checkout / "daemon", checkout / "train")
    return {**log, "PYTHONPATH": os.pathsep.join(map(str, rooms)), "PYTHONSAFEPATH": "1"}


@contextmanager
def pinned(cores: AbstractSet[int]) -> Iterator[None]:
    """What is started within the block runs on these cores alone, every thread of it.

    Inherited: a process that has begun has threads to chase.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def started(
    arguments: Sequence[str | Path],
    on: AbstractSet[int],
    log: Path,
    *,
    program: str = sys.executable,
    **settings: str,
) -> Iterator[subprocess.Popen[str]]:
    """A process on these cores alone, every thread of it; killed at the end if it still runs.

    Its stdout is a pipe, its stderr goes to ``log``. No setting of the daemon's but ``settings``.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BEATGAN_")}
    with pinned(on), log.open("w") as stderr:
        process = subprocess.Popen(
            [program, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={**kept, "OMP_NUM_THREADS": "1", **settings},
        )
    with process:
        try:
            yield process
        finally:
            process.kill()


def next_line(process: subprocess.Popen[str]) -> str:
    """The next line that a process of ours prints; raises BeatganError if it ended instead."""
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise BeatganError(f"{process.args!r} ended with {process.wait(STOP_S)}")
    return line


def last_line(process: subprocess.Popen[str]) -> str:
    """Ask a process to end; the last line that it prints."""
    process.terminate()
    return next_line(process)


@dataclass(frozen=True)
class Usage:
    """What processes have used so far, ``at`` a monotonic time in ns: seconds of CPU, bytes.

    ``threads``: the same CPU time by thread. ``others``: what others have used of their cores.
    """

    at: int
    cpu: float
    memory: int
    threads: dict[str, float]
    others: float


def usage(*pids: int) -> Usage:
    """From /proc: what every thread of processes on the same cores has run, and resident memory.

    By the scheduler's own clock: the times in /proc/PID/stat are sampled by a tick on many kernels,
    and a process that wakes often and briefly is then billed wrongly.
    """
    threads: dict[str, float] = {}
    for task in (task for pid in pids for task in Path(f"/proc/{pid}/task").iterdir()):
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            name = (task / "comm").read_text().strip()
            seconds = int((task / "schedstat").read_text().split()[0]) / 1e9
            threads[name] = threads.get(name, 0.0) + seconds
    return Usage(
        at=time.monotonic_ns(),
        cpu=sum(threads.values()),
        memory=sum(map(_resident, pids)),
        threads=threads,
        others=sum(map(_busy, os.sched_getaffinity(pids[0]))) - sum(map(_billed, pids)),
    )


def family(pid: int) -> list[int]:
    """A process and all that it has started, and they."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(FileNotFoundError, ProcessLookupError):
                parents[int(folder.name)] = int(_stat(int(folder.name))[1])
    found = [pid]
    for each in found:  # which grows meanwhile
        found += [child for child, parent in parents.items() if parent == each]
    return found


def _resident(pid: int) -> int:
    """Bytes of memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _busy(core: int) -> float:
    """Seconds that a core has worked for processes, their system calls included."""
    lines = Path("/proc/stat").read_text().splitlines()
    fields = next(line.split() for line in lines if line.startswith(f"cpu{core} "))
    return sum(int(field) for field in fields[1:4]) / TICKS  # user, nice, system


def _billed(pid: int) -> float:
    """A process's seconds of CPU by the kernel's tick, to be compared with `_busy`."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS


def _stat(pid: int) -> list[str]:
    """Of /proc/PID/stat what follows the name: state, parent, ..."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()


def metrics(http: str) -> dict[str, float]:
    """All samples of a daemon's metrics but buckets; those with labels by name{value,...}."""
    with urlopen(f"{http}/metrics", timeout=30) as page:
        families = text_string_to_metric_families(page.read().decode())
    found: dict[str, float] = {}
    for sample in (sample for family in families for sample in family.samples):
        if not sample.name.endswith(("_bucket", "_info")):
            labels = ",".join(sample.labels.values())
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


@dataclass(frozen=True)
class Daemon:
    """A daemon that said it is ready."""

    process: subprocess.Popen[str]
    log: Path
    ingest: str
    publish: str
    control: str
    tap: str | None
    http: str

    def metrics(self) -> dict[str, float]:
        """See `metrics`."""
        return metrics(self.http)

    def ready(self) -> str:
        """What /readyz says: its status and text."""
        try:
            with urlopen(f"{self.http}/readyz", timeout=30) as page:
                return f"{page.status} {page.read().decode().strip()}"
        except HTTPError as error:
            return f"{error.code} {error.read().decode().strip()}"

    def logged(self) -> list[dict[str, Any]]:
        """Every line that it has written to its log."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def stop(self) -> int:
        """End it as systemd would; its exit code."""
        self.process.terminate()
        return self.process.wait(STOP_S)


@contextmanager
def daemon(
    model: Path,
    core: int,
    folder: Path,
    streams: int,
    checkout: Path | None = None,
    *,
    tap: bool = False,
) -> Iterator[Daemon]:
    """The real daemon, with room for so many streams, as shipped in all else.

    That of another ``checkout``, if there is one, with the interpreter of its ``.venv``. ``tap``:
    whether it has one.
    """
    log = folder / "daemon.log"
    arguments: list[str | Path] = [
        *("-P", NAMED_DAEMON, "run", "--model", model, "--device", "cpu"),
        *("--ingest-bind", "tcp://127.0.0.1:*", "--publish-bind", "tcp://127.0.0.1:*"),
        *("--http", "127.0.0.1:0", "--set", "control.bind=tcp://127.0.0.1:*"),
        *("--set", f"streams.max={max(streams, 10_000)}"),
        *(("--set", "tap.bind=tcp://127.0.0.1:*") if tap else ()),
    ]
    with started(
        arguments, {core}, log, program=python_of(checkout), **environment(checkout)
    ) as process:
        yield ready(process, log)


def ready(process: subprocess.Popen[str], log: Path) -> Daemon:
    """Wait until a daemon logs that it is ready; raises BeatganError with its log otherwise."""
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        for line in log.read_text().splitlines():
            if line.startswith("{") and (event := json.loads(line))["event"] == "ready":
                return Daemon(
                    process,
                    log,
                    ingest=event["ingest"][0],
                    publish=event["publish"],
                    control=event["control"],
                    tap=next(iter(event.get("tap", ())), None),
                    http=event["http"],
                )
        time.sleep(0.05)
    raise BeatganError(f"the daemon did not start: {log.read_text()}")
